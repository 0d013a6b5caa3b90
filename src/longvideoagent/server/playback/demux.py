"""Reads a video packet by packet, from any second on, and skips damaged parts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from longvideoagent.errors import DataError
from longvideoagent.media.container import open_container, packets

TICK_S = 0.002
"""Tolerance when times are compared: containers round them to their own ticks."""

MAX_GAP_S = 7200.0
"""Between consecutive packets of a track. FFmpeg's muxer aborts the whole process over damaged times, if the ticks
between them do not fit into 31 bits."""


class Streams(NamedTuple):
    """The streams of a container that are played."""

    video: VideoStream
    audio: AudioStream | None


class Source(NamedTuple):
    """An open container and its streams."""

    container: InputContainer
    streams: Streams


def open_source(stack: ExitStack, path: Path) -> Source:
    """Open a video until the stack is closed. Raises DataError like ``find_streams``."""
    container = stack.enter_context(open_container(path))
    return Source(container, find_streams(container))


def find_streams(container: InputContainer) -> Streams:
    """The first video stream that is not a cover image, and the first audio stream. Raises DataError if there is no
    video stream."""
    known = (s for s in container.streams.video if s.codec_context is not None)
    video = next((s for s in known if not s.disposition & s.disposition.attached_pic), None)
    if video is None:
        raise DataError(f"{container.name}: no video stream in it; give a file that has one")
    audio = next((s for s in container.streams.audio if s.codec_context is not None), None)
    return Streams(video, audio)


def codec_name(stream: VideoStream | AudioStream) -> str:
    """The codec of a stream, whichever decoder reads it."""
    return str(stream.codec_context.codec.canonical_name)


def decode_frames(packet: Packet[Any]) -> list[VideoFrame]:
    """The video frames of a packet that have a time; none if it is damaged."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame) and frame.pts is not None]
    except av.error.FFmpegError:
        return []


def decode_audio(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """The audio frames of a packet; none if it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []


def first_frame(path: Path) -> VideoFrame:
    """Raises DataError if no frame can be decoded."""
    with ExitStack() as stack:
        container, streams = open_source(stack, path)
        for packet in packets(container, streams.video):
            for frame in decode_frames(packet):
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
