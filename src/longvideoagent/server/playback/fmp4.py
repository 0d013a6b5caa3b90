"""Fragmented MP4 that is made while it is read: copied, encoded anew, or from a folder of frames.

The stream's clock is 0 at the second it begins at, for its pictures and its sound alike: what begins later in the
video begins as much later in the stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from longvideoagent.media.container import origin_s, packets
from longvideoagent.media.frames import Pixels
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.readers.file import to_rgb
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.server.playback.audio import Sound
from longvideoagent.server.playback.demux import (
    MOST_GAP_S,
    TICK_S,
    decoded,
    first_picture,
    is_near,
    opened,
    seek,
    shift,
    write,
)

MOST_SIDE_PX = 1280
MOST_FPS = 60
"""Of what is encoded anew; frames that come faster are left out."""
FALLBACK_FPS = Fraction(25)
GOP_S = 2
CLOCK_HZ = 90_000
"""Ticks a second of encoded pictures."""
LONGEST_SILENCE_S = 0.1
MOST_UNTIMED = 32
"""Packets that wait for one with a decoding time."""
ENCODING = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
# Without delay_moov each track is moved to 0 by itself, so that late sound comes early.
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov", "frag_duration": "500000"}


def remuxed(path: Path, start_s: float) -> Iterator[bytes]:
    """The video from a keyframe on, its pictures copied. Raises DataError where it cannot be opened."""
    return _streamed(path, start_s, _Copied)


def transcoded(path: Path, start_s: float) -> Iterator[bytes]:
    """The video from a second on, its pictures and its sound encoded anew; begins with the picture that is shown at
    that second. Raises DataError where it cannot be opened or no picture can be decoded."""

    def begin(made: OutputContainer, video: VideoStream, from_s: float) -> _Transcoded:
        first = to_rgb(first_picture(path), video, MOST_SIDE_PX)
        return _Transcoded(_Encoder(made, first, video.average_rate or FALLBACK_FPS), video, from_s)

    return _streamed(path, start_s, begin)


def pictures(video: VideoReader, start_s: float) -> Iterator[bytes]:
    """A folder of frames from a second on."""
    pipe = _Pipe()
    with av.open(pipe, "w", format="mp4", options=FRAGMENTS) as made:
        encoder: _Encoder | None = None
        for number in range(int((video.duration_s - start_s) * TVQA_FRAMES_PER_S)):
            (frame,) = video.frames([start_s + number / TVQA_FRAMES_PER_S])[:1] or (None,)
            if frame is not None and frame.is_readable():
                shown = frame.rgb()
                encoder = encoder or _Encoder(made, shown, Fraction(TVQA_FRAMES_PER_S))
                encoder.show(shown, number / TVQA_FRAMES_PER_S)
            yield from pipe.told()
        if encoder is not None:
            encoder.end()
    yield pipe.take()


class _Pipe:
    """What a muxer writes, to be taken away piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._told_at_s = time.monotonic()

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def told(self) -> Iterator[bytes]:
        """What there is to send; now and then nothing, so that a viewer who has left can be noticed."""
        data, now_s = self.take(), time.monotonic()
        if data or now_s - self._told_at_s > LONGEST_SILENCE_S:
            yield data
            self._told_at_s = time.monotonic()


