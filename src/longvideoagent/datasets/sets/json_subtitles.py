"""Subtitles of LongVideoBench: a JSON list of lines, timed on the axis of a longer, original video."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.fields import as_finite, read_line, valid_lines
from longvideoagent.datasets.records import Problem, RecordFile
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.timeline import build_timeline
from longvideoagent.media.video import Video

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
    moved = [
        replace(line, start_s=line.start_s - subtitle_offset_s, end_s=line.end_s - subtitle_offset_s) for line in lines
    ]
    inside = [replace(line, start_s=max(0.0, line.start_s)) for line in moved if line.end_s > 0]
    inside = sorted((line for line in inside if line.start_s < reader.duration_s), key=lambda line: line.start_s)
    timeline = build_timeline(reader.duration_s, inside, reader.keyframes_s, [])
    warnings = (*reader.warnings, *map(str, problems))
    return Video(reader, timeline, subtitles.name if inside else "nowhere", warnings)


def read_json_subtitles(path: Path) -> JsonSubtitles:
    """Read lines, each ``{start, end, line}`` or ``{timestamp: [start, end], text}``. Raises DataError if the file
    cannot be read at all."""
    file = RecordFile.read(path)
    lines, problem = valid_lines(_parse_line(record.values) for record in file.records())
    return JsonSubtitles(lines, file.problems + ([Problem(path, 0, "", problem)] if problem else []))


def _parse_line(values: Mapping[str, Any]) -> Subtitle | None:
    times = values.get("timestamp")
    start, end = times if isinstance(times, list) and len(times) == 2 else (values.get("start"), values.get("end"))
    return read_line(_seconds(start), _seconds(end), values.get("line", values.get("text")))


def _seconds(value: Any) -> float | None:
    """Seconds of a number or of ``hh:mm:ss.fff``; None for anything else."""
    timestamp_s = parse_timestamp(value) if isinstance(value, str) else None
    return as_finite(value) if timestamp_s is None else timestamp_s


def parse_timestamp(text: str) -> float | None:
    """Seconds of ``mm:ss`` or ``hh:mm:ss.fff``; None for anything else."""
    match = _TIMESTAMP.fullmatch(text.strip())
    return 3600.0 * int(match[1] or 0) + 60.0 * int(match[2]) + float(match[3]) if match else None
