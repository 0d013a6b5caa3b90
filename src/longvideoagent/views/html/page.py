"""Traces as one HTML file that needs nothing from outside: text, times, and the frames looked at.

Everything that comes from a video, a person or a model passes through the template's escaping, so it
is shown as text and never run.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from longvideoagent.core.protocol import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Clip, ClipObservation, Observation, VisionResult
from longvideoagent.fs import atomic_write_text
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.video import Video
from longvideoagent.views.trace_json import action_content, action_name, observation_text

THUMBNAIL_PX = 320
FRAMES_PER_OBSERVATION = 4


@dataclass(frozen=True, slots=True)
class _Picture:
    time_s: float
    data_url: str | None
    """None where the frame is gone."""


def write_page(path: Path, title: str, episode: Video, traces: Sequence[Trace]) -> None:
    """Write one page with all traces about one video. Raises OSError where it cannot be written."""
    atomic_write_text(path, render_page(title, episode, traces))


def render_page(title: str, episode: Video, traces: Sequence[Trace]) -> str:
    """The page as text."""
    urls = thumbnails(episode.video, {time_s for trace in traces for time_s in _frame_times(trace)}, THUMBNAIL_PX)
    return render(
        "longvideoagent.views",
        "page.html.j2",
        title=title,
        video=episode.video.path.name,
        timeline=episode.timeline,
        text_source=episode.text_source,
        traces=[_view(trace, episode, urls) for trace in traces],
    )


def render(room: str, template: str, **values: Any) -> str:
    """A page from the template of a room, in the house's style. All values are escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["clock"] = format_timestamp
    style = resources.files("longvideoagent.views").joinpath("style.css").read_text(encoding="utf-8")
    text = resources.files(room).joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(text).render(style=Markup(style), **values)


def thumbnails(video: VideoReader, times_s: Collection[float], side_px: int) -> dict[float, str]:
    """Pictures inside a page by their times. Those that can no longer be read, or whose clips have lost their
    frames, are missing."""
    times = sorted(times_s)
    frames = video.frames(times, side_px)
    if len(frames) == len(times):
        shown = dict(zip(times, frames, strict=True))
    else:  # a reader leaves out what it does not have
        shown = {time_s: frame for time_s in times for frame in video.frames([time_s], side_px)}
    return {time_s: _data_url(frame.jpeg()) for time_s, frame in shown.items() if frame.is_readable()}


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _frame_times(trace: Trace) -> set[float]:
    """When the frames that the page shows are: those of the answer's evidence and a few of each look."""
    times = {each.time_s for each in trace.evidence if each.kind == "frame"}
    for observation in trace.observations:
        times |= set(few_times(observation))
    return times


def few_times(observation: Observation | None) -> list[float]:
    """Times of a few telling frames of a look, spread over what was seen."""
    if not isinstance(observation, VisionResult):
        return []
    times = sorted({each.time_s for each in observation.evidence})
    step = max(1, -(-len(times) // FRAMES_PER_OBSERVATION))
    return times[::step]


def _view(trace: Trace, episode: Video, urls: dict[float, str]) -> dict[str, Any]:
    confidence = trace.answer_round.reply.confidence if trace.answer_round else None
    return {
        "question": trace.question,
        "answer": trace.answer,
        "option_index": trace.option_index,
        "confidence": confidence,
        "outcome": str(trace.outcome or "stopped"),
        "cause": trace.cause,
        "warnings": trace.warnings,
        "bars": _bars(episode.timeline.clips, trace, episode.timeline.duration_s),
        "ticks": [(each, _percent(each.time_s, episode.timeline.duration_s)) for each in trace.evidence],
        "evidence": [(each, urls.get(each.time_s) if each.kind == "frame" else None) for each in trace.evidence],
        "first": trace.first_grounding and _observed(trace.first_grounding, urls),
        "rounds": [
            {
                "thought": said.thought,
                "action": action_name(said.action),
                "content": action_content(said.action),
                "clip": said.clip,
                "observed": said.observation and _observed(said.observation, urls),
            }
            for said in trace.rounds
        ],
        "usage": trace.usage,
    }


def _observed(observation: Observation, urls: dict[float, str]) -> dict[str, Any]:
    located = observation if isinstance(observation, ClipObservation) else None
    return {
        "kind": {"Located": "grounding", "Seen": "vision", "Notice": "notice"}[type(observation).__name__],
        "clip": located.clip if located else None,
        "reason": located.reason if located else "",
        "lines": observation_text(observation).splitlines(),
        "pictures": [_Picture(time_s, urls.get(time_s)) for time_s in few_times(observation)],
    }


def _bars(clips: Iterable[Clip], trace: Trace, duration_s: float) -> list[dict[str, Any]]:
    """One bar a clip: where it lies, how densely it is spoken in, and whether it was visited."""
    return [
        {
            "clip": clip,
            "left": _percent(clip.start_s, duration_s),
            "width": _percent(clip.end_s - clip.start_s, duration_s),
            "visited": clip.label in trace.visited,
            "density": density(clip),
        }
        for clip in clips
    ]


def density(clip: Clip) -> float:
    """How densely it is spoken in, 0 to 1: a line every four seconds is 1."""
    return min(1.0, 4.0 * len(clip.subtitles) / max(1.0, clip.end_s - clip.start_s))


def _percent(part_s: float, whole_s: float) -> float:
    return round(100.0 * part_s / whole_s, 3) if whole_s else 0.0