class _Copied:
    """Pictures as they are, from the first keyframe not before some second."""

    def __init__(self, made: OutputContainer, source: VideoStream, from_s: float) -> None:
        self._made, self._from_s = made, from_s
        self._stream = made.add_stream_from_template(source)
        rate, base = source.average_rate or FALLBACK_FPS, source.time_base
        self._step = max(1, round(1 / rate / base)) if base else 1
        self._untimed: list[Packet[Any]] = []
        self._first_pts: int | None = None
        self._last_dts: int | None = None

    def add(self, packet: Packet[Any]) -> None:
        if packet.pts is None or packet.time_base is None:
            return
        if self._first_pts is None:
            if not packet.is_keyframe or float(packet.pts * packet.time_base) < self._from_s - TICK_S:
                return
            self._first_pts = packet.pts
        if packet.pts < self._first_pts:
            return  # it is shown before the keyframe and needs pictures from before it
        self._untimed.append(packet)
        for each in self._timed():
            self._copy(each)

    def end(self) -> None:
        """All has been written."""

    def _timed(self) -> list[Packet[Any]]:
        """Takes out the packets once the last of them has a decoding time, which Matroska does not tell of the first
        after a seek: those before it are decoded a frame apart."""
        last = self._untimed[-1]
        if last.dts is None and len(self._untimed) >= MOST_UNTIMED:
            last.dts = min(each.pts or 0 for each in self._untimed)
        if last.dts is None:
            return []
        for back, packet in enumerate(reversed(self._untimed)):
            packet.dts = last.dts - back * self._step
        taken, self._untimed = self._untimed, []
        return taken

    def _copy(self, packet: Packet[Any]) -> None:
        shift(packet, self._from_s)
        assert packet.pts is not None  # asked for before
        assert packet.dts is not None
        if self._last_dts is not None:
            packet.dts = max(packet.dts, self._last_dts + 1)
        if packet.dts <= packet.pts and is_near(packet, self._last_dts):
            self._last_dts = packet.dts
            packet.stream = self._stream
            write(self._made, packet)


class _Encoder:
    """Writes pictures as h264, all in the size of the first."""

    def __init__(self, made: OutputContainer, first: Pixels, fps: Fraction) -> None:
        height_px, width_px = first.shape[:2]
        scale = min(1.0, MOST_SIDE_PX / max(height_px, width_px))
        fps = min(fps, Fraction(MOST_FPS))
        self._made = made
        stream = made.add_stream("libx264", rate=fps, options=ENCODING)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", _even(width_px * scale), _even(height_px * scale)
        stream.codec_context.time_base = Fraction(1, CLOCK_HZ)
        stream.codec_context.gop_size = max(1, round(GOP_S * fps))
        self._stream = stream

    def show(self, rgb: Pixels, at_s: float) -> None:
        shown = VideoFrame.from_ndarray(rgb.copy(), format="rgb24")
        picture = shown.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
        picture.pts, picture.time_base = round(at_s * CLOCK_HZ), Fraction(1, CLOCK_HZ)
        write(self._made, self._stream.encode(picture))

    def end(self) -> None:
        write(self._made, self._stream.encode())


class _Transcoded:
    """Pictures encoded anew, from the one that is shown at some second on."""

    def __init__(self, encoder: _Encoder, source: VideoStream, from_s: float) -> None:
        self._encoder, self._source, self._from_s = encoder, source, from_s
        self._held: VideoFrame | None = None
        """The latest that is not after the second, until it is known to be the last of these."""
        self._next_s = 0.0

    def add(self, packet: Packet[Any]) -> None:
        for frame in decoded(packet):
            at_s = frame.time - self._from_s
            if at_s <= TICK_S:
                self._held = frame
            else:
                self._show_held()
                self._show(frame, at_s)

    def end(self) -> None:
        self._show_held()
        self._encoder.end()

    def _show_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._show(held, 0.0)

    def _show(self, frame: VideoFrame, at_s: float) -> None:
        if 0 <= at_s - self._next_s <= MOST_GAP_S:
            self._next_s = at_s + 1 / MOST_FPS - TICK_S
            self._encoder.show(to_rgb(frame, self._source, MOST_SIDE_PX), at_s)


_Begin = Callable[[OutputContainer, VideoStream, float], "_Copied | _Transcoded"]


def _streamed(path: Path, start_s: float, begin: _Begin) -> Iterator[bytes]:
    with ExitStack() as stack:
        source, video, sound = opened(stack, path)
        from_s = start_s + origin_s(source)
        if start_s > 0 and not seek(source, video, from_s):
            source, video, sound = opened(stack, path)
        pipe = _Pipe()
        made = stack.enter_context(av.open(pipe, "w", format="mp4", options=FRAGMENTS))
        shown = begin(made, video, from_s)
        heard = Sound(made, sound, from_s) if sound is not None else None
        for packet in packets(source, *(each for each in (video, sound) if each is not None)):
            if not isinstance(packet.stream, AudioStream):
                shown.add(packet)
            elif heard is not None:
                heard.add(packet)
            yield from pipe.told()
        shown.end()
        if heard is not None:
            heard.end()
        made.close()
        yield pipe.take()


def _even(side_px: float) -> int:
    """As h264 needs it."""
    return max(2, round(side_px) // 2 * 2)
