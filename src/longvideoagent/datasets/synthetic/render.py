"""Render scenes: h264 video, and the boxes of what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from longvideoagent.datasets.synthetic.scenario import COLOUR_RGB, Figure, Scene
from longvideoagent.media.frames import Pixels
from longvideoagent.progress import Progress, no_progress

WIDTH_PX, HEIGHT_PX = 640, 360
FRAMES_PER_S = 5
PROP_PX = 46
PROP_CROSSING_S = 4.0
FLOOR_PX = 300
_SLOTS_PX = (120, 320, 520)
_SKIN = (236, 196, 160)
_CODEC_OPTIONS = {"preset": "veryfast", "crf": "27", "tune": "stillimage", "threads": "2"}
"""A fixed number of threads, since it changes the bytes."""

BoxPx = tuple[int, int, int, int]
"""left, top, width, height."""


class _FrameState(NamedTuple):
    """What distinguishes the frames of a scene."""

    sign_index: int
    prop_left_px: int
    speaking_slot: int
    """The slot of the figure with an open mouth, or -1."""
    has_flash: bool


def render_video(scenes: Sequence[Scene], path: Path, progress: Progress = no_progress) -> None:
    """Write the scenes as an h264 mp4 of 640 x 360 at 5 frames a second, and one more at the end of each flash. Each
    scene starts with a keyframe."""
    has_flash = any(scene.flash for scene in scenes)
    ticks_per_s = 2 * FRAMES_PER_S if has_flash else FRAMES_PER_S
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=ticks_per_s, options=_CODEC_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks_per_s)
        stream.gop_size = 10 * FRAMES_PER_S
        for scene in scenes:
            frames: dict[_FrameState, av.VideoFrame] = {}
            for number in _frame_ticks(scene, ticks_per_s):
                state = _state(scene, number / ticks_per_s)
                if state not in frames:
                    rgb = av.VideoFrame.from_ndarray(_draw_frame(scene, state), format="rgb24")
                    frames[state] = rgb.reformat(format="yuv420p")
                frame = frames[state]
                frame.pts = number
                frame.time_base = Fraction(1, ticks_per_s)
                container.mux(stream.encode(frame))
            progress("rendering the video", scene.end_s / scenes[-1].end_s)
        container.mux(stream.encode())


def _frame_ticks(scene: Scene, ticks_per_s: int) -> list[int]:
    """The times of a scene's frames, in ticks."""
    step = ticks_per_s // FRAMES_PER_S
    ticks = set(range(round(scene.start_s * ticks_per_s), round(scene.end_s * ticks_per_s), step))
    return sorted(ticks | ({round(scene.flash.end_s * ticks_per_s)} if scene.flash else set()))


def sign_box() -> BoxPx:
    """The box of the sign."""
    return 180, 12, 280, 54


def flash_box() -> BoxPx:
    """The box of a word that flashes up."""
    return 482, 16, 148, 46


def shirt_box(figure: Figure) -> BoxPx:
    """The box of a figure's shirt."""
    return _SLOTS_PX[figure.slot] - 66, 172, 132, 92


def prop_box(scene: Scene, time_s: float) -> BoxPx:
    """The box of the prop at a time."""
    return _prop_left(scene, time_s), FLOOR_PX, PROP_PX, PROP_PX


def _prop_left(scene: Scene, time_s: float) -> int:
    fraction = min(1.0, max(0.0, (time_s - scene.prop_start_s) / PROP_CROSSING_S))
    if not scene.prop_goes_right:
        fraction = 1.0 - fraction
    return round(20 + fraction * (WIDTH_PX - PROP_PX - 40))


def _state(scene: Scene, time_s: float) -> _FrameState:
    speaking = next((line.speaker for line in scene.lines if line.start_s <= time_s < line.end_s), None)
    slot = scene.figure(speaking).slot if speaking and int(time_s * FRAMES_PER_S) % 2 else -1
    has_flash = scene.flash is not None and scene.flash.start_s - 1e-6 <= time_s < scene.flash.end_s - 1e-6
    return _FrameState(int(time_s >= scene.sign_change_s), _prop_left(scene, time_s), slot, has_flash)


def _draw_frame(scene: Scene, state: _FrameState) -> Pixels:
    image = _backdrop(scene.index).copy()
    draw = ImageDraw.Draw(image)
    left, top, width, height = sign_box()
    draw.rectangle((left, top, left + width, top + height), fill=(250, 250, 245), outline=(60, 50, 40), width=3)
    _draw_text(draw, (left + width // 2, top + height // 2), scene.signs[state.sign_index], 26, (20, 20, 20))
    if scene.flash is not None and state.has_flash:
        _draw_flash(draw, scene.flash.word)
    for figure in scene.figures:
        _draw_figure(draw, figure, figure.slot == state.speaking_slot)
    left = state.prop_left_px
    draw.rectangle((left, FLOOR_PX, left + PROP_PX, FLOOR_PX + PROP_PX), fill=COLOUR_RGB[scene.prop_colour])
    return np.asarray(image, dtype=np.uint8)


def _draw_flash(draw: ImageDraw.ImageDraw, word: str) -> None:
    left, top, width, height = flash_box()
    draw.rectangle((left, top, left + width, top + height), fill=(20, 20, 20))
    _draw_text(draw, (left + width // 2, top + height // 2), word, 26, (255, 255, 255))


@lru_cache(maxsize=2)
def _backdrop(index: int) -> Image.Image:
    """A plain wall and floor that differ from scene to scene."""
    wall = [(196, 205, 214), (214, 206, 196), (200, 212, 200), (212, 200, 210), (206, 206, 206)][index % 5]
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), wall)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, FLOOR_PX - 20, WIDTH_PX, HEIGHT_PX), fill=tuple(value - 60 for value in wall))
    for stripe in range(index % 3 + 1):
        x = 40 + 190 * stripe + 13 * (index % 7)
        draw.rectangle((x, 84, x + 6, FLOOR_PX - 20), fill=tuple(value - 14 for value in wall))
    return image


def _draw_figure(draw: ImageDraw.ImageDraw, figure: Figure, mouth_open: bool) -> None:
    x = _SLOTS_PX[figure.slot]
    left, top, width, height = shirt_box(figure)
    _draw_text(draw, (x, 88), figure.name, 22, (30, 30, 30))
    draw.ellipse((x - 30, 106, x + 30, 166), fill=_SKIN, outline=(90, 70, 60))
    for eye in (x - 11, x + 11):
        draw.ellipse((eye - 3, 128, eye + 3, 134), fill=(30, 30, 30))
    draw.ellipse((x - 8, 146, x + 8, 158 if mouth_open else 149), fill=(150, 50, 50))
    draw.rounded_rectangle((left, top, left + width, top + height), radius=14, fill=COLOUR_RGB[figure.colour])
    draw.rectangle((x - 34, top + height, x - 8, FLOOR_PX + 20), fill=(60, 60, 70))
    draw.rectangle((x + 8, top + height, x + 34, FLOOR_PX + 20), fill=(60, 60, 70))
    is_light = figure.colour in ("yellow", "pink", "orange")
    _draw_text(draw, (x, top + height // 2), figure.word, 27, (15, 15, 15) if is_light else (255, 255, 255))


def _draw_text(
    draw: ImageDraw.ImageDraw, center: tuple[int, int], text: str, size_px: int, fill: tuple[int, ...]
) -> None:
    draw.text(center, text, font=_font(size_px), fill=fill, anchor="mm", stroke_width=1, stroke_fill=fill)


@lru_cache(maxsize=8)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that Pillow includes, so that every machine draws the same."""
    return ImageFont.load_default(size_px)
