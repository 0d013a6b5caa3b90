"""A run as one HTML page that needs nothing from outside: numbers, plots, a filter, every trajectory.

The page's own script builds a trajectory when it is opened, and puts all text in as text. Clips are told
once an episode; frames are embedded, small, until ``PICTURE_BYTES`` are used up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from longvideoagent.core.trace import Round, Trace
from longvideoagent.core.types import Clip, ClipObservation, Observation, VisionResult
from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.open import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.config import gold_told
from longvideoagent.evaluation.evaluate import write_summary
from longvideoagent.evaluation.metrics import Z_95
from longvideoagent.evaluation.score import SampleScore, score_sample
from longvideoagent.evaluation.store import REPORT, read_config, read_samples, read_traces
from longvideoagent.fs import atomic_write_text
from longvideoagent.progress import Progress, no_progress
from longvideoagent.views.html.page import few_times, render, thumbnails
from longvideoagent.views.trace_json import action_content, action_name

PICTURE_BYTES = 12_000_000
PICTURE_SIDE_PX = 200
PICTURES_PER_LOOK = 2


def write_report(
    run: Path, out: Path | None = None, data: Path | None = None, progress: Progress = no_progress
) -> Path:
    """Write the page of a run, and its summary. Frames come from the data set that the run names, or from
    ``data``; where that is gone, or cannot be read here, the page has none. Raises DataError where the folder holds
    no run, and whatever ``data`` raises."""
    config, samples = read_config(run), read_samples(run)
    pages = _Pages(samples, _open(config, data))
    for done, trace in enumerate(read_traces(run), 1):
        pages.add(trace)
        progress("writing the page", min(1.0, done / len(samples)))
    finished = [name for name in samples if name in pages.judged]
    summary = write_summary(run, [pages.judged[name] for name in finished], len(samples))
    path = out or run / REPORT
    text = render(
        "longvideoagent.evaluation",
        "report.html.j2",
        title=f"{config['set']} · {config['split']}",
        config=config,
        gold_told=gold_told(config["first_clip"], boxes=config["boxes"], agents=config["settings"]["agents"]),
        summary=summary,
        z=Z_95,
        rows=_script([pages.row(name) for name in finished]),
        clips=_script(pages.clips),
        blocks=[pages.blocks[name] for name in finished],
    )
    atomic_write_text(path, text)
    return path


def _open(config: dict[str, Any], data: Path | None) -> DataSet | None:
    folder = data or Path(config["data"])
    try:
        return open_dataset(folder, config["split"])
    except (DataError, UsageError):  # it may have been moved, or need an extra that is not here
        if data is not None:
            raise
        return None


@dataclass
class _Pages:
    """What is shown of each question, by its id; of one asked again, what came last."""

    samples: dict[str, Sample]
    data: DataSet | None
    judged: dict[str, SampleScore] = field(default_factory=dict)
    blocks: dict[str, Markup] = field(default_factory=dict)
    """Trajectories as JSON."""
    clips: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    """By video and label: start, end, and lines as [second, text]."""
    picture_bytes: int = 0

    def add(self, trace: Trace) -> None:
        """Take in a finished question."""
        name = trace.question.id
        self.judged[name] = score_sample(self.samples[name], trace)
        self.blocks[name] = _script(self._block(trace))

    def row(self, name: str) -> dict[str, Any]:
        """What the list shows of a question."""
        judged = self.judged[name]
        return {
            "id": name,
            "q": self.samples[name].question.text,
            "video": judged.video,
            "kind": judged.kind,
            "outcome": str(judged.outcome),
            "right": judged.is_correct if judged.is_known else None,
            "confidence": judged.confidence,
            "rounds": judged.rounds,
        }

    def _block(self, trace: Trace) -> dict[str, Any]:
        sample = self.samples[trace.question.id]
        pictures, missing = self._pictures(sample, trace)
        return {
            "options": trace.question.options,
            "gold": sample.gold.option_index,
            "goldText": sample.gold.answer,
            "span": [sample.gold.clip, sample.gold.start_s, sample.gold.end_s],
            "answer": trace.answer,
            "chosen": trace.option_index,
            "cause": trace.cause,
            "warnings": trace.warnings,
            "missing": missing,
            "evidence": [
                [
                    each.time_s,
                    each.kind,
                    each.clip,
                    each.text,
                    pictures.get(each.time_s) if each.kind == "frame" else None,
                ]
                for each in trace.evidence
            ],
            "first": trace.first_grounding and self._observed(trace, trace.first_grounding, pictures),
            "rounds": [self._round(trace, said, pictures) for said in trace.rounds],
            "tokens": trace.usage.tokens,
            "usd": round(trace.usage.usd, 6),
            "seconds": round(trace.usage.seconds, 2),
        }

    def _round(self, trace: Trace, said: Round, pictures: dict[float, str]) -> dict[str, Any]:
        return {
            "thought": said.thought,
            "action": action_name(said.action),
            "content": action_content(said.action),
            "clip": said.clip,
            "seconds": round(said.reply.usage.seconds, 2),
            "observed": said.observation and self._observed(trace, said.observation, pictures),
        }

    def _observed(self, trace: Trace, observed: Observation, pictures: dict[float, str]) -> dict[str, Any]:
        told: dict[str, Any] = {"seconds": round(observed.usage.seconds, 2)}
        if isinstance(observed, ClipObservation):
            for clip in observed.clips if trace.settings.grounding else ():
                self.clips.setdefault(self.samples[trace.question.id].video, {}).setdefault(clip.label, _lines(clip))
            labels = [clip.label for clip in observed.clips]
            return told | {"kind": "grounding", "clip": observed.clip.label, "clips": labels, "reason": observed.reason}
        kind = "vision" if isinstance(observed, VisionResult) else "notice"
        shown = [pictures[time_s] for time_s in few_times(observed) if time_s in pictures]
        return told | {"kind": kind, "text": observed.text, "pictures": shown}

    def _pictures(self, sample: Sample, trace: Trace) -> tuple[dict[float, str], int]:
        """Small frames of the looks and of the evidence, by their time, while there is room for them; and how many
        are not at hand."""
        times = {each.time_s for each in trace.evidence if each.kind == "frame"}
        for observed in trace.observations:
            times |= set(few_times(observed)[:PICTURES_PER_LOOK])
        if not times or self.picture_bytes >= PICTURE_BYTES:
            return {}, 0
        try:
            urls = thumbnails(self.data.episode(sample.video).video, times, PICTURE_SIDE_PX) if self.data else {}
        except DataError:
            urls = {}
        self.picture_bytes += sum(map(len, urls.values()))
        return urls, len(times) - len(urls)


def _lines(clip: Clip) -> list[Any]:
    return [clip.start_s, clip.end_s, [[round(line.start_s, 1), line.text] for line in clip.subtitles]]


def _script(told: object) -> Markup:
    """JSON that can stand inside a script element: nothing in it can end the element."""
    text = json.dumps(told, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))
