"""Write subtitle files in SRT and WebVTT."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import UsageError
from longvideoagent.fs import atomic_write_text
from longvideoagent.media.subtitles.markup import tagged_text

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_OVERRIDE = re.compile(r"\{(?=\\)")


def subtitle_text(subtitles: Iterable[Subtitle], form: Literal["srt", "vtt"]) -> str:
    """The text of a subtitle file, ending with one newline.

    In WebVTT what it would take as markup is escaped. SRT has no escapes that all programs know, so only a text that
    would lose something is escaped there.
    """
    header, write_cue = (["WEBVTT"], _vtt_cue) if form == "vtt" else ([], _srt_cue)
    cues = (f"{number}\n{write_cue(line)}" for number, line in enumerate(subtitles, 1))
    return "\n\n".join([*header, *cues]) + "\n"


def write_srt(path: Path, subtitles: Iterable[Subtitle]) -> None:
    """Write a SubRip file, completely or not at all. Raises UsageError if the file exists."""
    if path.exists():
        raise UsageError(f"{path}: exists already; delete it or choose another --out")
    atomic_write_text(path, subtitle_text(subtitles, "srt"))


def _vtt_cue(line: Subtitle) -> str:
    return f"{_clock(line.start_s, '.')} --> {_clock(line.end_s, '.')}\n{_escaped(line.text)}"


def _srt_cue(line: Subtitle) -> str:
    text = " ".join(line.text.split())
    shown = text if tagged_text(text) == text else _escaped(text)
    return f"{_clock(line.start_s, ',')} --> {_clock(line.end_s, ',')}\n{shown}"


def _escaped(text: str) -> str:
    return _OVERRIDE.sub("&#123;", " ".join(text.split()).translate(_ESCAPES))


def _clock(time_s: float, separator: str) -> str:
    minutes, ms = divmod(max(0, round(1000 * time_s)), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{ms // 1000:02}{separator}{ms % 1000:03}"
