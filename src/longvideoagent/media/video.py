"""A video that can be asked about: its frames and its timeline."""

from __future__ import annotations

from dataclasses import dataclass

from longvideoagent.core.types import Timeline
from longvideoagent.media.readers.base import VideoReader

NO_SOURCE = "nowhere"
"""The ``text_source`` of a video without text."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video that can be asked about; ``open_video`` opens one."""

    reader: VideoReader
    """Reads its frames."""
    timeline: Timeline
    """Its clips with their subtitles."""
    text_source: str
    """Where the subtitles come from, in words: a file's name, "the speech", "the screen", or "nowhere"."""
    warnings: tuple[str, ...] = ()
    """What was ignored or repaired while it was opened; each trace repeats it."""

    @property
    def text_origin(self) -> str:
        """Where its text comes from, for people: ``text from talk.srt``, or ``no text``."""
        return "no text" if self.text_source == NO_SOURCE else f"text from {self.text_source}"
