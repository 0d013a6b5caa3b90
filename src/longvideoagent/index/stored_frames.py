"""What an index holds of the frames that were sampled for their text."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longvideoagent.index.stored_text import StepCost, StoredText, TextKind, replace_text, seconds, write_step
from longvideoagent.index.video_index import UnusableIndexError, VideoIndex
from longvideoagent.media import ocr
from longvideoagent.media.ocr import ScreenText

THUMBNAIL_BYTES, CROP_BYTES = ocr.THUMBNAIL_PX * ocr.THUMBNAIL_PX, ocr.CROP_HEIGHT * ocr.CROP_WIDTH


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """What later frames are compared with."""

    thumbnail: NDArray[np.float32]
    """Of the whole frame."""
    crops: NDArray[np.uint8]
    """Of its texts; see ``ocr.text_crops``."""


@dataclass(frozen=True, slots=True)
class FrameReading:
    """A sampled frame."""

    time_s: float
    shown_s: float | None
    """The time of the frame that was read in its place, because it looks the same, or its own; None if the frame could
    not be decoded."""
    texts: tuple[ScreenText, ...] = ()
    """The text on it, if it was read itself."""
    appearance: Appearance | None = None
    """How it looks, if it was read itself and frames remain to be sampled."""


def read_frames(index: VideoIndex, key: str) -> dict[float, FrameReading]:
    """The frames that were sampled for the screen text of this key, by time; none if it has another key."""

    def work(database: sqlite3.Connection) -> dict[float, FrameReading]:
        is_known = database.execute("SELECT 1 FROM texts WHERE kind = ? AND key = ?", (TextKind.SCREEN, key)).fetchone()
        rows = database.execute("SELECT time_s, shown_s, texts, thumbnail FROM frames") if is_known else ()
        readings = {float(row[0]): _reading(*row) for row in rows}
        read_s = {each.time_s for each in readings.values() if each.shown_s == each.time_s}
        if any(each.shown_s is not None and each.shown_s not in read_s for each in readings.values()):
            raise UnusableIndexError("damaged: a frame that was read is missing")
        return readings

    return index.read(work) or {}


def count_frames(index: VideoIndex, key: str) -> int:
    """How many frames were sampled for the screen text of this key."""
    statement = "SELECT count(*) FROM frames WHERE EXISTS (SELECT 1 FROM texts WHERE kind = ? AND key = ?)"
    row = index.read(lambda database: database.execute(statement, (TextKind.SCREEN, key)).fetchone())
    return int(row[0]) if row else 0


def write_frames(index: VideoIndex, text: StoredText, readings: Iterable[FrameReading], cost: StepCost) -> None:
    """Store further frames of a screen text, together with the text as it is with them. ``cost`` is that of reading
    them. Without thumbnails, those that are stored are deleted: all frames were sampled."""
    new = list(readings)

    def work(database: sqlite3.Connection) -> None:
        is_known = database.execute(
            "SELECT 1 FROM texts WHERE kind = ? AND key = ?", (TextKind.SCREEN, text.key)
        ).fetchone()
        if not is_known:
            database.execute("DELETE FROM frames")
        database.executemany("INSERT OR REPLACE INTO frames VALUES (?, ?, ?, ?)", map(_row, new))
        replace_text(database, text)
        write_step(database, cost)

    index.write(work)


def drop_thumbnails(index: VideoIndex) -> None:
    """Delete the thumbnails, once all frames were sampled."""
    index.write(lambda database: database.execute("UPDATE frames SET thumbnail = NULL"))


def visible_texts(readings: Mapping[float, FrameReading], reading: FrameReading) -> tuple[ScreenText, ...]:
    """The text that a sampled frame shows."""
    return readings[reading.shown_s].texts if reading.shown_s is not None else ()


def _row(reading: FrameReading) -> tuple[float, float | None, str | None, bytes | None]:
    texts, thumbnail = None, None
    if reading.shown_s == reading.time_s:
        texts = json.dumps([[each.text, each.left, each.top, each.right, each.bottom] for each in reading.texts])
    if (seen := reading.appearance) is not None:
        thumbnail = zlib.compress(np.round(seen.thumbnail * 255).astype(np.uint8).tobytes() + seen.crops.tobytes())
    return reading.time_s, reading.shown_s, texts, thumbnail


def _reading(time_s: float, shown_s: float | None, texts: str | None, thumbnail: bytes | None) -> FrameReading:
    pieces = tuple(ScreenText(str(text), *map(float, box)) for text, *box in json.loads(texts or "[]"))
    return FrameReading(
        seconds(time_s), None if shown_s is None else seconds(shown_s), pieces, _appearance(thumbnail, len(pieces))
    )


def _appearance(stored: bytes | None, num_texts: int) -> Appearance | None:
    if stored is None:
        return None
    num_crops = min(num_texts, ocr.MAX_CROPS)
    try:
        data = zlib.decompressobj().decompress(stored, THUMBNAIL_BYTES + num_crops * CROP_BYTES)
    except zlib.error as error:
        raise UnusableIndexError(f"damaged: {error}") from error
    pixels = np.frombuffer(data[:THUMBNAIL_BYTES], np.uint8).reshape(ocr.THUMBNAIL_PX, ocr.THUMBNAIL_PX)
    crops = np.frombuffer(data[THUMBNAIL_BYTES:], np.uint8).reshape(num_crops, ocr.CROP_HEIGHT, ocr.CROP_WIDTH)
    return Appearance(pixels.astype(np.float32) / np.float32(255), crops)  # exactly what was stored
