"""Frames by time from any video file that PyAV reads.

The clock is that of the packet index: frame durations and headers are not trusted, and timestamps only as long as they
go on.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, pairwise
from pathlib import Path

import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from longvideoagent.errors import DataError
from longvideoagent.media.clock import MAX_GAP_S
from longvideoagent.media.container import ffmpeg_errors, find_video, open_container, origin_s
from longvideoagent.media.decoding import (
    LARGE_FRAME_BYTES,
    Display,
    FrameClock,
    TimedFrame,
    decode_frames,
    seek_row,
)
from longvideoagent.media.frames import MAX_SIDE_PX, Frame
from longvideoagent.media.packet_index import PacketIndex, PacketTimes, read_packet_index

INDEXED_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Containers with an index of their keyframes."""
_HALF_TICK_S = 1e-4
"""Tolerance when comparing a wanted time with a frame's, because container clocks round to their own ticks."""


class VideoFileReader:
    """Reads a video file with PyAV."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index: PacketIndex | None = None
        """None until all packets have been read."""
        self._display = Display()
        with ffmpeg_errors(path), open_container(path) as container:
            find_video(container, path)

    def _read_index(self) -> PacketIndex:
        if self._index is None:
            self._index = read_packet_index(self.path)
        return self._index

    @property
    def duration_s(self) -> float:
        """Seconds to the end of the last frame that exists, or of the sound after it."""
        return self._read_index().end_s

    @property
    def keyframes_s(self) -> Sequence[float]:
        """Times of keyframes in seconds, ascending."""
        return self._read_index().keyframes_s

    @property
    def warnings(self) -> Sequence[str]:
        """What was ignored or repaired; empty until the duration is known."""
        return self._index.warnings if self._index is not None else ()

    @property
    def needs_packet_times(self) -> bool:
        """Whether frames are found by the times of all packets, because the file's own timestamps cannot be used."""
        return self._read_index().video is not None

    def frames(self, times_s: Sequence[float], max_side_px: int = MAX_SIDE_PX) -> list[Frame]:
        """Return the frames shown at these times; see ``VideoReader.frames``."""
        wanted = sorted({max(0.0, time_s) for time_s in times_s})
        if not wanted:
            return []
        shown = dict(zip(wanted, self.iter_frames(wanted, max_side_px), strict=True))
        return [shown[max(0.0, time_s)] for time_s in times_s]

    def iter_frames(self, wanted: Sequence[float], max_side_px: int) -> Iterator[Frame]:
        """Yield the frame shown at each of these times, which ascend from 0 or later. Raises DataError."""
        with ffmpeg_errors(self.path), self._open() as source:
            playhead = _Playhead(source, max_side_px)
            for time_s in wanted:
                shown = playhead.move_to(time_s)
                if shown is None:
                    problem = f"no frame could be decoded near {time_s:.1f} s"
                    raise DataError(f"{self.path}: {problem}; copy it again, or convert it if its frames are huge")
                yield shown.frame()

    def _open(self) -> _Source:
        if self._index is None:
            points_s = _stored_keyframes(self.path)
            if points_s is not None:
                return _Source(self.path, points_s, self._display)
        index = self._read_index()
        if index.video is None:
            return _Source(self.path, index.keyframes_s, self._display)
        return _TabledSource(self.path, index.video, self._display)


def _stored_keyframes(path: Path) -> Sequence[float] | None:
    """Keyframe times from the container's index, which avoids reading all packets. None if it has no index, or one that
    cannot be believed."""
    with open_container(path) as container:
        stream, first_s = find_video(container, path), origin_s(container)
        entries, base = stream.index_entries, stream.time_base
        if container.format.name not in INDEXED_FORMATS or base is None or len(entries) < 2:
            return None
        points_s = sorted(float(entry.timestamp * base) - first_s for entry in entries if entry.is_keyframe)
    return points_s if all(after - before <= MAX_GAP_S for before, after in pairwise((0.0, *points_s))) else None


