"""Write subtitle files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pysubs2

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import UsageError
from longvideoagent.fs import atomic_write_text


def subtitle_text(subtitles: Iterable[Subtitle], form: str) -> str:
    """The text of a subtitle file, ending with one newline; ``form`` is srt or vtt."""
    file = pysubs2.SSAFile()
    file.events.extend(pysubs2.SSAEvent(_ms(cue.start_s), _ms(cue.end_s), text=cue.text) for cue in subtitles)
    text: str = file.to_string(form)
    return text.rstrip("\n") + "\n"


def write_srt(path: Path, subtitles: Iterable[Subtitle]) -> None:
    """Write a SubRip file, completely or not at all. Raises UsageError if the file exists."""
    if path.exists():
        raise UsageError(f"{path}: exists already; delete it or choose another --out")
    atomic_write_text(path, subtitle_text(subtitles, "srt"))


def _ms(time_s: float) -> int:
    return round(1000 * time_s)
