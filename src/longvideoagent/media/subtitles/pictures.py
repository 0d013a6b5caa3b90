"""Read subtitles that are pictures (Blu-ray, DVD, DVB) by text recognition."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple, cast

import av.error
import numpy as np
from av.subtitles.subtitle import BitmapSubtitle
from numpy.typing import NDArray

from longvideoagent.core.types import Subtitle
from longvideoagent.media.container import open_container, origin_s
from longvideoagent.media.frames import Pixels
from longvideoagent.media.ocr import ScreenText, read_screen
from longvideoagent.media.subtitles.repair import ParsedSubtitles, repair_timing
from longvideoagent.progress import Progress, no_progress

STAGE = "reading subtitles that are pictures"
MAX_PICTURES = 5_000
"""Of one stream; a film has about a thousand."""
MAX_PICTURE_PX = 4_000 * 2_200
MARGIN_PX = 24
"""White space around the text, which the recognition needs."""
MIN_HEIGHT_PX = 160
"""Smaller pictures are enlarged: the recognition reads small letters badly."""
MAX_CUE_S = 15.0
"""A picture without an end is taken away after that time at the latest."""


class _Picture(NamedTuple):
    start_s: float
    end_s: float | None
    """None if the next picture, or an empty one, ends it."""
    pixels: tuple[NDArray[np.uint8], ...]
    """The numbers of the colours of each rectangle; empty if the screen is cleared."""


def read_picture_stream(video: Path, index: int, progress: Progress = no_progress) -> ParsedSubtitles:
    """Read the text of a stream of pictures.

    Args:
        video: The file.
        index: The index of the stream in its container.
        progress: Called with the fraction of pictures that were read.

    Returns:
        The lines, and a warning that they were recognised, with the number of pictures in which nothing was.

    Raises:
        DataError: The file cannot be opened.
    """
    pictures = _read_pictures(video, index)
    texts: dict[bytes, str] = {}
    lines: list[Subtitle] = []
    num_shown = num_unread = 0
    for number, picture in enumerate(pictures):
        progress(STAGE, number / len(pictures))
        if not picture.pixels:
            continue
        num_shown += 1
        text = " ".join(part for part in (_text(pixels, texts) for pixels in picture.pixels) if part)
        if not text:
            num_unread += 1
            continue
        following_s = pictures[number + 1].start_s if number + 1 < len(pictures) else picture.start_s + MAX_CUE_S
        end_s = following_s if picture.end_s is None else min(picture.end_s, following_s)
        lines.append(Subtitle(picture.start_s, min(end_s, picture.start_s + MAX_CUE_S), text))
    progress(STAGE, 1.0)
    if not num_shown:
        return ParsedSubtitles([], [])
    fixed = repair_timing(lines)
    return ParsedSubtitles(fixed.subtitles, [_summary(index, num_shown, num_unread), *fixed.warnings])


def _summary(index: int, num_shown: int, num_unread: int) -> str:
    if num_unread == num_shown:
        return f"subtitle stream {index} is pictures, in which no text was recognised; give --subtitles FILE.srt"
    unread = f"; in {num_unread} of {num_shown} nothing was recognised" if num_unread else ""
    return f"subtitle stream {index} is pictures, whose text was recognised and may have mistakes{unread}"


def _read_pictures(video: Path, index: int) -> list[_Picture]:
    pictures: list[_Picture] = []
    with open_container(video) as container:
        try:
            for packet in container.demux(container.streams[index]):
                if packet.pts is None or packet.time_base is None or len(pictures) >= MAX_PICTURES:
                    continue
                start_s = float(packet.pts * packet.time_base) - origin_s(container)
                length_s = float((packet.duration or 0) * packet.time_base)
                end_s = start_s + length_s if 0 < length_s <= MAX_CUE_S else None
                pictures.append(_Picture(start_s, end_s, _bitmaps(packet)))
        except (av.error.FFmpegError, IndexError):  # what was read up to the damage is used
            return pictures
    return pictures


def _bitmaps(packet: Any) -> tuple[NDArray[np.uint8], ...]:
    """The rectangles of a packet; none if it cannot be decoded, or clears the screen."""
    try:
        rectangles = [each for each in packet.decode() if isinstance(each, BitmapSubtitle)]
    except av.error.FFmpegError:
        return ()
    return tuple(
        np.frombuffer(cast("bytes", each.planes[0]), np.uint8)[: each.width * each.height]
        .reshape(each.height, each.width)
        .copy()
        for each in sorted(rectangles, key=lambda each: each.y)
        if each.planes and 0 < each.width * each.height <= MAX_PICTURE_PX
    )


def _text(pixels: NDArray[np.uint8], texts: dict[bytes, str]) -> str:
    """The text of one rectangle; ``texts`` holds those of earlier ones, since streams repeat them."""
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16, person=str(pixels.shape).encode()[:16]).digest()
    if digest not in texts:
        texts[digest] = max((_recognised(image) for image in _drawings(pixels)), key=len, default="")
    return texts[digest]


def _recognised(image: Pixels) -> str:
    rows: list[list[ScreenText]] = []
    for piece in read_screen(image):  # from top to bottom
        if rows and (piece.top + piece.bottom) / 2 < rows[-1][0].bottom:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return " ".join(piece.text for row in rows for piece in sorted(row, key=lambda each: each.left))


def _drawings(pixels: NDArray[np.uint8]) -> list[Pixels]:
    """The letters in black on white: first all that is drawn, then only the colour that is used most, which is the
    inside of outlined letters. The stream's palette does not say which is which."""
    colours, counts = np.unique(pixels, return_counts=True)
    by_use = colours[np.argsort(-counts)]
    if len(by_use) < 2:
        return []
    masks = [pixels != by_use[0]]
    if len(by_use) > 2:
        masks.append(pixels == by_use[1])
    return [_black_on_white(mask) for mask in masks]


def _black_on_white(mask: NDArray[np.bool_]) -> Pixels:
    scale = max(1, -(-MIN_HEIGHT_PX // mask.shape[0])) if mask.shape[0] < MIN_HEIGHT_PX // 2 else 1
    grey = np.where(mask, 0, 255).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)
    framed = np.pad(grey, MARGIN_PX, constant_values=255)
    return np.stack([framed] * 3, axis=-1)
