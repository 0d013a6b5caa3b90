"""The interface of all video readers, and the reader for a path.

A reader gives the duration, the keyframe times, and the frames shown at given times. The frame shown at t is the last
one whose time is not after t, on constant and on variable frame rate alike.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from longvideoagent.errors import DataError
from longvideoagent.media.frames import MAX_SIDE_PX, Frame
from longvideoagent.media.isolation import is_enabled
from longvideoagent.media.packet_index import check_length
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S, FrameFolderReader
from longvideoagent.media.readers.isolated import IsolatedReader

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
"""Suffixes of the video files of data sets."""


class VideoReader(Protocol):
    """Reads frames of one video by time."""

    path: Path
    """The video file, or the folder of frames."""

    @property
    def duration_s(self) -> float:
        """Seconds from the start to the end of the last frame that exists."""

    @property
    def keyframes_s(self) -> Sequence[float]:
        """Times in seconds, ascending, at which a frame is cheap to read."""

    @property
    def warnings(self) -> Sequence[str]:
        """What was ignored while reading."""

    def frames(self, times_s: Sequence[float], max_side_px: int = MAX_SIDE_PX) -> list[Frame]:
        """Return the frame shown at each of these times.

        Args:
            times_s: Seconds from the start of the video; those outside of it give the nearest frame.
            max_side_px: Pixels are scaled down until neither side is longer. Stored JPEG bytes keep their size.

        Returns:
            The frames in the order of the times; a frame shown at several of them is returned several times. Frames
            that are missing in a folder are left out.

        Raises:
            DataError: The file cannot be read any more.
        """


def open_reader(path: str | Path, frames_per_s: float = TVQA_FRAMES_PER_S) -> VideoReader:
    """Return a reader for a folder of JPEG frames or for a video file.

    Args:
        path: A folder of numbered JPEG frames, or a video file that FFmpeg reads.
        frames_per_s: The rate of a folder of frames, in frames per second (TVQA: 3).

    Returns:
        The reader of its frames.

    Raises:
        DataError: It does not exist, is a URL, has no frames, or its frames are numbered for more than a week.
    """
    path = Path(os.path.expanduser(path))  # noqa: PTH111 (Path's own raises on an unknown ~user)
    if path.is_dir():
        folder = FrameFolderReader(path, frames_per_s)
        check_length(path, folder.duration_s)
        return folder
    if re.match(r"[a-z]+:/", str(path)) and not path.exists():
        raise DataError(f"{path}: URLs are not supported; download the video and give the file")
    if not path.exists():
        raise DataError(f"{path}: no such file; check the path")
    return IsolatedReader(path) if is_enabled() else VideoFileReader(path)


def needs_packet_times(reader: VideoReader) -> bool:
    """Whether a reader finds frames by the times of all packets, which it reads when its duration is first needed,
    because the file's own timestamps cannot be used."""
    return isinstance(reader, VideoFileReader | IsolatedReader) and reader.needs_packet_times