class _Source:
    """A file that is being decoded, whose timestamps are right."""

    def __init__(self, path: Path, points_s: Sequence[float], display: Display) -> None:
        self.path, self._display = path, display
        self.points_s = points_s
        """Times, ascending, from which on frames are right if decoding starts there."""
        self._stack = ExitStack()
        self._container, self._stream = self._reopen()

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _reopen(self) -> tuple[InputContainer, VideoStream]:
        self._stack.close()
        container = self._stack.enter_context(open_container(self.path))
        return container, find_video(container, self.path)

    def from_start(self) -> Iterator[TimedFrame]:
        """Yield all frames of a container that was just opened."""
        return decode_frames(self._container, self._stream, self._clock())

    def seek(self, point: int, until_s: float) -> Iterator[TimedFrame]:
        """Yield the frames from the last point up to this one that yields a frame not after ``until_s``.

        Nearly always that is the point itself. But an index may hold decoding times, which are earlier than
        presentation times, and damaged stretches may yield nothing, so it steps back in growing strides, at the end to
        the start of the file.
        """
        stride, index = 1, point
        while index >= 0:
            frames = self._from_point(index)
            if (ahead := next(frames, None)) is not None and ahead.time_s <= until_s:
                return chain(iter((ahead,)), frames)
            index, stride = (max(0, index - stride), stride * 2) if index else (-1, 1)
        self._container, self._stream = self._reopen()
        return self.from_start()

    def rewind(self) -> bool:
        """Open the file again to read it from the start without seeking, if a seek may have led astray."""
        return False

    def _clock(self) -> FrameClock:
        return FrameClock(self._stream, origin_s(self._container), self._display)

    def _from_point(self, index: int) -> Iterator[TimedFrame]:
        """Yield the frames from a point on; none if the container cannot go there."""
        base = self._stream.time_base
        assert base is not None  # a stream that has decoded a frame has a clock
        target = round((self.points_s[index] + origin_s(self._container)) / base)
        try:
            self._container.seek(target, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return iter(())
        return decode_frames(self._container, self._stream, self._clock())


class _TabledSource(_Source):
    """A file that is being decoded, whose times are in a table."""

    def __init__(self, path: Path, times: PacketTimes, display: Display) -> None:
        self._times, self._points = times, times.points()
        super().__init__(path, [point.time_s for point in self._points], display)

    def rewind(self) -> bool:
        """True once: some containers end after a seek where their clock starts again."""
        if not self.points_s:
            return False
        self.points_s = ()
        self._container, self._stream = self._reopen()
        return True

    def _clock(self) -> FrameClock:
        return FrameClock(self._stream, 0.0, self._display, self._times)

    def _from_point(self, index: int) -> Iterator[TimedFrame]:
        if not seek_row(self._container, self._stream, self._times, self._points[index].row):
            return iter(())
        clock = FrameClock(self._stream, 0.0, self._display, self._times, row=None)
        return decode_frames(self._container, self._stream, clock)


class _HeldFrame:
    """A decoded frame that may be needed; a large one is scaled down at once, which frees its memory."""

    def __init__(self, timed: TimedFrame, max_side_px: int) -> None:
        self.time_s = timed.time_s
        self._timed: TimedFrame | None = timed
        self._max_side_px = max_side_px
        self._frame: Frame | None = None
        if timed.num_bytes > LARGE_FRAME_BYTES:
            self.frame()

    def frame(self) -> Frame:
        """The frame, scaled down; the same object each time."""
        if self._timed is not None:
            self._frame = Frame(max(0.0, self.time_s), rgb=self._timed.rgb(self._max_side_px))
            self._timed = None
        assert self._frame is not None
        return self._frame


class _Playhead:
    """Decodes a source forward: the frame that is shown, and the one after it."""

    def __init__(self, source: _Source, max_side_px: int) -> None:
        self._source, self._max_side_px = source, max_side_px
        self._start(source.from_start())

    def _start(self, frames: Iterator[TimedFrame]) -> None:
        self._frames = frames
        self.shown: _HeldFrame | None = None
        self.ahead = self._next()

    def _next(self) -> _HeldFrame | None:
        timed = next(self._frames, None)
        return _HeldFrame(timed, self._max_side_px) if timed is not None else None

    def move_to(self, time_s: float) -> _HeldFrame | None:
        """The frame shown at a time that is not before the last one: seek to the keyframe before, decode forward, stop
        at the first frame after the time. None if there is no frame at all."""
        until_s = time_s + _HALF_TICK_S
        point = bisect.bisect_right(self._source.points_s, until_s) - 1
        if self.ahead is not None and self._is_before(self.ahead, point):
            self._start(self._source.seek(point, until_s))
        self._decode(until_s)
        if self.ahead is None and (self.shown is None or self._is_before(self.shown, point)) and self._source.rewind():
            self._start(self._source.from_start())
            self._decode(until_s)
        return self.shown

    def _is_before(self, frame: _HeldFrame, point: int) -> bool:
        return point >= 0 and self._source.points_s[point] > frame.time_s + _HALF_TICK_S

    def _decode(self, until_s: float) -> None:
        while self.ahead is not None and (self.shown is None or self.ahead.time_s <= until_s):
            self.shown, self.ahead = self.ahead, self._next()
