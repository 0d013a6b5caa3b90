"""Checks of the clips, videos and frames of a release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from longvideoagent.datasets.longtvqa.clips import Episodes
from longvideoagent.datasets.longtvqa.episode_videos import frame_problems
from longvideoagent.datasets.records import Problem
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader

MISSING_VIDEO_S = 2.0
"""A video that ends so much before the clips of its episode is cut short, or is of another episode."""


def open_frames(folder: Path) -> FrameFolderReader | None:
    """The reader of a folder of frames; None if it has no numbered frame."""
    try:
        return FrameFolderReader(folder)
    except DataError:
        return None


def missing_clip_problems(path: Path, episodes: Episodes, episode: str) -> Iterator[Problem]:
    """The problem of an episode that lacks clips by the numbers of the others; ``path`` is where they are missing."""
    if missing := episodes.missing_clips(episode):
        message = f"{len(missing)} of {episode} are missing ({missing[0]} first); later clips begin too early"
        yield Problem(path, 0, "clips", message)


def episode_video_problems(path: Path, duration_s: float) -> Iterator[Problem]:
    """The problems of the video file of an episode that lasts ``duration_s``."""
    try:
        video_s = open_reader(path).duration_s
    except DataError as error:
        yield Problem(path, 0, "video", str(error).removeprefix(f"{path}: "))
        return
    if video_s < duration_s - MISSING_VIDEO_S:
        message = f"lasts {video_s:.1f} s of {duration_s:.1f} s; is it cut short? get it again"
        yield Problem(path, 0, "video", message)


def frame_folder_problems(path: Path, known_duration_s: float) -> Iterator[Problem]:
    """The problems of the folder of a clip's frames; ``known_duration_s`` is 0 for a clip of unknown length."""
    folder = open_frames(path)
    if folder is None:
        yield Problem(path, 0, "frames", "no folder of numbered frames for this clip; add it to see the clip")
    else:
        yield from frame_problems(folder, known_duration_s)
