"""Fragmented MP4 that is produced while it is read: remuxed, transcoded, or encoded from a folder of frames.

The timestamp 0 is the second at which the stream starts, for video and audio alike: a track that starts later in the
video starts as much later in the stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from longvideoagent.media.decoding import FrameClock, TimedFrame
from longvideoagent.media.frames import Pixels
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.server.playback.audio import AudioWriter
from longvideoagent.server.playback.demux import (
    MAX_GAP_S,
    TICK_S,
    Source,
    first_frame,
    is_near,
    mux,
    shift,
)

MAX_SIDE_PX = 1280
MAX_FPS = 60
"""Of transcoded video; frames in excess are dropped."""
FALLBACK_FPS = Fraction(25)
GOP_S = 2
CLOCK_HZ = 90_000
"""Ticks per second of transcoded video."""
MAX_SILENCE_S = 0.1
MAX_WAIT_S = 3.0
"""How far sound may be ahead of the second frame: the sound may go on for long after the last one."""
MAX_UNTIMED = 32
"""Packets that wait for one with a decoding time."""
MAX_STRETCH = 0.03
"""By how much a frame may be stretched, as a fraction, instead of getting black bars."""
ENCODER_OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
# Without delay_moov each track would start at 0, so that late audio would be early.
MUXER_OPTIONS = {"movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov", "frag_duration": "500000"}


def remux(path: Path, start_s: float) -> Iterator[bytes]:
    """The video from a keyframe on, its video track copied. Raises DataError if it cannot be opened."""
    return _stream(path, start_s, lambda output, source: _VideoCopier(output, source.video, source.start_s))


def transcode(path: Path, start_s: float) -> Iterator[bytes]:
    """The video from a second on, encoded again; starts with the frame that is shown at that second. Raises DataError
    if it cannot be opened or no frame can be decoded."""

    def create_writer(output: OutputContainer, source: Source) -> _VideoTranscoder:
        first = first_frame(path).rgb(MAX_SIDE_PX)
        encoder = _Encoder(output, first, source.video.average_rate or FALLBACK_FPS)
        return _VideoTranscoder(encoder, source.frame_clock, start_s)

    return _stream(path, start_s, create_writer)


def encode_frame_folder(video: VideoReader, start_s: float) -> Iterator[bytes]:
    """A folder of frames from a second on."""
    buffer = _OutputBuffer()
    with av.open(buffer, "w", format="mp4", options=MUXER_OPTIONS) as output:
        encoder: _Encoder | None = None
        for index in range(int((video.duration_s - start_s) * TVQA_FRAMES_PER_S)):
            time_s = index / TVQA_FRAMES_PER_S
            frame = next(iter(video.frames([start_s + time_s])), None)
            if frame is not None and frame.is_readable():
                rgb = frame.rgb()
                encoder = encoder or _Encoder(output, rgb, Fraction(TVQA_FRAMES_PER_S))
                encoder.add(rgb, time_s)
            yield from buffer.chunks()
        if encoder is not None:
            encoder.end()
    yield buffer.take()


class _OutputBuffer:
    """A file object that a muxer writes to; its contents are taken chunk by chunk."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._yielded_at_s = time.monotonic()

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """What is ready to send; after a pause an empty chunk, so that the server notices when a viewer has left."""
        data, now_s = self.take(), time.monotonic()
        if data or now_s - self._yielded_at_s > MAX_SILENCE_S:
            yield data
            self._yielded_at_s = time.monotonic()


class _VideoCopier:
    """Copies a video track from the first keyframe at or after some second."""

    def __init__(self, output: OutputContainer, source: VideoStream, start_s: float) -> None:
        self._output, self._start_s = output, start_s
        self._stream = output.add_stream_from_template(source)
        fps, base = source.average_rate or FALLBACK_FPS, source.time_base
        self._frame_ticks = max(1, round(1 / fps / base)) if base else 1
        self._untimed: list[Packet[Any]] = []
        self._first_pts: int | None = None
        self._last_dts: int | None = None

    def add(self, packet: Packet[Any]) -> None:
        if packet.pts is None or packet.time_base is None:
            return
        if self._first_pts is None:
            if not packet.is_keyframe or float(packet.pts * packet.time_base) < self._start_s - TICK_S:
                return
            self._first_pts = packet.pts
        if packet.pts < self._first_pts:
            return  # it is shown before the keyframe and depends on frames before it
        self._untimed.append(packet)
        for timed in self._take_timed():
            self._copy(timed)

    def flush(self) -> None:
        """Nothing waits for a later frame."""

    def end(self) -> None:
        """All has been written."""

    def _take_timed(self) -> list[Packet[Any]]:
        """Take the packets once the latest one has a decoding time. Matroska does not have it for the first packets
        after a seek: these get times one frame apart."""
        latest = self._untimed[-1]
        if latest.dts is None and len(self._untimed) >= MAX_UNTIMED:
            latest.dts = min(packet.pts or 0 for packet in self._untimed)
        if latest.dts is None:
            return []
        for num_back, packet in enumerate(reversed(self._untimed)):
            packet.dts = latest.dts - num_back * self._frame_ticks
        timed, self._untimed = self._untimed, []
        return timed

    def _copy(self, packet: Packet[Any]) -> None:
        shift(packet, self._start_s)
        assert packet.pts is not None  # checked in add
        assert packet.dts is not None
        if self._last_dts is not None:
            packet.dts = max(packet.dts, self._last_dts + 1)
        if packet.dts <= packet.pts and is_near(packet, self._last_dts):
            self._last_dts = packet.dts
            packet.stream = self._stream
            mux(self._output, packet)


