"""The interface of a data set, which evaluation and training use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.records import Problem
from longvideoagent.media.video import Video


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    counts: Mapping[str, int]
    problems: Sequence[Problem]


class ClipCounts(NamedTuple):
    """Numbers of clips of some videos."""

    without_frames: int
    total: int


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

    @property
    def has_boxes(self) -> bool:
        """Whether the set publishes gold boxes."""

    def boxes(self, sample: Sample) -> tuple[Box, ...] | None:
        """The gold boxes of a question; empty if it has none, None if one is invalid."""

    def check(self) -> CheckReport:
        """Count the parts of the set and collect all its problems, those of its videos and subtitles included."""

    def subtitle_files(self) -> Iterable[Path]:
        """The files that the text and the lengths of its clips are read from; some may not exist."""

    def count_clips(self, videos: Collection[str]) -> ClipCounts:
        """Count the clips of these videos. A set of video files has frames everywhere, and may return zeros."""

    def clip_labels(self, video: str) -> Collection[str] | None:
        """The labels of a video's clips; None if they are known only once the video is open."""

    def open_video(self, video: str) -> Video:
        """Open a video with its timeline. Raises DataError if it is missing or unreadable."""
