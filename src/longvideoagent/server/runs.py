"""Evaluation runs in the library: summaries, questions with their verdicts, and single traces."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from longvideoagent.core.actions import AGENT_NAMES
from longvideoagent.core.trace import Agents, Trace
from longvideoagent.core.types import Clip, Question
from longvideoagent.datasets.base import Dataset, DatasetOptions
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError, as_data_error
from longvideoagent.evaluation.config import scoring_of
from longvideoagent.evaluation.score import SampleScore, score_sample
from longvideoagent.media.video import Video
from longvideoagent.server.fingerprint import Fingerprint, file_fingerprint
from longvideoagent.server.library import Library, LibraryItem, NotFoundError
from longvideoagent.server.trace_response import trace_fields
from longvideoagent.views.html.page import density
from longvideoagent.views.run_folder import CONFIG, QUESTIONS, TRACES, read_config, read_samples, read_traces
from longvideoagent.views.trace_dict import trace_from_dict

MAX_RUNS = 8
MAX_VIDEOS = 32


@dataclass(frozen=True, slots=True)
class _Row:
    """A finished question of a run."""

    score: SampleScore
    answer: str
    offset: int
    """Of its line in the traces file, in bytes."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The contents of a run folder, without the traces."""

    config: dict[str, Any]
    samples: dict[str, Sample]
    rows: dict[str, _Row]


