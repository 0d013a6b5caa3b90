"""Frames as a video file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from longvideoagent.files import whole
from longvideoagent.media.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.media.frames import Pixels
from longvideoagent.media.video import Video


def encode_frames(video: Video, duration_s: float, path: Path) -> None:
    """Write what is shown three times a second as h264, whole or not at all; black where nothing is."""
    with whole(path) as partial:
        _encode(video, duration_s, partial)


def _encode(video: Video, duration_s: float, path: Path) -> None:
    size: tuple[int, int] | None = None
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=Fraction(TVQA_FRAMES_PER_S), options={"preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for index in range(int(duration_s * TVQA_FRAMES_PER_S)):
            found = video.frames([index / TVQA_FRAMES_PER_S])
            shown = found[0].rgb() if found and found[0].is_readable() else None
            if size is None:
                size = (640, 360) if shown is None else (shown.shape[1] // 2 * 2, shown.shape[0] // 2 * 2)
                stream.width, stream.height = size
            picture = av.VideoFrame.from_ndarray(_sized(shown, size), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1) / Fraction(TVQA_FRAMES_PER_S)
            made.mux(stream.encode(picture))
        made.mux(stream.encode())


def _sized(rgb: Pixels | None, size: tuple[int, int]) -> Pixels:
    """The picture cut to, or set on black of, the size of the first."""
    width, height = size
    sheet = np.zeros((height, width, 3), np.uint8)
    if rgb is not None:
        part = rgb[:height, :width]
        sheet[: part.shape[0], : part.shape[1]] = part
    return sheet
