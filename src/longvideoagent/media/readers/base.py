"""What the system needs of a video, and the reader for a path.

Every reader answers the same questions: how long, where are the keyframes, and what is shown at these
seconds. The frame shown at t is the last one whose time is not after t, on constant and on variable
frame rate alike.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from longvideoagent.errors import DataError
from longvideoagent.media.frames import MAX_SIDE_PX, Frame
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S, FrameFolderReader

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
"""Of the files in which data sets keep their videos."""


class VideoReader(Protocol):
    """What the system needs of a video."""

    path: Path

    @property
    def duration_s(self) -> float:
        """Seconds from the start to the end of the last frame that is really there."""

    @property
    def keyframes_s(self) -> Sequence[float]:
        """Times, ascending, at which a frame is cheap to fetch."""

    @property
    def warnings(self) -> Sequence[str]:
        """What had to be ignored while reading."""

    def frames(self, times_s: Sequence[float], max_side_px: int = MAX_SIDE_PX) -> list[Frame]:
        """The frames shown at these times, in their order. A frame shown at several of the times
        comes several times; times outside the video give the nearest frame. Pixels are scaled down to
        ``max_side_px``; stored JPEG bytes keep their size."""


def open_reader(path: str | Path, frames_per_s: float = TVQA_FRAMES_PER_S) -> VideoReader:
    """A reader for ``path``: a folder is read as JPEG frames, anything else as a video file.

    Raises DataError where it is missing or holds no picture.
    """
    path = Path(os.path.expanduser(path))  # noqa: PTH111 (Path's own raises on an unknown ~user)
    if path.is_dir():
        return FrameFolderReader(path, frames_per_s)
    if re.match(r"[a-z]+:/", str(path)):
        raise DataError(f"{path}: addresses are not fetched; download the video and give the file")
    if not path.exists():
        raise DataError(f"{path}: no such file; check the path")
    return VideoFileReader(path)
