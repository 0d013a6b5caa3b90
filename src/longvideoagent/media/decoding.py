"""Decoded frames with their times, from the start of a file or from a keyframe on.

The clock of the file's packet index decides when a frame is shown. Damaged packets are skipped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from longvideoagent.media.container import packets
from longvideoagent.media.frames import Pixels
from longvideoagent.media.packet_index import PacketTimes

LARGE_FRAME_BYTES = 1 << 25
"""Larger frames are scaled down at once instead of when they are needed."""
BYTE_SEEK_FORMATS = {"mpegts", "mpeg", "h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "mjpeg"}
"""Containers that can be read from any packet on, and whose timestamps are not unique if their clock starts again."""


class Display:
    """How players show the frames of one video: the shape of its pixels, and how they are turned and mirrored."""

    def __init__(self) -> None:
        self._container_aspect: float | None = None
        self._has_stream = False
        self._by_rotation: dict[int, Matrix | None] = {}

    def attach(self, stream: VideoStream) -> None:
        """Read what the container says, before the first frame is decoded."""
        if not self._has_stream:
            aspect, own = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
            self._container_aspect = float(aspect) if aspect and aspect != own else None
            self._has_stream = True

    def aspect(self, stream: VideoStream) -> float:
        """Width of a pixel by its height, of the frame that was decoded last: the container's, or its own."""
        return self._container_aspect or float(stream.codec_context.sample_aspect_ratio or 1) or 1.0

    def matrix(self, frame: VideoFrame) -> Matrix | None:
        """The part of the display matrix that turns and mirrors; None if frames are shown as they are stored."""
        rotation = frame.rotation
        if rotation not in self._by_rotation:
            # A frame that was asked for its side data refers to itself and waits for the garbage collector: ask a copy.
            copy = frame.reformat(width=16, height=16, format="rgb24", interpolation=Interpolation.POINT)
            data = copy.side_data.get("DISPLAYMATRIX")
            self._by_rotation[rotation] = _read_matrix(bytes(data)) if isinstance(data, SideData) else None
        return self._by_rotation[rotation]


def _read_matrix(data: bytes) -> Matrix | None:
    (a, b), (c, d) = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2].tolist()
    matrix = Matrix(a, b, c, d)
    return None if not matrix.is_turned and a >= 0 and d >= 0 else matrix


class Matrix(NamedTuple):
    """Moves the pixel at (x, y) to (a x + c y, b x + d y)."""

    a: int
    b: int
    c: int
    d: int

    @property
    def is_turned(self) -> bool:
        """Whether width and height change places, by the nearest quarter turn."""
        return abs(self.a) + abs(self.d) < abs(self.b) + abs(self.c)

    def apply(self, pixels: Pixels) -> Pixels:
        """Turn and mirror stored pixels."""
        if self.is_turned:
            return pixels.transpose(1, 0, 2)[:: -1 if self.b < 0 else 1, :: -1 if self.c < 0 else 1]
        return pixels[:: -1 if self.d < 0 else 1, :: -1 if self.a < 0 else 1]


class TimedFrame(NamedTuple):
    """A decoded frame."""

    time_s: float
    """When it is shown, from the start of the video."""
    frame: VideoFrame
    aspect: float
    """Width of a pixel by its height."""
    display: Display

    @property
    def matrix(self) -> Matrix | None:
        """How it is turned and mirrored; None if it is shown as it is stored."""
        return self.display.matrix(self.frame)

    @property
    def num_bytes(self) -> int:
        """The memory that it takes."""
        return self.frame.width * self.frame.height * self.frame.format.padded_bits_per_pixel // 8

    def rgb(self, max_side_px: int) -> Pixels:
        """Its pixels, scaled down to ``max_side_px`` with square pixels, turned and mirrored as players do. Raises
        FFmpeg's errors."""
        width, height = self.frame.width * self.aspect, float(self.frame.height)
        scale = min(1.0, max_side_px / max(width, height))
        scaled = self.frame.reformat(
            width=max(2, round(width * scale)),
            height=max(2, round(height * scale)),
            format="rgb24",
            interpolation=Interpolation.AREA,
        )
        pixels = scaled.to_ndarray().astype(np.uint8, copy=False)
        matrix = self.matrix
        return pixels if matrix is None else matrix.apply(pixels)


