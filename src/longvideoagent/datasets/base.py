"""The interface of a data set, which evaluation and training use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.records import Problem
from longvideoagent.media.video import Video


class Dataset(Protocol):
    """Questions with their gold answers, and their videos."""

    @property
    def name(self) -> str:
        """The name that its publishers use."""

    @property
    def folder(self) -> Path:
        """The folder of its videos and subtitles."""

    @property
    def samples(self) -> Sequence[Sample]:
        """All usable questions, in the order of their file."""

    @property
    def problems(self) -> Sequence[Problem]:
        """The problems of its records and files."""

    def clip_labels(self, video: str) -> Collection[str] | None:
        """The labels of a video's clips; None if they are known only once the video is open."""

    def open_video(self, video: str) -> Video:
        """Open a video with its timeline. Raises DataError if it is missing or unreadable."""
