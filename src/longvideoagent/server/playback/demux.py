"""Reads a video packet by packet, from any second on, and skips damaged parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from longvideoagent.errors import DataError
from longvideoagent.media.container import find_audio, find_video, open_container, origin_s, packets
from longvideoagent.media.decoding import AudioClock, Display, FrameClock, TimedFrame, seek_row
from longvideoagent.media.packet_index import read_packet_index

TICK_S = 0.002
"""Tolerance when times are compared: containers round them to their own ticks."""

MAX_GAP_S = 7200.0
"""Between consecutive packets of a track. FFmpeg's muxer aborts the whole process over damaged times, if the ticks
between them do not fit into 31 bits."""


class Source:
    """A video that is read packet by packet from a second on, until its stack is closed.

    Raises DataError if it cannot be opened or read.
    """

    def __init__(self, stack: ExitStack, path: Path, start_s: float = 0.0) -> None:
        index = read_packet_index(path)
        self._path, self._stack, self._times = path, stack, index.video
        self._open()
        first_s = origin_s(self._container) if index.video is None else 0.0
        row: int | None = None
        if start_s <= 0 or not self._seek(start_s + first_s):
            row = 0
            if start_s > 0:  # even a seek to 0 may not lead to the start of a container whose index starts later
                self._open()
        self.start_s = start_s + first_s
        """The start on the clock of the packets."""
        self.frame_clock = FrameClock(self.video, first_s, Display(), index.video, row)
        self._audio_clock = AudioClock(index.audio, row) if index.audio is not None else None

    def packets(self) -> Iterator[Packet[Any]]:
        """The packets of the first video and the first audio stream."""
        for packet in packets(self._container, *(stream for stream in (self.video, self.audio) if stream is not None)):
            is_audio = isinstance(packet.stream, AudioStream)
            if not is_audio or not packet.size or self._audio_clock is None or self._audio_clock.stamp(packet):
                yield packet

    def _open(self) -> None:
        self._container = self._stack.enter_context(open_container(self._path))
        self.video, self.audio = find_video(self._container, self._path), find_audio(self._container)

    def _seek(self, time_s: float) -> bool:
        if self._times is None:
            return seek(self._container, self.video, time_s)
        points = [point for point in self._times.points() if point.time_s <= time_s + TICK_S]
        return bool(points) and seek_row(self._container, self.video, self._times, points[-1].row)


def codec_name(stream: VideoStream | AudioStream) -> str:
    """The codec of a stream, whichever decoder reads it."""
    return str(stream.codec_context.codec.canonical_name)


def first_frame(path: Path) -> TimedFrame:
    """The first frame of a video. Raises DataError if none can be decoded."""
    with ExitStack() as stack:
        source = Source(stack, path)
        for packet in source.packets():
            for frame in source.frame_clock.decode(packet) if packet.stream is source.video else ():
                return frame
    raise DataError(f"{path}: no frame in it can be decoded; copy it again")


def seek(container: InputContainer, video: VideoStream, time_s: float) -> bool:
    """Seek to a keyframe that is not after ``time_s``. Containers without an index may land on a later one; then try
    further back. Returns False if there is none: the position is then undefined, and even a seek to 0 may not lead to
    the start of a container whose index starts later."""
    base = video.time_base
    assert base is not None  # its packets have been read before
    for back_s in (0.0, 2.0, 8.0, 32.0, 128.0):
        target = round(max(0.0, time_s - back_s) / base)
        try:
            container.seek(target, stream=video, backward=True)
        except av.error.FFmpegError:
            continue
        keyframes = (packet for packet in packets(container, video) if packet.is_keyframe and packet.pts is not None)
        first = next(keyframes, None)
        if first is not None and first.pts is not None and float(first.pts * base) <= time_s + TICK_S:
            container.seek(target, stream=video, backward=True)
            return True
    return False


def shift(packet: Packet[Any], by_s: float) -> None:
    """Move a packet to an earlier time. The packet must have a time."""
    assert packet.time_base is not None
    assert packet.pts is not None
    ticks = round(by_s / packet.time_base)
    packet.pts -= ticks
    if packet.dts is not None:
        packet.dts -= ticks


def is_near(packet: Packet[Any], last_dts: int | None) -> bool:
    """Whether a shifted packet can follow the last one of its track."""
    if packet.dts is None or packet.pts is None or packet.time_base is None:
        return False
    base = float(packet.time_base)
    return max(abs(packet.dts - (last_dts or 0)), abs(packet.pts - packet.dts)) * base <= MAX_GAP_S


def mux(output: OutputContainer, new_packets: Packet[Any] | list[Packet[Any]]) -> None:
    """Write packets, except those that the container cannot hold: a damaged packet does not end a stream."""
    for packet in new_packets if isinstance(new_packets, list) else [new_packets]:
        try:
            output.mux(packet)
        except av.error.FFmpegError:
            continue