@dataclass
class RunCache:
    """Reads the runs of a library, each once as long as its files stay unchanged."""

    library: Library
    _runs: dict[Fingerprint, _Run] = field(default_factory=dict)
    """The most recently used runs; each holds all its questions."""
    _summaries: dict[Fingerprint, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    """Routes run in threads; one of them reads at a time."""

    def summaries(self) -> list[dict[str, Any]]:
        """One summary for each run; ``error`` says why a run cannot be read."""
        return [self._summary(item) for item in self.library.runs()]

    def rows(self, run_id: str) -> dict[str, Any]:
        """A run's summary and its finished questions. Raises NotFoundError or DataError."""
        item = self.library.get_run(run_id)
        run = self._open(item)
        rows = [
            {
                "id": question_id,
                "question": run.samples[question_id].question.text,
                "video": row.score.video,
                "kind": row.score.kind,
                "outcome": str(row.score.outcome),
                "correct": _verdict(row.score),
                "confidence": row.score.confidence,
                "num_rounds": row.score.num_rounds,
                "answer": row.answer,
            }
            for question_id, row in run.rows.items()
        ]
        return {**self._summary(item), "rows": rows}

    def question(self, run_id: str, question_id: str) -> dict[str, Any]:
        """One question of a run with its trace and its gold answer, and if the data set is in the library, with the
        clips of its video and the video's id. Raises NotFoundError or DataError."""
        item = self.library.get_run(run_id)
        run = self._open(item)
        if question_id not in run.rows:
            raise NotFoundError(f"{item.name}: no finished question {question_id[:80]!r}; reload the run")
        row, sample = run.rows[question_id], run.samples[question_id]
        video = self._video(run.config, row.score.video)
        library_item = self.library.video_at(video.reader.path) if video else None
        return {
            "id": question_id,
            "gold": _gold_to_dict(sample),
            "correct": _verdict(row.score),
            "video_id": library_item and library_item.id,
            "clips": clips_to_dicts(video.timeline.clips if video else ()),
            "duration_s": video.timeline.duration_s if video else None,
            **trace_fields(_read_trace_at(item.path / TRACES, row.offset)),
        }

    def _summary(self, item: LibraryItem) -> dict[str, Any]:
        try:
            self.library.check_run_files(item)
            with self._lock:
                fingerprint = _fingerprint(item)
                if fingerprint not in self._summaries:
                    self._summaries[fingerprint] = _summarize(self._open(item))
                summary = self._summaries[fingerprint]
        except DataError as error:
            summary = {"error": self.library.redact_paths(str(error))}
        except OSError as error:
            summary = {"error": f"it cannot be read ({error.strerror}); check its files"}
        return {"id": item.id, "name": item.name, **summary}

    def _open(self, item: LibraryItem) -> _Run:
        with self._lock:
            fingerprint = _fingerprint(item)
            run = self._runs.pop(fingerprint, None) or _read_run(item.path)
            self._runs[fingerprint] = run
            for oldest in list(self._runs)[: max(0, len(self._runs) - MAX_RUNS)]:
                del self._runs[oldest]
            return run

    def _video(self, config: dict[str, Any], name: str) -> Video | None:
        """A video of the run's data set, or None if the data set is not in the library or not complete."""
        folder = Path(config["data"]).absolute().resolve()
        if not folder.is_relative_to(self.library.root.resolve()):
            return None
        try:
            with as_data_error(name):
                return _open_video(folder, config["split"], DatasetOptions.from_record(config), name)
        except (DataError, UsageError):
            return None


def clips_to_dicts(clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """The bars of a timeline."""
    return [
        {"label": clip.label, "start_s": clip.start_s, "end_s": clip.end_s, "density": density(clip)} for clip in clips
    ]


def _fingerprint(item: LibraryItem) -> Fingerprint:
    return tuple(file_fingerprint(item.path / name) for name in (CONFIG, QUESTIONS, TRACES))


@lru_cache(MAX_VIDEOS)
def _open_video(folder: Path, split: str, options: DatasetOptions, name: str) -> Video:
    return _open_dataset(folder, split, options).open_video(name)


@lru_cache(MAX_RUNS)
def _open_dataset(folder: Path, split: str, options: DatasetOptions) -> Dataset:
    return open_dataset(folder, split, options)


def _summarize(run: _Run) -> dict[str, Any]:
    verdicts = [row.score.correct for row in run.rows.values() if row.score.has_gold]
    return {
        "dataset": run.config["dataset"],
        "split": run.config["split"],
        "team": _team_name(run.config),
        "num_questions": len(run.samples),
        "num_finished": len(run.rows),
        "accuracy": sum(verdicts) / len(verdicts) if verdicts else None,
        "error": "",
    }


def _verdict(score: SampleScore) -> bool | None:
    """None if there is no gold answer to compare with."""
    return score.correct if score.has_gold else None


def _gold_to_dict(sample: Sample) -> dict[str, Any]:
    gold = sample.gold
    return {
        "option_index": gold.option_index,
        "answer": gold.answer or _option_text(sample.question, gold.option_index),
        "clip": gold.clip,
        "start_s": gold.start_s,
        "end_s": gold.end_s,
    }


def _option_text(question: Question, index: int | None) -> str:
    return "" if index is None else question.options[index]


def _team_name(config: dict[str, Any]) -> str:
    models = [config["team"][agent]["model"] for agent in AGENT_NAMES]
    agents = config["settings"]["agents"]
    suffix = "" if agents == Agents.GROUNDING_VISION else f" (agents: {agents})"
    return ", ".join(dict.fromkeys(models)) + suffix


def _read_run(path: Path) -> _Run:
    samples, config = read_samples(path), read_config(path)
    rows, scoring = {}, scoring_of(config)
    for trace, offset in zip(read_traces(path), _line_offsets(path / TRACES), strict=False):
        question_id = trace.question.id
        rows[question_id] = _Row(score_sample(samples[question_id], trace, scoring), trace.answer, offset)
    in_order = {question_id: rows[question_id] for question_id in samples if question_id in rows}
    return _Run(config, samples, in_order)


def _line_offsets(path: Path) -> list[int]:
    offsets, offset = [], 0
    with path.open("rb") as file:
        for line in file:
            offsets.append(offset)
            offset += len(line)
    return offsets


def _read_trace_at(path: Path, offset: int) -> Trace:
    with path.open("rb") as file:
        file.seek(offset)
        try:
            return trace_from_dict(json.loads(file.readline()))
        except ValueError as error:
            raise DataError(f"{path}: changed while it was read ({error}); reload the run") from error
