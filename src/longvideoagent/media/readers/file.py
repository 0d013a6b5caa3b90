"""Frames by time from any video file that PyAV reads.

Frame durations in the file are not trusted, and the end is where the packets end, because the headers of truncated
files are wrong.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from longvideoagent.errors import DataError
from longvideoagent.media.container import open_container, origin_s, packets
from longvideoagent.media.frames import MAX_SIDE_PX, Frame, Pixels


class _PacketTimes(NamedTuple):
    keyframes_s: tuple[float, ...]
    end_s: float


class VideoFileReader:
    """Reads a video file with PyAV."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._packets: _PacketTimes | None = None
        """None until all packets have been read."""
        if not path.is_file():
            raise DataError(f"{path}: not a regular file; give a video file or a folder of JPEG frames")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty (0 bytes); copy or download it again")
        container, _ = self._open()
        container.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        container = open_container(self.path)
        stream = next((s for s in container.streams.video if not s.disposition & s.disposition.attached_pic), None)
        if stream is None:
            container.close()
            raise DataError(f"{self.path}: no video stream; give a file that has one")
        stream.thread_type = "AUTO"
        return container, stream

    def _read_packets(self) -> _PacketTimes:
        """Read all packets once, without decoding them, for the keyframe times and the true end."""
        if self._packets is not None:
            return self._packets
        keyframes: list[float] = []
        count = 0
        end_s = 0.0
        container, stream = self._open()
        with container:
            first_s = origin_s(container)
            per_frame_s = float(1 / stream.average_rate) if stream.average_rate else 0.0
            for packet in packets(container, stream):
                count += 1
                if packet.pts is None or packet.time_base is None:
                    continue
                time_s = float(packet.pts * packet.time_base) - first_s
                end_s = max(end_s, time_s + per_frame_s)
                if packet.is_keyframe:
                    keyframes.append(time_s)
            header_s = (container.duration or 0) / av.time_base
            if stream.frames > count:  # avi gives its length in frames
                header_s = max(header_s, stream.frames * per_frame_s)
        if end_s <= 0:
            raise DataError(f"{self.path}: no frames in its video stream; the file is truncated, copy it again")
        if header_s - end_s > max(2.0, 0.02 * header_s):
            self.warnings.append(
                f"{self.path.name}: frames end at {end_s:.1f} s although the file says {header_s:.1f} s; "
                "the rest was ignored"
            )
        self._packets = _PacketTimes(tuple(sorted(keyframes)), end_s)
        return self._packets

    @property
    def duration_s(self) -> float:
        """Seconds to the end of the last frame that exists."""
        return self._read_packets().end_s

    @property
    def keyframes_s(self) -> Sequence[float]:
        """Times of keyframes in seconds, ascending."""
        return self._read_packets().keyframes_s

    @cached_property
    def _seek_points_s(self) -> Sequence[float]:
        """Keyframe times from the container's index, if it has one, which avoids reading all packets."""
        if self._packets is not None:
            return self._packets.keyframes_s
        container, stream = self._open()
        with container:
            index, base, first_s = stream.index_entries, stream.time_base, origin_s(container)
            if base is not None and len(index) > 1:
                return sorted(float(e.timestamp * base) - first_s for e in index if e.is_keyframe)
        return self.keyframes_s

    def frames(self, times_s: Sequence[float], max_side_px: int = MAX_SIDE_PX) -> list[Frame]:
        """Return the frames shown at these times; see ``VideoReader.frames``."""
        wanted = sorted({max(0.0, time_s) for time_s in times_s})
        if not wanted:
            return []
        container, stream = self._open()
        with container:
            shown = dict(zip(wanted, self._fetch(container, stream, wanted, max_side_px), strict=True))
        return [shown[max(0.0, time_s)] for time_s in times_s]

    def _fetch(
        self, container: InputContainer, stream: VideoStream, wanted: Sequence[float], max_side_px: int
    ) -> Iterator[Frame]:
        """Yield one frame for each of the ascending times: seek to the keyframe before, decode forward, stop at the
        first frame after the time."""
        first_s = origin_s(container)
        points = self._seek_points_s
        decoder = _decode(container, stream)
        shown: VideoFrame | None = None
        ahead: VideoFrame | None = next(decoder, None)
        decoded: VideoFrame | None = None
        frame: Frame | None = None
        for time_s in wanted:
            until_s = time_s + first_s + _HALF_TICK_S
            after = bisect.bisect_right(points, time_s + _HALF_TICK_S)
            if after and ahead is not None and points[after - 1] + first_s > (ahead.time or 0.0) + _HALF_TICK_S:
                shown = None
                ahead, decoder = _seek(container, stream, [first_s + p for p in points[:after]], until_s)
            while ahead is not None and (shown is None or (ahead.time or 0.0) <= until_s):
                shown, ahead = ahead, next(decoder, None)
            if shown is None:
                raise DataError(f"{self.path}: no frame could be decoded near {time_s:.1f} s; copy it again")
            if frame is None or decoded is not shown:  # several times may show one frame
                decoded = shown
                frame = Frame(max(0.0, (shown.time or 0.0) - first_s), rgb=to_rgb(shown, stream, max_side_px))
            yield frame


_HALF_TICK_S = 1e-4
"""Tolerance when comparing a wanted time with a frame's, because container clocks round to their own ticks."""


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield decoded frames that have a time, in display order; damaged packets are skipped."""
    for packet in packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame) and frame.pts is not None:
                yield frame


class _Position(NamedTuple):
    next_frame: VideoFrame | None
    decoder: Iterator[VideoFrame]
    """Yields the frames after ``next_frame``."""


def _seek(container: InputContainer, stream: VideoStream, points_s: Sequence[float], until_s: float) -> _Position:
    """Start decoding at the last seek point that yields a frame not after ``until_s``.

    Nearly always that is the last point. But an index may hold decoding times, which are earlier than presentation
    times, and damaged stretches may yield nothing, so it steps back in growing strides.
    """
    base = stream.time_base
    assert base is not None  # a stream that has decoded a frame has a clock
    stride, index = 1, len(points_s) - 1
    while True:
        container.seek(round(points_s[max(index, 0)] / base), stream=stream, backward=True)
        decoder = _decode(container, stream)
        ahead = next(decoder, None)
        if index <= 0 or (ahead is not None and (ahead.time or 0.0) <= until_s):
            return _Position(ahead, decoder)
        index, stride = index - stride, stride * 2


def to_rgb(frame: VideoFrame, stream: VideoStream, max_side_px: int) -> Pixels:
    """Return the pixels of a frame, scaled down to ``max_side_px`` with square pixels, rotated as players do."""
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    width, height = frame.width * aspect, float(frame.height)
    scale = min(1.0, max_side_px / max(width, height))
    shape = frame.reformat(
        width=max(2, round(width * scale)),
        height=max(2, round(height * scale)),
        format="rgb24",
        interpolation=Interpolation.AREA,
    )
    return np.rot90(shape.to_ndarray(), k=round(frame.rotation / 90) % 4)
