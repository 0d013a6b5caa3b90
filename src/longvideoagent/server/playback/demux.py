"""Reading a video packet by packet, from some second on, whatever is damaged in it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

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
"""Slack when comparing times: containers round them to their own ticks."""

MOST_GAP_S = 7200.0
"""Between what follows on each other in a track. FFmpeg's muxer ends the whole process over damaged times, where ticks
between them do not fit into 31 bits."""


def opened(stack: ExitStack, path: Path) -> tuple[InputContainer, VideoStream, AudioStream | None]:
    """Its container, pictures and sound, open for as long as the stack is. Raises DataError as below."""
    source = stack.enter_context(open_container(path))
    return source, *streams_of(source)


def streams_of(container: InputContainer) -> tuple[VideoStream, AudioStream | None]:
    """The pictures and the first sound. Raises DataError where there are no pictures."""
    known = (s for s in container.streams.video if s.codec_context is not None)
    video = next((s for s in known if not s.disposition & s.disposition.attached_pic), None)
    if video is None:
        raise DataError(f"{container.name}: no video stream in it; give a file with pictures")
    sound = next((s for s in container.streams.audio if s.codec_context is not None), None)
    return video, sound


def codec_of(stream: VideoStream | AudioStream) -> str:
    """The name of what it is encoded with, whichever decoder reads it."""
    return str(stream.codec_context.codec.canonical_name)


def decoded(packet: Packet[Any]) -> list[VideoFrame]:
    """The pictures of a packet that have a time; none where it is damaged."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame) and frame.pts is not None]
    except av.error.FFmpegError:
        return []


def heard(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """The sound of a packet; none where it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []


def first_picture(path: Path) -> VideoFrame:
    """Raises DataError where none can be decoded."""
    with ExitStack() as stack:
        source, video, _ = opened(stack, path)
        for packet in packets(source, video):
            for frame in decoded(packet):
                return frame
    raise DataError(f"{path}: no picture in it can be decoded; copy it again")


def seek(source: InputContainer, video: VideoStream, time_s: float) -> bool:
    """To a keyframe that is not after ``time_s``. Containers without an index may land on a later one: then farther
    back. False where none is found; the place is any then, and not even a seek to 0 leads back to the beginning of a
    container whose index begins later."""
    base = video.time_base
    assert base is not None  # its packets have been read before
    for back_s in (0.0, 2.0, 8.0, 32.0, 128.0):
        wanted = round(max(0.0, time_s - back_s) / base)
        try:
            source.seek(wanted, stream=video, backward=True)
        except av.error.FFmpegError:
            continue
        first = next((each for each in packets(source, video) if each.is_keyframe and each.pts is not None), None)
        if first is not None and first.pts is not None and float(first.pts * base) <= time_s + TICK_S:
            source.seek(wanted, stream=video, backward=True)
            return True
    return False


def shift(packet: Packet[Any], by_s: float) -> None:
    """Make it earlier. It has to have a time."""
    assert packet.time_base is not None
    assert packet.pts is not None
    ticks = round(by_s / packet.time_base)
    packet.pts -= ticks
    if packet.dts is not None:
        packet.dts -= ticks


def is_near(packet: Packet[Any], last_dts: int | None) -> bool:
    """Whether a shifted packet can follow on the last one of its track."""
    if packet.dts is None or packet.pts is None or packet.time_base is None:
        return False
    base = float(packet.time_base)
    return max(abs(packet.dts - (last_dts or 0)), abs(packet.pts - packet.dts)) * base <= MOST_GAP_S


def write(made: OutputContainer, told: Packet[Any] | list[Packet[Any]]) -> None:
    """Leaves out what the container cannot hold: a damaged packet does not end a stream."""
    for packet in told if isinstance(told, list) else [told]:
        try:
            made.mux(packet)
        except av.error.FFmpegError:
            continue