class RowCursor:
    """Which rows of the packet index the packets of a stream have, while they are read in order."""

    def __init__(self, times: PacketTimes, row: int | None = 0) -> None:
        self._times = times
        self._next = row
        """None after a seek, until a packet's position says where it is."""

    def row_of(self, packet: Packet[Any]) -> int | None:
        """The row of the next packet; None if it is not known."""
        row = self._next
        if packet.pos is not None and (row is None or self._position(row) != packet.pos):
            row = self._times.row_by_position.get(packet.pos, row)
        if row is None or row >= len(self._times.times_s):
            return None
        self._next = row + 1
        return row

    def _position(self, row: int) -> int | None:
        return self._times.positions[row] if row < len(self._times.positions) else None


class FrameClock:
    """Decodes the packets of a video stream, read in order, into frames with their times.

    ``first_s`` is the timestamp of the start of the video. ``times`` are the stream's in the packet index, and ``row``
    the next packet's in them, or None after a seek.
    """

    def __init__(
        self,
        stream: VideoStream,
        first_s: float,
        display: Display,
        times: PacketTimes | None = None,
        row: int | None = 0,
    ) -> None:
        self._stream, self._times, self._first_s, self._display = stream, times, first_s, display
        self._cursor = RowCursor(times, row) if times is not None else None
        self._slot, self._keyframe = 0, -1
        display.attach(stream)

    def decode(self, packet: Packet[Any]) -> list[TimedFrame]:
        """The frames that a packet completes; none if it is damaged or its time is not known."""
        if self._cursor is not None and packet.size:
            row = self._cursor.row_of(packet)
            if row is None:
                return []
            packet.pts, packet.dts = row, None
        elif not packet.size and packet.dts is not None:
            return []  # an empty packet would end the decoding
        try:
            frames = [each for each in packet.decode() if isinstance(each, VideoFrame) and each.pts is not None]
        except av.error.FFmpegError:
            return []
        aspect = self._display.aspect(self._stream)
        return [TimedFrame(self._time_s(frame), frame, aspect, self._display) for frame in frames]

    def _time_s(self, frame: VideoFrame) -> float:
        if self._times is None:
            return (frame.time or 0.0) - self._first_s
        assert frame.pts is not None  # checked in decode
        row = min(max(frame.pts, 0), len(self._times.times_s) - 1)
        return self._times.times_s[self._count(row) if self._times.is_counted else row]

    def _count(self, row: int) -> int:
        """The number of a frame in the order in which frames are shown. All packets before a keyframe are shown before
        it, and before what follows it in the file: counting starts there again, in case frames were lost."""
        assert self._times is not None
        keyframe = bisect_right(self._times.keyframe_rows, row) - 1
        if keyframe > self._keyframe:
            self._keyframe = keyframe
            self._slot = self._times.keyframe_rows[keyframe]
        self._slot += 1
        return min(self._slot, len(self._times.times_s)) - 1


def decode_frames(container: InputContainer, stream: VideoStream, clock: FrameClock) -> Iterator[TimedFrame]:
    """Yield the frames of a video stream from where the container stands, in the order in which they are shown."""
    for packet in packets(container, stream):
        yield from clock.decode(packet)


class AudioClock:
    """Gives the packets of an audio stream, read in order, the timestamps of the packet index."""

    def __init__(self, times: PacketTimes, row: int | None = 0) -> None:
        self._times, self._cursor = times, RowCursor(times, row)

    def stamp(self, packet: Packet[Any]) -> bool:
        """Set the timestamps of a packet; returns False if its time is not known."""
        row = self._cursor.row_of(packet)
        if row is None or not packet.time_base:
            return False
        packet.pts = packet.dts = round(self._times.times_s[row] / packet.time_base)
        return True


def decode_audio(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """The audio frames of a packet; none if it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []


def seek_row(container: InputContainer, stream: Stream, times: PacketTimes, row: int) -> bool:
    """Go to the packet of this row, or to one shortly before it whose row can be found. Returns False if that fails:
    the position is then undefined."""
    position, ticks = times.positions[row], times.seek_ticks[row]
    can_seek_bytes = container.format.name in BYTE_SEEK_FORMATS and position is not None
    if not can_seek_bytes and ticks is None:
        return False

    def go() -> None:
        if can_seek_bytes:
            assert position is not None
            container.seek(position, stream=stream, unsupported_byte_offset=True)
        else:
            assert ticks is not None
            container.seek(ticks, stream=stream, backward=True)

    try:
        go()
        cursor = RowCursor(times, None)
        rows = (cursor.row_of(packet) for packet in packets(container, stream))
        found = next((each for each in rows if each is not None), None)
        if found is None or found > row:
            return False
        go()
    except av.error.FFmpegError:
        return False
    return True
