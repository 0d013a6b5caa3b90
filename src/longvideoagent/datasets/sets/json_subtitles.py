"""Subtitles of LongVideoBench: a JSON list of lines, timed on the axis of a longer, original video."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.fields import MAX_TIME_S, as_finite, read_line, valid_lines
from longvideoagent.datasets.records import Problem, RecordFile
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.timeline import build_timeline
from longvideoagent.media.video import NO_SOURCE, Video

_TIMESTAMP = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


class JsonSubtitles(NamedTuple):
    """The content of a subtitle file."""

    lines: list[Subtitle]
    problems: list[Problem]


def open_with_json_subtitles(video: Path, subtitles: Path, subtitle_offset_s: float) -> Video:
    """Open a video with its JSON subtitles; ``subtitle_offset_s`` is the video's start on their axis. Problems of the
    subtitles are warnings of the video. Raises DataError if a file cannot be read at all."""
    reader = open_reader(video)
    lines, problems = read_json_subtitles(subtitles)
    duration_s = reader.duration_s
    moved = [
        replace(line, start_s=line.start_s - subtitle_offset_s, end_s=line.end_s - subtitle_offset_s) for line in lines
    ]
    inside = [
        replace(line, start_s=max(0.0, line.start_s), end_s=min(duration_s, line.end_s))
        for line in moved
        if line.end_s > 0 and line.start_s < duration_s
    ]
    timeline = build_timeline(duration_s, sorted(inside, key=lambda line: line.start_s), reader.keyframes_s, [])
    warnings = (*reader.warnings, *map(str, problems))
    return Video(reader, timeline, subtitles.name if inside else NO_SOURCE, warnings)


def read_json_subtitles(path: Path) -> JsonSubtitles:
    """Read lines, each ``{start, end, line}`` or ``{timestamp: [start, end], text}``. A line without an end, as speech
    recognition leaves the last one, ends where the next begins, else at ``MAX_TIME_S``. Raises DataError if the file
    cannot be read at all."""
    file = RecordFile.read(path)
    raw = [_read_raw_line(record.values) for record in file.records()]
    starts = sorted(line.start_s for line in raw if line.start_s is not None)
    lines, problem = valid_lines(_parse_line(line, starts) for line in raw)
    return JsonSubtitles(lines, file.problems + ([Problem(path, 0, "", problem)] if problem else []))


class _RawLine(NamedTuple):
    """The fields of a line."""

    start_s: float | None
    end_s: float | None
    has_end: bool
    text: object


def _read_raw_line(values: Mapping[str, Any]) -> _RawLine:
    times = values.get("timestamp")
    start, end = times if isinstance(times, list) and len(times) == 2 else (values.get("start"), values.get("end"))
    return _RawLine(_seconds(start), _seconds(end), end is not None, values.get("line", values.get("text")))


def _parse_line(line: _RawLine, starts: Sequence[float]) -> Subtitle | None:
    """The line, or None if it is not valid; ``starts`` are those of all lines, in order."""
    if line.start_s is None or line.has_end:
        return read_line(line.start_s, line.end_s, line.text)
    following = bisect_right(starts, line.start_s)
    return read_line(line.start_s, starts[following] if following < len(starts) else MAX_TIME_S, line.text)


def _seconds(value: Any) -> float | None:
    """Seconds of a number or of ``hh:mm:ss.fff``; None for anything else."""
    timestamp_s = parse_timestamp(value) if isinstance(value, str) else None
    return as_finite(value) if timestamp_s is None else timestamp_s


def parse_timestamp(text: str) -> float | None:
    """Seconds of ``mm:ss`` or ``hh:mm:ss.fff``; None for anything else."""
    match = _TIMESTAMP.fullmatch(text.strip())
    return 3600.0 * int(match[1] or 0) + 60.0 * int(match[2]) + float(match[3]) if match else None
