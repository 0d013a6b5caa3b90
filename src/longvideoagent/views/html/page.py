"""Traces as one self-contained HTML file: text, times, and the frames looked at.

Everything that comes from a video, a person or a model passes through the template's escaping, so it is shown as text
and never run.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from longvideoagent.core.text import plural, replace_surrogates
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Clip, Jpeg
from longvideoagent.fs import atomic_write_text
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.video import Video
from longvideoagent.views.trace_view import TraceView, shown_seconds, view_trace

THUMBNAIL_PX = 320


PLAYABLE_SUFFIXES = (".mp4", ".m4v", ".webm", ".mov")
"""Video files that browsers play, if their codecs are usual."""


class Verdict(NamedTuple):
    """Whether an answer is correct, and the gold answer with its seconds in the video."""

    is_correct: bool
    answer: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a page has besides the traces."""

    introduction: Sequence[str] = ()
    """Paragraphs before the first trace."""
    verdicts: Sequence[Verdict] = ()
    """Of the traces in order; empty: no gold answer is known."""
    media_url: str | None = None
    """Where the page finds the video to play it, relative to the page."""


def write_page(
    path: Path, title: str, video: Video, traces: Sequence[Trace], context: PageContext = PageContext()
) -> None:
    """Write one page with all traces about one video, and a player if browsers can play the video's file. Raises
    OSError where it cannot be written."""
    if context.media_url is None:
        context = replace(context, media_url=media_url(video.reader.path, path.parent))
    atomic_write_text(path, render_page(title, video, traces, context))


def media_url(video: Path, folder: Path) -> str | None:
    """The URL of a video file for a page in ``folder``, or None if browsers do not play such a file."""
    if video.suffix.lower() not in PLAYABLE_SUFFIXES or not video.is_file():
        return None
    try:
        return quote(os.path.relpath(video.resolve(), folder.resolve()).replace(os.sep, "/"))
    except ValueError:  # on another drive
        return None


def render_page(title: str, video: Video, traces: Sequence[Trace], context: PageContext = PageContext()) -> str:
    """The page as text."""
    verdicts: Sequence[Verdict | None] = context.verdicts or [None] * len(traces)
    views = [view_trace(trace) for trace in traces]
    times_s = {time_s for view in views for time_s in view.frame_times_s}
    timelines = [_draw_timeline(view, trace, video) for view, trace in zip(views, traces, strict=True)]
    return render(
        "longvideoagent.views.html",
        "page.html.j2",
        title=title,
        video=video.reader.path.name,
        timeline=video.timeline,
        text_origin=video.text_origin,
        traces=list(zip(views, timelines, verdicts, strict=True)),
        introduction=context.introduction,
        media_url=context.media_url,
        shown_seconds=shown_seconds,
        thumbnails=thumbnails(video.reader, times_s, THUMBNAIL_PX),
    )


def render(package: str, template: str, **values: Any) -> str:
    """A page from a template of the package ``package``, with the shared style. All values are escaped; halves of
    characters, which JSON files may hold and no file can, are replaced."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["timestamp"] = format_timestamp
    environment.filters["plural"] = plural
    style = resources.files("longvideoagent.views.html").joinpath("style.css").read_text(encoding="utf-8")
    text = resources.files(package).joinpath(template).read_text(encoding="utf-8")
    return replace_surrogates(environment.from_string(text).render(style=Markup(style), **values))


def thumbnails(video: VideoReader, times_s: Collection[float], side_px: int) -> dict[float, str]:
    """Small frames as data URLs by their times in seconds, without those that are missing or cannot be read."""
    times = sorted(times_s)
    frames = video.frames(times, side_px)
    if len(frames) == len(times):
        by_time = dict(zip(times, frames, strict=True))
    else:  # a reader leaves out missing frames
        by_time = {time_s: frame for time_s in times for frame in video.frames([time_s], side_px)}
    return {time_s: Jpeg(frame.jpeg()).data_url for time_s, frame in by_time.items() if frame.is_readable()}


@dataclass(frozen=True, slots=True)
class Bar:
    """A clip on the timeline, placed in percent of the video."""

    clip: Clip
    left_percent: float
    width_percent: float
    is_visited: bool
    density: float


@dataclass(frozen=True, slots=True)
class TimelineView:
    """A video's clips as bars, and the evidence as ticks: times in seconds with their places in percent."""

    bars: Sequence[Bar]
    ticks: Mapping[float, float]


def _draw_timeline(view: TraceView, trace: Trace, video: Video) -> TimelineView:
    duration_s = video.timeline.duration_s
    ticks = {each.time_s: _percent(each.time_s, duration_s) for each in view.evidence}
    return TimelineView(list(_bars(video.timeline.clips, set(trace.visited_labels), duration_s)), ticks)


def _bars(clips: Iterable[Clip], visited: Collection[str], duration_s: float) -> Iterable[Bar]:
    for clip in clips:
        left, width = _percent(clip.start_s, duration_s), _percent(clip.end_s - clip.start_s, duration_s)
        yield Bar(clip, left, width, clip.label in visited, density(clip))


def density(clip: Clip) -> float:
    """How densely a clip is spoken in, 0 to 1: a subtitle line every four seconds is 1."""
    return min(1.0, 4.0 * len(clip.subtitles) / max(1.0, clip.end_s - clip.start_s))


def _percent(part_s: float, whole_s: float) -> float:
    return round(100.0 * part_s / whole_s, 3) if whole_s else 0.0