class _Encoder:
    """Encodes frames as h264, all in the size of the first."""

    def __init__(self, output: OutputContainer, first: Pixels, fps: Fraction) -> None:
        height_px, width_px = first.shape[:2]
        scale = min(1.0, MAX_SIDE_PX / max(height_px, width_px))
        fps = min(fps, Fraction(MAX_FPS))
        self._output = output
        stream = output.add_stream("libx264", rate=fps, options=ENCODER_OPTIONS)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", _even(width_px * scale), _even(height_px * scale)
        stream.codec_context.time_base = Fraction(1, CLOCK_HZ)
        stream.codec_context.gop_size = max(1, round(GOP_S * fps))
        self._stream = stream

    def add(self, rgb: Pixels, time_s: float) -> None:
        frame = VideoFrame.from_ndarray(_padded(rgb, self._stream.width / self._stream.height), format="rgb24")
        frame = frame.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
        frame.pts, frame.time_base = round(time_s * CLOCK_HZ), Fraction(1, CLOCK_HZ)
        mux(self._output, self._stream.encode(frame))

    def end(self) -> None:
        mux(self._output, self._stream.encode())


class _VideoTranscoder:
    """Encodes a video track again, from the frame that is shown at some second."""

    def __init__(self, encoder: _Encoder, clock: FrameClock, start_s: float) -> None:
        self._encoder, self._clock, self._start_s = encoder, clock, start_s
        self._first: TimedFrame | None = None
        """The latest frame that is not after the start, until a later one follows."""
        self._next_s = 0.0

    def add(self, packet: Packet[Any]) -> None:
        for frame in self._clock.decode(packet):
            time_s = frame.time_s - self._start_s
            if time_s <= TICK_S:
                self._first = frame
            else:
                self.flush()
                self._encode(frame, time_s)

    def flush(self) -> None:
        """Write the first frame now: a later one may be far away."""
        first, self._first = self._first, None
        if first is not None:
            self._encode(first, 0.0)

    def end(self) -> None:
        self.flush()
        self._encoder.end()

    def _encode(self, frame: TimedFrame, time_s: float) -> None:
        if 0 <= time_s - self._next_s <= MAX_GAP_S:
            self._next_s = time_s + 1 / MAX_FPS - TICK_S
            self._encoder.add(frame.rgb(MAX_SIDE_PX), time_s)


_CreateWriter = Callable[[OutputContainer, Source], "_VideoCopier | _VideoTranscoder"]


def _stream(path: Path, start_s: float, create_writer: _CreateWriter) -> Iterator[bytes]:
    with ExitStack() as stack:
        source = Source(stack, path, start_s)
        buffer = _OutputBuffer()
        output = stack.enter_context(av.open(buffer, "w", format="mp4", options=MUXER_OPTIONS))
        video_writer = create_writer(output, source)
        audio_writer = AudioWriter(output, source.audio, source.start_s) if source.audio is not None else None
        for packet in source.packets():
            if not isinstance(packet.stream, AudioStream):
                video_writer.add(packet)
            elif audio_writer is not None:
                audio_writer.add(packet)
                if packet.pts is not None and packet.pts * packet.time_base > source.start_s + MAX_WAIT_S:
                    video_writer.flush()
            yield from buffer.chunks()
        video_writer.end()
        if audio_writer is not None:
            audio_writer.end()
        output.close()
        yield buffer.take()


def _padded(rgb: Pixels, aspect: float) -> Pixels:
    """A copy with black bars, if the aspect ratio differs from that of the frames before."""
    height_px, width_px = rgb.shape[:2]
    missing_px = round(height_px * aspect) - width_px, round(width_px / aspect) - height_px
    if max(missing_px) <= MAX_STRETCH * max(height_px, width_px):
        return rgb.copy()
    x_px, y_px = (max(0, each) // 2 for each in missing_px)
    return np.pad(rgb, ((y_px, y_px), (x_px, x_px), (0, 0)))


def _even(side_px: float) -> int:
    """Round to an even number, as h264 needs it."""
    return max(2, round(side_px) // 2 * 2)
