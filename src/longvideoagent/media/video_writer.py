"""Write frames as a video file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from longvideoagent.errors import DataError
from longvideoagent.fs import atomic_path
from longvideoagent.media.frames import Pixels
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S

RATE = Fraction(TVQA_FRAMES_PER_S)
CODEC_OPTIONS = {"preset": "veryfast", "threads": "2"}
"""The number of threads is fixed because it changes the bytes."""


def encode_frames(video: VideoReader, path: Path) -> None:
    """Write the frames shown three times a second as h264, completely or not at all; black where there is no frame.

    All are scaled to the size of the first frame that can be read. Raises DataError if there is none."""
    times_s = [index / TVQA_FRAMES_PER_S for index in range(int(video.duration_s * TVQA_FRAMES_PER_S))]
    first = next((shown for time_s in times_s if (shown := _shown(video, time_s)) is not None), None)
    if first is None:
        raise DataError(f"{video.path}: no frame that can be read; extract the frames again")
    height_px, width_px = (side // 2 * 2 for side in first.shape[:2])  # as h264 needs it
    black = np.zeros((height_px, width_px, 3), np.uint8)
    with atomic_path(path) as partial, av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=CODEC_OPTIONS)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", width_px, height_px
        for index, time_s in enumerate(times_s):
            shown = _shown(video, time_s)
            frame = av.VideoFrame.from_ndarray(black if shown is None else shown, format="rgb24")
            frame = frame.reformat(width=width_px, height=height_px)
            frame.pts, frame.time_base = index, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _shown(video: VideoReader, time_s: float) -> Pixels | None:
    frames = video.frames([time_s])
    return frames[0].rgb() if frames and frames[0].is_readable() else None
