"""A run as one self-contained HTML page: numbers, plots, a filter, every trace.

The page's own script builds a trace when it is opened, and inserts all text as text. The subtitles of a clip are
embedded once for each video; frames are embedded, small, until ``MAX_FRAME_BYTES`` are used up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Clip
from longvideoagent.datasets.base import Dataset, DatasetOptions
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError, as_data_error
from longvideoagent.evaluation.config import gold_inputs_of, scoring_of
from longvideoagent.evaluation.evaluate import write_summary
from longvideoagent.evaluation.metrics import Z_95
from longvideoagent.evaluation.open_ended import OpenScore
from longvideoagent.evaluation.protocols import describe_protocol
from longvideoagent.evaluation.score import SampleScore, Scoring, score_sample
from longvideoagent.fs import atomic_write_text
from longvideoagent.progress import Progress, no_progress
from longvideoagent.views.html.page import render, thumbnails
from longvideoagent.views.run_folder import REPORT, read_config, read_samples, read_traces
from longvideoagent.views.trace_view import (
    MIN_SHOWN_CONFIDENCE,
    ObservationView,
    RoundView,
    TraceView,
    shown_seconds,
    view_trace,
)

MAX_FRAME_BYTES = 12_000_000
FRAME_SIDE_PX = 200
FRAMES_PER_LOOK = 2


def write_report(
    run: Path, out: Path | None = None, data: Path | None = None, progress: Progress = no_progress
) -> Path:
    """Write the page of a run, and its summary. Frames come from the data set that the run names, or from ``data``; the
    page has none if that data set is missing or cannot be read. Raises DataError for a folder without a run, and the
    errors of opening ``data``."""
    config, samples = read_config(run), read_samples(run)
    questions = _Questions(samples, _open_data(config, data), scoring_of(config))
    for done, trace in enumerate(read_traces(run), 1):
        questions.add(trace)
        progress("writing the page", min(1.0, done / len(samples)))
    finished = [name for name in samples if name in questions.scores]
    summary = write_summary(run, [questions.scores[name] for name in finished], len(samples))
    path = out or run / REPORT
    text = render(
        "longvideoagent.evaluation",
        "report.html.j2",
        title=f"{config['dataset']} · {config['split']}",
        config=config,
        protocol=describe_protocol(config.get("protocol")),
        gold_inputs=gold_inputs_of(config),
        summary=summary,
        z=Z_95,
        min_shown_confidence=MIN_SHOWN_CONFIDENCE,
        rows=_script([questions.row(name) for name in finished]),
        clips=_script(questions.clips),
        traces=[questions.traces[name] for name in finished],
    )
    atomic_write_text(path, text)
    return path


def _open_data(config: dict[str, Any], data: Path | None) -> Dataset | None:
    folder = data or Path(config["data"])
    try:
        return open_dataset(folder, config["split"], DatasetOptions.from_record(config))
    except (DataError, UsageError):  # it may have moved, or need an extra that is not installed
        if data is not None:
            raise
        return None


class _Thumbnails(NamedTuple):
    urls: dict[float, str]
    """Small frames as data URLs, by their times in seconds."""
    num_missing: int


@dataclass
class _Questions:
    """What the page shows of each question, by its id; a question asked again replaces its earlier trace."""

    samples: dict[str, Sample]
    data: Dataset | None
    scoring: Scoring
    scores: dict[str, SampleScore] = field(default_factory=dict)
    traces: dict[str, Markup] = field(default_factory=dict)
    """As JSON."""
    clips: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    """By video and label: start, end, and lines as [second, text]."""
    num_frame_bytes: int = 0

    def add(self, trace: Trace) -> None:
        """Add a finished question."""
        name = trace.question.id
        self.scores[name] = score_sample(self.samples[name], trace, self.scoring)
        self.traces[name] = _script(self._trace(view_trace(trace)))

    def row(self, name: str) -> dict[str, Any]:
        """What the list shows of a question."""
        score = self.scores[name]
        return {
            "id": name,
            "question": self.samples[name].question.text,
            "video": score.video,
            "kind": score.kind,
            "outcome": str(score.outcome),
            "correct": score.correct if score.has_gold else None,
            "confidence": score.confidence,
            "num_rounds": score.num_rounds,
            "form": "open-ended" if score.is_open_ended else "multiple choice",
            "open_score": None if score.open_score is None else _open_score(score.open_score),
        }

    def _trace(self, view: TraceView) -> dict[str, Any]:
        sample = self.samples[view.question.id]
        frames = self._thumbnails(sample, view)
        return {
            "options": view.question.options,
            "gold": sample.gold.option_index,
            "gold_text": sample.gold.answer,
            "span": [sample.gold.clip, sample.gold.start_s, sample.gold.end_s],
            "answer": view.answer,
            "option_index": view.option_index,
            "remark": view.remark,
            "cause": view.cause,
            "warnings": view.warnings,
            "missing_frames": frames.num_missing,
            "evidence": [
                {
                    "time_s": evidence.time_s,
                    "kind": evidence.kind,
                    "clip": evidence.clip,
                    "text": evidence.text,
                    "frame": frames.urls.get(evidence.time_s) if evidence.kind == "frame" else None,
                }
                for evidence in view.evidence
            ],
            "first_grounding": view.first_grounding and self._observation(sample, view.first_grounding, frames.urls),
            "rounds": [self._round(sample, round_, frames.urls) for round_ in view.rounds],
            "tokens": view.usage.tokens,
            "usd": round(view.usage.usd, 6),
            "seconds": shown_seconds(view, 2),
        }

    def _round(self, sample: Sample, round_: RoundView, frame_urls: Mapping[float, str]) -> dict[str, Any]:
        return {
            "thought": round_.thought,
            "action": round_.label,
            "argument": round_.argument,
            "clip": round_.clip,
            "seconds": round(round_.seconds, 2),
            "observation": round_.observation and self._observation(sample, round_.observation, frame_urls),
        }

    def _observation(self, sample: Sample, view: ObservationView, frame_urls: Mapping[float, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {"title": view.title, "seconds": round(view.seconds, 2)}
        if view.clip is None:
            shown = [frame_urls[time_s] for time_s in view.frame_times_s if time_s in frame_urls]
            return fields | {"text": view.text, "frames": shown}
        for clip in view.window:
            self.clips.setdefault(sample.video, {}).setdefault(clip.label, _clip_lines(clip))
        return fields | {
            "clip": view.clip.label,
            "window": [clip.label for clip in view.window],
            "candidates": [[candidate.label, candidate.reason] for candidate in view.candidates],
            "reason": view.reason,
        }

    def _thumbnails(self, sample: Sample, view: TraceView) -> _Thumbnails:
        """Small frames of the looks and of the evidence by their times, until ``MAX_FRAME_BYTES`` are used up, and
        the number of frames that are not available."""
        times_s = {evidence.time_s for evidence in view.evidence if evidence.kind == "frame"}
        for step in view.steps:
            if isinstance(step, ObservationView):
                times_s |= set(step.frame_times_s[:FRAMES_PER_LOOK])
        if not times_s or self.num_frame_bytes >= MAX_FRAME_BYTES:
            return _Thumbnails({}, 0)
        urls: dict[float, str] = {}
        with suppress(DataError), as_data_error(sample.video):
            urls = thumbnails(self.data.open_video(sample.video).reader, times_s, FRAME_SIDE_PX) if self.data else {}
        self.num_frame_bytes += sum(map(len, urls.values()))
        return _Thumbnails(urls, len(times_s) - len(urls))


def _open_score(score: OpenScore) -> str:
    """A score in words, as ``set_f1 0.67 (precision 1.00, recall 0.50)``."""
    if score.precision is None or score.recall is None:
        return f"{score.metric} {score.value:.2f}"
    return f"{score.metric} {score.value:.2f} (precision {score.precision:.2f}, recall {score.recall:.2f})"


def _clip_lines(clip: Clip) -> list[Any]:
    return [clip.start_s, clip.end_s, [[round(line.start_s, 1), line.text] for line in clip.subtitles]]


def _script(value: object) -> Markup:
    """JSON for a script element; nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))
