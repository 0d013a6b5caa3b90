"""Times as other sets write them, and the subtitles of LongVideoBench: a JSON list of lines, timed on the axis of a
longer, original video."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.gold import Span
from longvideoagent.datasets.records import Problem, RecordFile, finite
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.timeline import build_timeline
from longvideoagent.media.video import Video

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def open_with_lines(video: Path, subtitles: Path, starts_s: float) -> Video:
    """A video with the lines of such a file, of which ``starts_s`` is the video's own start. What is wrong
    with them is told in the warnings. Raises DataError where a file cannot be read at all."""
    film = open_reader(video)
    lines, problems = read_lines(subtitles)
    moved = [replace(line, start_s=line.start_s - starts_s, end_s=line.end_s - starts_s) for line in lines]
    inside = [replace(line, start_s=max(0.0, line.start_s)) for line in moved if line.end_s > 0]
    inside = sorted((line for line in inside if line.start_s < film.duration_s), key=lambda line: line.start_s)
    timeline = build_timeline(film.duration_s, inside, film.keyframes_s, [])
    warnings = (*film.warnings, *map(str, problems))
    return Video(film, timeline, subtitles.name if inside else "nowhere", warnings)


def read_lines(path: Path) -> tuple[list[Subtitle], list[Problem]]:
    """The lines, each ``{start, end, line}`` or ``{timestamp: [start, end], text}``, and what is wrong with the file.
    Raises DataError where it cannot be read at all."""
    file = RecordFile.read(path)
    told = [_line(record.values) for record in file.records()]
    lines = [line for line in told if line is not None]
    lost = f"{len(told) - len(lines)} lines have no times or no text; they are left out"
    return lines, file.problems + ([Problem(path, 0, "", lost)] if len(lines) < len(told) else [])


def _line(values: Mapping[str, Any]) -> Subtitle | None:
    times = values.get("timestamp")
    start, end = times if isinstance(times, list) and len(times) == 2 else (values.get("start"), values.get("end"))
    text, start_s, end_s = values.get("line", values.get("text")), seconds(start), seconds(end)
    if start_s is None or end_s is None or end_s < start_s or not isinstance(text, str) or not text.strip():
        return None
    return Subtitle(start_s, end_s, " ".join(text.split()))


def seconds(told: Any) -> float | None:
    """Seconds of a number or of ``hh:mm:ss.fff``; None for anything else."""
    on_clock = _clock_seconds(told) if isinstance(told, str) else None
    return finite(told) if on_clock is None else on_clock


def read_clock_spans(told: object) -> tuple[Span, ...]:
    """Seconds of ``00:15-00:19`` or ``01:02:03-01:02:09``, of a moment as ``00:15``, or of several of them with
    commas between; empty where any of it is none of these."""
    spans = [_clock_span(each) for each in re.split("[,;]", told)] if isinstance(told, str) else []
    read = tuple(span for span in spans if span is not None)
    return read if len(read) == len(spans) else ()


def _clock_span(told: str) -> Span | None:
    ends = [_clock_seconds(end) for end in re.split("[-–~]", told)]
    start_s, end_s = ends[0], ends[-1]
    return (
        (start_s, end_s) if len(ends) <= 2 and start_s is not None and end_s is not None and start_s <= end_s else None
    )


def _clock_seconds(told: str) -> float | None:
    found = _CLOCK.fullmatch(told.strip())
    return 3600.0 * int(found[1] or 0) + 60.0 * int(found[2]) + float(found[3]) if found else None
