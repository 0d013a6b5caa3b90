"""Where the scenes of a video begin, found at its keyframes and kept in its index.

Encoders put keyframes at cuts, and every few seconds where nothing is cut. Two of them in a row are of different scenes
if half of their pixels have other colours, which a camera in motion seldom does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from longvideoagent.index.stored_text import StepCost, seconds, write_step
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media import cv
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.progress import Progress, no_progress

VERSION = 1
"""Raise it when other scenes would be found."""
MIN_CHANGE = 0.5
"""The share of pixels with another colour from which on two frames are of different scenes."""
MAX_FRAMES = 2000
"""Frames that are compared, spread over a video with more keyframes."""
SIDE_PX = 160
BATCH_FRAMES = 64
STAGE, STEP_NAME = "finding the scenes", "scenes"


def find_scenes(reader: VideoReader, index: VideoIndex, progress: Progress = no_progress) -> tuple[float, ...]:
    """Find where the scenes of a video begin, unless its index has it.

    Args:
        reader: Reads its frames.
        index: Its index, which keeps what is found.
        progress: Called with the fraction of the frames that were compared.

    Returns:
        The starts of the scenes in seconds, the first one 0. A scene begins at the first keyframe after its cut.

    Raises:
        DataError: The video cannot be read.
    """
    times_s = _times_s(reader.keyframes_s)
    return index.build_once(
        lambda: read_scenes(index, reader) or None,
        lambda: _starts_s(reader, times_s, progress),
        lambda starts_s, taken_s: _write(
            index, _key(reader), starts_s, StepCost(STEP_NAME, f"{len(starts_s)} at {len(times_s)} keyframes", taken_s)
        ),
        progress,
    )


def read_scenes(index: VideoIndex, reader: VideoReader) -> tuple[float, ...]:
    """The starts of the scenes in seconds; none if they were not found yet."""
    statement = "SELECT start_s FROM scenes WHERE key = ? ORDER BY start_s"
    rows = index.read(lambda database: database.execute(statement, (_key(reader),)).fetchall())
    return tuple(seconds(start_s) for (start_s,) in rows or ())


def _key(reader: VideoReader) -> str:
    return f"{VERSION} {cv.VERSION} {reader.duration_s:.3f}"


def _times_s(keyframes_s: Sequence[float]) -> list[float]:
    chosen = np.linspace(0, len(keyframes_s) - 1, min(MAX_FRAMES, len(keyframes_s))).round().astype(int)
    return [keyframes_s[place] for place in chosen]


def _starts_s(reader: VideoReader, times_s: Sequence[float], progress: Progress) -> tuple[float, ...]:
    colours: list[tuple[float, cv.ColourShares]] = []
    for start in range(0, len(times_s), BATCH_FRAMES):
        progress(STAGE, start / len(times_s))
        frames = reader.frames(times_s[start : start + BATCH_FRAMES], SIDE_PX)
        colours += [(frame.time_s, cv.colour_shares(frame.rgb())) for frame in frames if frame.is_readable()]
    progress(STAGE, 1.0)
    cuts_s = [
        time_s
        for (_, before), (time_s, after) in pairwise(colours)
        if float(np.abs(before - after).sum()) / 2 >= MIN_CHANGE
    ]
    return (0.0, *cuts_s)


def _write(index: VideoIndex, key: str, starts_s: Sequence[float], cost: StepCost) -> None:
    def work(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM scenes")
        database.executemany("INSERT INTO scenes (key, start_s) VALUES (?, ?)", [(key, each) for each in starts_s])
        write_step(database, cost)

    index.write(work)
