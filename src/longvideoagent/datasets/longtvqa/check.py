"""Checks of the clips, videos and frames of a release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from longvideoagent.datasets.longtvqa.clips import ClipName, Episodes
from longvideoagent.datasets.longtvqa.episode_videos import frame_problems
from longvideoagent.datasets.records import Problem
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader

BBT = "bbt"
"""The name of The Big Bang Theory, whose clips have no prefix, among the frames."""
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


def clips_of_shows_without_frames(clips: Iterable[str], by_clip: Mapping[str, Path]) -> dict[str, str]:
    """The show of each of these clips that belongs to a show without any frames; TVQA's frames come one show at a
    time."""
    shows = {name.show for clip in by_clip if (name := ClipName.parse(clip)) is not None}
    named = {clip: name.show for clip in clips if (name := ClipName.parse(clip)) is not None}
    return {clip: show for clip, show in named.items() if show not in shows}


def missing_show_problems(folder: Path, missing: Mapping[str, str]) -> Iterator[Problem]:
    """One problem for each show of ``clips_of_shows_without_frames``."""
    for show, count in Counter(missing.values()).items():
        name = show or BBT
        message = f"no frames of the {count} clips of {name}; lva data download frames --show {name} gets them"
        yield Problem(folder, 0, "frames", message)


def frame_folder_problems(path: Path, known_duration_s: float) -> Iterator[Problem]:
    """The problems of the folder of a clip's frames; ``known_duration_s`` is 0 for a clip of unknown length."""
    folder = open_frames(path)
    if folder is None:
        yield Problem(path, 0, "frames", "no folder of numbered frames for this clip; add it to see the clip")
    else:
        yield from frame_problems(folder, known_duration_s)
