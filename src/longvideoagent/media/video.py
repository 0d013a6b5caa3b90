"""A video that can be asked about: its frames and its timeline."""

from __future__ import annotations

from dataclasses import dataclass

from longvideoagent.core.types import Timeline
from longvideoagent.media.readers.base import VideoReader


@dataclass(frozen=True, slots=True)
class Video:
    """A video's frames, its clips with their subtitles, and what had to be ignored while opening it."""

    reader: VideoReader
    timeline: Timeline
    text_source: str
    """Where the subtitles come from, in words: a file's name, "the speech", "the screen", or "nowhere"."""
    warnings: tuple[str, ...] = ()
