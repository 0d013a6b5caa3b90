"""A video file whose frames are decoded in a child process; see ``media.isolation``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from longvideoagent.media.frames import MAX_SIDE_PX, Frame
from longvideoagent.media.isolation import READING
from longvideoagent.media.readers.file import VideoFileReader

MAX_READERS = 16


class ReaderInfo(NamedTuple):
    """What a reader knows once it has read all packets."""

    duration_s: float
    keyframes_s: tuple[float, ...]
    warnings: tuple[str, ...]
    needs_packet_times: bool


class IsolatedReader:
    """Reads a video file like ``VideoFileReader``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        READING.run(check_file, path)

    @cached_property
    def _info(self) -> ReaderInfo:
        return READING.run(read_info, self.path)

    @property
    def duration_s(self) -> float:
        """Seconds to the end of the last frame that exists, or of the sound after it."""
        return self._info.duration_s

    @property
    def keyframes_s(self) -> Sequence[float]:
        """Times of keyframes in seconds, ascending."""
        return self._info.keyframes_s

    @property
    def warnings(self) -> Sequence[str]:
        """What was ignored or repaired; empty until the duration is known."""
        return self._info.warnings if "_info" in self.__dict__ else ()

    @property
    def needs_packet_times(self) -> bool:
        """See ``VideoFileReader``."""
        return self._info.needs_packet_times

    def frames(self, times_s: Sequence[float], max_side_px: int = MAX_SIDE_PX) -> list[Frame]:
        """Return the frames shown at these times; see ``VideoReader.frames``."""
        wanted = sorted({max(0.0, time_s) for time_s in times_s})
        if not wanted:
            return []
        frames = READING.iterate(read_frames, self.path, wanted, max_side_px, has_index="_info" in self.__dict__)
        shown = dict(zip(wanted, frames, strict=True))
        return [shown[max(0.0, time_s)] for time_s in times_s]


def check_file(path: Path) -> None:
    """Raise DataError if the file is not a video."""
    VideoFileReader(path)


def read_info(path: Path) -> ReaderInfo:
    """Read all packets."""
    reader = _reader(path)
    return ReaderInfo(reader.duration_s, tuple(reader.keyframes_s), tuple(reader.warnings), reader.needs_packet_times)


def read_frames(path: Path, wanted: Sequence[float], max_side_px: int, *, has_index: bool) -> Iterator[Frame]:
    """Yield a frame for each of the ascending times. ``has_index``: they are times on the clock of the packet index,
    which another child may have read."""
    reader = _reader(path)
    if has_index:
        reader.duration_s  # noqa: B018 (reads all packets, unless this child knows them)
    return reader.iter_frames(wanted, max_side_px)


def _reader(path: Path) -> VideoFileReader:
    status = path.stat()
    return _cached_reader(path, status.st_mtime_ns, status.st_size)


@lru_cache(MAX_READERS)
def _cached_reader(path: Path, _mtime_ns: int, _size_bytes: int) -> VideoFileReader:
    return VideoFileReader(path)
