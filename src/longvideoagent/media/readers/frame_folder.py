"""Frames by time from a folder of JPEG files."""

from __future__ import annotations

import bisect
import os
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.frames import MAX_SIDE_PX, MAX_TRAILER_BYTES, Frame, is_complete_jpeg

TVQA_FRAMES_PER_S = 3.0
MAX_FRAMES_PER_S = 100_000
_NUMBER = re.compile(r"(?<![0-9])[0-9]{1,7}\Z")
"""The number of a frame at the end of its name; longer ones, such as times, would make a video of years."""


class FrameFolderReader:
    """A folder of numbered JPEG frames at a fixed rate, such as TVQA's ``{clip}/{00001}.jpg``.

    The number in a file's name gives its time: the lowest possible number, 1, is second 0. If a number is missing, the
    frame before it is shown.
    """

    def __init__(self, path: Path, frames_per_s: float = TVQA_FRAMES_PER_S) -> None:
        if not 0 < frames_per_s < MAX_FRAMES_PER_S:
            raise UsageError(f"--frames-per-s {frames_per_s}: not a frame rate; TVQA has 3")
        self.path = path
        self.frames_per_s = frames_per_s
        self.warnings: list[str] = []
        numbered: dict[int, Path] = {}
        num_ignored = 0
        for file in _jpeg_files(path):
            number = _NUMBER.search(file.stem)
            if number is None or int(number[0]) in numbered:
                num_ignored += 1
            else:
                numbered[int(number[0])] = file
        if not numbered:
            raise DataError(f"{path}: no numbered .jpg frames in this folder; name them 00001.jpg, 00002.jpg, …")
        if num_ignored:
            self.warnings.append(
                f"{path.name}: {num_ignored} frames have no number of their own in their name and were ignored"
            )
        self._numbers = sorted(numbered)
        self._files = [numbered[number] for number in self._numbers]
        self._first = min(1, self._numbers[0])

    @property
    def duration_s(self) -> float:
        """Seconds to the end of the last frame."""
        return (self._numbers[-1] - self._first + 1) / self.frames_per_s

    @property
    def keyframes_s(self) -> Sequence[float]:
        """The time of every frame, because each is cheap to read."""
        return [(number - self._first) / self.frames_per_s for number in self._numbers]

    def frames(self, times_s: Sequence[float], max_side_px: int = MAX_SIDE_PX) -> list[Frame]:
        """Return the stored frames shown at these times; see ``VideoReader.frames``."""
        frames: dict[int, Frame] = {}
        shown = []
        for time_s in times_s:
            number = int(max(0.0, time_s) * self.frames_per_s + 1e-6) + self._first
            index = max(0, bisect.bisect_right(self._numbers, number) - 1)
            if index not in frames:
                frames[index] = self._read(index, max_side_px)
            shown.append(frames[index])
        return shown

    def missing_numbers(self) -> list[range]:
        """Frame numbers from 1 to the last that have no file."""
        return [range(a + 1, b) for a, b in pairwise((0, *self._numbers)) if b > a + 1]

    def broken_files(self) -> Iterator[Path]:
        """Yield the files that are not complete JPEGs. Only the ends of each are read."""
        for file in self._files:
            with file.open("rb") as stored:
                begins = stored.read(MAX_TRAILER_BYTES)
                stored.seek(-min(MAX_TRAILER_BYTES, file.stat().st_size), os.SEEK_END)
                if not is_complete_jpeg(begins, stored.read()):
                    yield file

    def _read(self, index: int, max_side_px: int) -> Frame:
        file = self._files[index]
        time_s = (self._numbers[index] - self._first) / self.frames_per_s
        try:
            return Frame(time_s, jpeg=file.read_bytes(), name=str(file), max_side_px=max_side_px)
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error


def duration_of_frames(path: Path, frames_per_s: float = TVQA_FRAMES_PER_S) -> float:
    """As ``FrameFolderReader(path, frames_per_s).duration_s``, but fast if all names are like 00001.jpg. Raises
    DataError for a folder without a numbered frame."""
    try:
        names = os.listdir(path)  # noqa: PTH208 (data sets have a million frames)
    except OSError:
        names = []
    if not names or len(set(map(len, names))) > 1:
        return FrameFolderReader(path, frames_per_s).duration_s
    first, last = min(names), max(names)  # names of one length are in the order of their numbers
    if not all(name.endswith(".jpg") and _NUMBER.match(name[:-4]) for name in (first, last)):
        return FrameFolderReader(path, frames_per_s).duration_s
    return (int(last[:-4]) - min(1, int(first[:-4])) + 1) / frames_per_s


def has_frames(path: Path) -> bool:
    """Whether the folder exists and has a numbered frame."""
    try:
        return duration_of_frames(path) > 0
    except DataError:
        return False


def _jpeg_files(folder: Path) -> list[Path]:
    """The JPEG files of a folder, sorted by name. Raises DataError if the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file()]  # a pipe would never end
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check the path") from error
    return [folder / name for name in sorted(names) if name.lower().endswith((".jpg", ".jpeg"))]
