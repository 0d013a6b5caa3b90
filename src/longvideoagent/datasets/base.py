"""What evaluation and training need of a data set, whichever it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.records import Problem
from longvideoagent.media.video import Video


class DataSet(Protocol):
    """Questions with their gold answers, and the videos they are about."""

    @property
    def name(self) -> str:
        """As its publishers call it."""

    @property
    def folder(self) -> Path:
        """Where its videos and subtitles lie."""

    @property
    def samples(self) -> Sequence[Sample]:
        """Everything that can be asked, in the order of its file."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Every record or file that is not as it should be."""

    def clips(self, video: str) -> Collection[str] | None:
        """The labels of a video's clips; None where only opening it tells them."""

    def episode(self, video: str) -> Video:
        """A video made ready to be asked. Raises DataError where it is not at hand."""
