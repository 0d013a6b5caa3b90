"""Runs of evaluations, to be looked through: their questions, who was right, and each trajectory."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from longvideoagent.core.trace import Agents, Trace
from longvideoagent.core.types import Clip, Question
from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.score import SampleScore, score_sample
from longvideoagent.media.video import Video
from longvideoagent.server.library import Item, Library, NotHereError
from longvideoagent.views.html.page import density
from longvideoagent.views.html.trajectory import span, trajectory
from longvideoagent.views.run_folder import CONFIG, QUESTIONS, TRACES, read_config, read_samples, read_traces
from longvideoagent.views.trace_dict import trace_from_dict

MOST_KEPT = 8
MOST_EPISODES = 32


@dataclass(frozen=True, slots=True)
class _Finished:
    """A question of a run, judged."""

    judged: SampleScore
    answer: str
    at: int
    """Where its line begins in the file, in bytes."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run as it was when it was read."""

    config: dict[str, Any]
    samples: dict[str, Sample]
    finished: dict[str, _Finished]


Fingerprint = tuple[object, ...]


@dataclass
class Runs:
    """Reads the runs of a library, each once for as long as it stays as it is."""

    library: Library
    _read: dict[Fingerprint, _Run] = field(default_factory=dict)
    """The latest of them; each holds all its questions."""
    _told: dict[Fingerprint, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    """Routes run in threads; a run is read by one of them at a time."""

    def lines(self) -> list[dict[str, Any]]:
        """One for each run; of one that cannot be read, ``error`` says why."""
        return [self._line(item) for item in self.library.runs()]

    def rows(self, run_id: str) -> dict[str, Any]:
        """A run's line and its finished questions. Raises NotHereError or DataError."""
        item = self.library.run(run_id)
        run = self._open(item)
        rows = [
            {
                "id": name,
                "question": run.samples[name].question.text,
                "video": done.judged.video,
                "kind": done.judged.kind,
                "outcome": str(done.judged.outcome),
                "correct": _right(done.judged),
                "confidence": done.judged.confidence,
                "num_rounds": done.judged.rounds,
                "answer": done.answer,
            }
            for name, done in run.finished.items()
        ]
        return {**self._line(item), "rows": rows}

    def question(self, run_id: str, name: str) -> dict[str, Any]:
        """One question of a run with its trajectory and its gold answer; with the clips of its episode, and its video
        in the library, where the data set lies in the library too. Raises NotHereError or DataError."""
        item = self.library.run(run_id)
        run = self._open(item)
        if name not in run.finished:
            raise NotHereError(f"{item.name}: no finished question {name[:80]!r}; reload the run")
        done, gold = run.finished[name], run.samples[name].gold
        episode = self._episode(run.config, done.judged.video)
        video = self.library.video_at(episode.video.path) if episode else None
        clips = episode.timeline.clips if episode else ()
        return {
            "id": name,
            "gold": {
                "option_index": gold.option_index,
                "answer": gold.answer or _option(run.samples[name].question, gold.option_index),
                "clip": gold.clip,
                "start_s": gold.start_s,
                "end_s": gold.end_s,
            },
            "correct": _right(done.judged),
            "video_id": video and video.id,
            "clips": clips_told(clips),
            "duration_s": episode.timeline.duration_s if episode else None,
            "trace": trajectory(_trace_at(item.path / TRACES, done.at)),
        }

    def _line(self, item: Item) -> dict[str, Any]:
        """Of a run that cannot be read, ``error`` says why."""
        try:
            with self._lock:
                mark = _mark(item)
                if mark not in self._told:
                    self._told[mark] = _summary(self._open(item))
                told = self._told[mark]
        except DataError as error:
            told = {"error": self.library.redact_paths(str(error))}
        except OSError as error:
            told = {"error": f"it cannot be read ({error.strerror}); check its files"}
        return {"id": item.id, "name": item.name, **told}

    def _open(self, item: Item) -> _Run:
        with self._lock:
            mark = _mark(item)
            run = self._read.pop(mark, None) or _read_run(item.path)
            self._read[mark] = run
            for old in list(self._read)[: max(0, len(self._read) - MOST_KEPT)]:
                del self._read[old]
            return run

    def _episode(self, config: dict[str, Any], video: str) -> Video | None:
        """None where the data set is not in the library, or not whole."""
        folder = Path(config["data"]).absolute().resolve()
        if not folder.is_relative_to(self.library.root.resolve()):
            return None
        try:
            return _episode(folder, config["split"], video)
        except (DataError, UsageError):
            return None


def clips_told(clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """The bars of a timeline."""
    return [{**span(clip), "density": density(clip)} for clip in clips]


def _mark(item: Item) -> Fingerprint:
    """Changes when the run does."""
    states = [(item.path / name).stat() for name in (CONFIG, QUESTIONS, TRACES)]
    return (item.path, *((told.st_mtime_ns, told.st_size) for told in states))


@lru_cache(MOST_EPISODES)
def _episode(folder: Path, split: str, video: str) -> Video:
    return _dataset(folder, split).episode(video)


@lru_cache(MOST_KEPT)
def _dataset(folder: Path, split: str) -> DataSet:
    return open_dataset(folder, split)


def _summary(run: _Run) -> dict[str, Any]:
    known = [done.judged.is_correct for done in run.finished.values() if done.judged.is_known]
    return {
        "dataset": run.config["set"],
        "split": run.config["split"],
        "team": _team(run.config),
        "num_questions": len(run.samples),
        "num_finished": len(run.finished),
        "accuracy": sum(known) / len(known) if known else None,
        "error": "",
    }


def _right(judged: SampleScore) -> bool | None:
    return judged.is_correct if judged.is_known else None


def _option(question: Question, index: int | None) -> str:
    return "" if index is None else question.options[index]


def _team(config: dict[str, Any]) -> str:
    roles = [config["team"][role]["model"] for role in ("master", "grounding", "vision")]
    agents = config["settings"]["agents"]
    return ", ".join(dict.fromkeys(roles)) + ("" if agents == Agents.GROUNDING_VISION else f" (agents: {agents})")


def _read_run(path: Path) -> _Run:
    samples = read_samples(path)
    finished = {}
    for trace, at in zip(read_traces(path), _line_starts(path / TRACES), strict=False):
        name = trace.question.id
        finished[name] = _Finished(score_sample(samples[name], trace), trace.answer, at)
    return _Run(read_config(path), samples, {name: finished[name] for name in samples if name in finished})


def _line_starts(path: Path) -> list[int]:
    starts, at = [], 0
    with path.open("rb") as file:
        for line in file:
            starts.append(at)
            at += len(line)
    return starts


def _trace_at(path: Path, at: int) -> Trace:
    with path.open("rb") as file:
        file.seek(at)
        try:
            return trace_from_dict(json.loads(file.readline()))
        except ValueError as error:
            raise DataError(f"{path}: was changed while it was read ({error}); reload the run") from error
