"""The interface of a data set, which evaluation and training use."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.records import Problem
from longvideoagent.media.video import Video


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """How to read a folder whose files alone do not decide it."""

    data_set: str | None = None
    """Which set to read if the folder has several, such as ``longtvqa-plus``; upper case and _ do not matter."""
    subtitles: Path | None = None
    """The file of subtitles by clip or by episode, wherever it is; None: found by its name."""
    encoding: str | None = None
    """The encoding of the subtitle files of videos, as Python names it; None: recognised."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> DatasetOptions:
        """The options of a run's configuration."""
        subtitles = record.get("subtitles_file")
        return cls(record.get("data_set"), None if subtitles is None else Path(subtitles), record.get("encoding"))

    def to_record(self) -> dict[str, str | None]:
        """The options as fields of a run's configuration."""
        return {
            "data_set": self.data_set,
            "subtitles_file": None if self.subtitles is None else str(self.subtitles.resolve()),
            "encoding": self.encoding,
        }

    def selects(self, name: str) -> bool:
        """Whether a set of this name may be read."""
        return self.data_set is None or _normalize_name(self.data_set) == _normalize_name(name)


NO_OPTIONS = DatasetOptions()
"""The folder decides."""


def _normalize_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))


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

    def boxes(self, sample: Sample) -> tuple[Box, ...]:
        """The gold boxes of a question, without invalid ones."""

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
