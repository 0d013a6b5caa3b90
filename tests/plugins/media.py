"""Videos written for a test; the brightness of a frame is a function of its number."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from longvideoagent.media.frames import Pixels

TALK_CUES = """1
00:00:01,000 --> 00:00:02,000
Mira: The lanterns are red

2
00:00:03,000 --> 00:00:04,000
Otto: Yes
"""
EVERY_40_MS = range(0, 6000, 40)
"""Frame times of six seconds at 25 frames a second."""
_FAST = {"libvpx": {"deadline": "realtime", "cpu-used": "8"}}
"""Options of encoders that are slow by default."""


def write_video(  # noqa: PLR0913
    path: Path,
    times_ms: Sequence[int],
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    gop: int = 12,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> list[float]:
    """A video whose frame i has brightness ``shade(i)`` and is shown from ``times_ms[i]`` on. Returns
    the times in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=_FAST.get(codec, {}) | (options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.gop_size = gop
        if codec != "mpeg4":  # avi counts frames, not milliseconds
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for index, time_ms in enumerate(times_ms):
            rgb = np.full((size[1], size[0], 3), shade(index), np.uint8)
            rgb[: size[1] // 4, : size[0] // 4] = 255  # a mark in the top left corner
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = (index, Fraction(1, 25)) if codec == "mpeg4" else (time_ms, Fraction(1, 1000))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [time_ms / 1000 for time_ms in times_ms]


def write_pictures(path: Path, pictures: Sequence[Pixels | tuple[int, int, int]]) -> None:
    """Write a video with a second, and a keyframe, of each picture. A colour is a picture of 64 x 48 pixels."""
    frames = [np.full((48, 64, 3), each, np.uint8) if isinstance(each, tuple) else each for each in pictures]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.gop_size = "yuv420p", 5
        for rgb in frames:
            for _ in range(5):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


def write_screens(folder: Path, words: list[str], *, seconds: int, size: tuple[int, int] = (320, 180)) -> Path:
    """Write a folder of frames, one per second; each word stays for that many seconds."""
    folder.mkdir()
    for number, word in enumerate(words):
        image = Image.new("RGB", size, (40, 90, 40))
        if word:
            middle = size[0] // 2, size[1] // 2
            ImageDraw.Draw(image).text(middle, word, font=ImageFont.load_default(44), fill="white", anchor="mm")
        image.save(folder / f"{number * seconds + 1:05}.jpg", quality=90)
        for second in range(1, seconds):
            os.link(folder / f"{number * seconds + 1:05}.jpg", folder / f"{number * seconds + 1 + second:05}.jpg")
    return folder


def shade(index: int) -> int:
    """Brightness of frame ``index``; neighbours differ by far more than coding noise."""
    return (index * 37) % 200 + 10


def brightness(rgb: Pixels) -> float:
    """Brightness of the middle of a frame, away from the mark."""
    height, width = rgb.shape[:2]
    return float(rgb[height // 2 :, width // 2 :].mean())


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of grey at 25 frames a second."""
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    write_video(path, range(0, 10_000, 40), gop=50)
    return path


@pytest.fixture(scope="session")
def subtitled_video(short_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short video with one subtitle line, which makes it cheap to open: no text is read off the screen."""
    path = tmp_path_factory.mktemp("subtitled") / "short.mp4"
    path.write_bytes(short_video.read_bytes())
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    return path


@pytest.fixture
def talk(short_video: Path, tmp_path: Path) -> Path:
    """The short video in the test's own folder, with a line of Mira and one of Otto: ``TALK_CUES``."""
    path = tmp_path / "talk.mp4"
    path.write_bytes(short_video.read_bytes())
    path.with_suffix(".srt").write_text(TALK_CUES)
    return path


@pytest.fixture(scope="module")
def grey_talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of grey, with subtitles, so that no text is read off the screen."""
    path = tmp_path_factory.mktemp("grey") / "talk.mp4"
    write_video(path, range(0, 180_000, 10_000))
    lines = [f"{n + 1}\n00:0{n}:15,000 --> 00:0{n}:17,000\nThe wall is grey\n" for n in range(3)]
    path.with_suffix(".srt").write_text("\n".join(lines))
    return path
