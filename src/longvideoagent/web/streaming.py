"""Fragmented MP4 that is made while it is read: copied, encoded anew, or from a folder of frames.

Each stream's own clock begins at 0, whatever second of the video it begins at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
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
from longvideoagent.media.container import open_container, origin_s
from longvideoagent.media.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.media.video import Video
from longvideoagent.media.video_file import upright

MOST_SIDE_PX = 1280
FASTEST_FPS = 60
MOST_HZ = 48_000
TICK_S = 0.002
"""Slack when comparing times: containers round them to their own ticks."""
ENCODING = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets", "frag_duration": "500000"}


class _Pipe:
    """What a muxer writes, to be taken away piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class _Sound:
    """The sound of a video from some second on, copied or encoded anew."""

    def __init__(self, made: OutputContainer, source: AudioStream, start_s: float) -> None:
        self._made, self._start_s = made, start_s
        self._next = 0
        """Where what is encoded next begins at the earliest: some containers tell times that overlap."""
        name, known = codec_of(source), source.codec_context
        # AAC that names no configuration beside it, as in MPEG-TS, is not what MP4 holds.
        if name == "mp3" or (name == "aac" and known.extradata):
            self._stream: Any = made.add_stream_from_template(source)
            self._resampler = None
            return
        rate, layout = min(known.sample_rate, MOST_HZ), "mono" if known.layout.nb_channels == 1 else "stereo"
        self._stream = made.add_stream("aac", rate, layout=layout)
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)

    def add(self, packet: Packet[AudioStream]) -> None:
        if packet.pts is None or packet.time_base is None:
            return
        if float(packet.pts * packet.time_base) < self._start_s:
            return
        if self._resampler is None:
            _shift(packet, self._start_s)
            packet.stream = self._stream
            self._made.mux(packet)
            return
        for frame in _heard(packet):
            if frame.pts is None or frame.time_base is None:
                continue
            frame.pts -= round(self._start_s / frame.time_base)
            for part in self._resampler.resample(frame):
                at = round((part.time or 0.0) * part.sample_rate)
                part.pts, part.time_base = max(at, self._next), Fraction(1, part.sample_rate)
                self._next = part.pts + part.samples
                self._made.mux(self._stream.encode(part))

    def end(self) -> None:
        if self._resampler is not None and self._next:
            self._made.mux(self._stream.encode())


def remuxed(path: Path, start_s: float) -> Iterator[bytes]:
    """The video from a keyframe on, its pictures copied."""
    with ExitStack() as stack:
        source, video, sound = _opened(stack, path)
        from_s = start_s + origin_s(source)
        pipe = _Pipe()
        made = stack.enter_context(av.open(pipe, "w", format="mp4", options=FRAGMENTS))
        copied = made.add_stream_from_template(video)
        heard = _Sound(made, sound, from_s) if sound is not None else None
        if start_s > 0:
            _seek(source, video, from_s)
        untimed: list[Packet[Any]] = []
        has_begun = False
        for packet in packets(source, video, sound):
            has_begun = has_begun or _begins(packet, from_s)
            if isinstance(packet.stream, AudioStream):
                if heard is not None:
                    heard.add(packet)
            elif packet.pts is not None and has_begun:
                untimed.append(packet)
                for each in _timed(untimed, video):
                    _shift(each, from_s)
                    each.stream = copied
                    made.mux(each)
            yield from _told(pipe)
        if heard is not None:
            heard.end()
        made.close()
        yield pipe.take()


def transcoded(path: Path, start_s: float) -> Iterator[bytes]:
    """The video from a second on, its pictures and its sound encoded anew."""
    with ExitStack() as stack:
        source, video, sound = _opened(stack, path)
        from_s = start_s + origin_s(source)
        pipe = _Pipe()
        made = stack.enter_context(av.open(pipe, "w", format="mp4", options=FRAGMENTS))
        fps = min(video.average_rate or Fraction(25), Fraction(FASTEST_FPS))
        encoded: VideoStream | None = None
        heard = _Sound(made, sound, from_s) if sound is not None else None
        if start_s > 0:
            _seek(source, video, from_s)
        for packet in packets(source, video, sound):
            if isinstance(packet.stream, AudioStream):
                if heard is not None and encoded is not None:
                    heard.add(packet)
                continue
            for frame in decoded(packet):
                if frame.time is None or frame.time < from_s:
                    continue
                picture = _even(frame, video)
                encoded = encoded or _encoder(made, picture, fps)
                picture.pts = round((frame.time - from_s) * CLOCK)
                picture.time_base = Fraction(1, CLOCK)
                made.mux(encoded.encode(picture))
                yield from _told(pipe)
        if encoded is not None:
            made.mux(encoded.encode())
        if heard is not None:
            heard.end()
        made.close()
        yield pipe.take()


def pictures(video: Video, start_s: float) -> Iterator[bytes]:
    """A folder of frames from a second on."""
    pipe = _Pipe()
    with av.open(pipe, "w", format="mp4", options=FRAGMENTS) as made:
        encoded: VideoStream | None = None
        for number in range(int((video.duration_s - start_s) * TVQA_FRAMES_PER_S)):
            found = video.frames([start_s + number / TVQA_FRAMES_PER_S])
            if not found or not found[0].is_readable():
                continue
            shown = VideoFrame.from_ndarray(found[0].rgb(), format="rgb24")
            picture = shown.reformat(width=shown.width // 2 * 2, height=shown.height // 2 * 2, format="yuv420p")
            encoded = encoded or _encoder(made, picture, Fraction(TVQA_FRAMES_PER_S))
            picture = picture.reformat(width=encoded.width, height=encoded.height)
            picture.pts, picture.time_base = round(number / TVQA_FRAMES_PER_S * CLOCK), Fraction(1, CLOCK)
            made.mux(encoded.encode(picture))
            yield from _told(pipe)
        if encoded is not None:
            made.mux(encoded.encode())
    yield pipe.take()


CLOCK = 90_000
"""Ticks a second of encoded pictures."""


def _encoder(made: OutputContainer, picture: VideoFrame, fps: Fraction) -> VideoStream:
    stream = made.add_stream("libx264", rate=fps, options=ENCODING)
    stream.pix_fmt, stream.width, stream.height = "yuv420p", picture.width, picture.height
    stream.codec_context.time_base = Fraction(1, CLOCK)
    stream.codec_context.gop_size = max(1, round(2 * fps))
    return stream


def _even(frame: VideoFrame, stream: VideoStream) -> VideoFrame:
    """The frame as a player shows it, with even sides, as h264 needs them."""
    shown = VideoFrame.from_ndarray(upright(frame, stream, MOST_SIDE_PX).copy(), format="rgb24")
    return shown.reformat(width=max(2, shown.width // 2 * 2), height=max(2, shown.height // 2 * 2), format="yuv420p")


def _opened(stack: ExitStack, path: Path) -> tuple[InputContainer, VideoStream, AudioStream | None]:
    source = stack.enter_context(open_container(path))
    return source, *streams_of(source)


def streams_of(container: InputContainer) -> tuple[VideoStream, AudioStream | None]:
    """The pictures and the first sound. Raises DataError where there are no pictures."""
    video = next((s for s in container.streams.video if not s.disposition & s.disposition.attached_pic), None)
    if video is None:
        raise DataError(f"{container.name}: no video stream in it; give a file with pictures")
    sound = next((s for s in container.streams.audio if s.codec_context is not None), None)
    return video, sound


def decoded(packet: Packet[Any]) -> list[VideoFrame]:
    """The pictures of a packet; none where it is damaged."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
    except av.error.FFmpegError:
        return []


def _heard(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """The sound of a packet; none where it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []


def codec_of(stream: VideoStream | AudioStream) -> str:
    """The name of what it is encoded with, whichever decoder reads it."""
    return str(stream.codec_context.codec.canonical_name)


def packets(source: InputContainer, video: VideoStream, sound: AudioStream | None) -> Iterator[Packet[Any]]:
    """Up to the end, or to where the file is cut off."""
    told = source.demux([video, sound] if sound is not None else [video])
    while True:
        try:
            yield next(told)
        except (StopIteration, av.error.FFmpegError):
            return


def _seek(source: InputContainer, video: VideoStream, time_s: float) -> None:
    """To a keyframe that is not after ``time_s``. Containers without an index may land on a later one: then farther
    back, at last to the beginning."""
    base = video.time_base
    assert base is not None  # its packets have been read before
    for back_s in (0.0, 2.0, 8.0, 32.0, 128.0):
        wanted = round(max(0.0, time_s - back_s) / base)
        source.seek(wanted, stream=video, backward=True)
        first = next((each for each in packets(source, video, None) if each.is_keyframe and each.pts is not None), None)
        if first is not None and first.pts is not None and float(first.pts * base) <= time_s + TICK_S:
            source.seek(wanted, stream=video, backward=True)
            return
    source.seek(0)


def _begins(packet: Packet[Any], from_s: float) -> bool:
    """Whether a copied stream can begin with this packet."""
    if not isinstance(packet.stream, VideoStream) or packet.pts is None or packet.time_base is None:
        return False
    return packet.is_keyframe and float(packet.pts * packet.time_base) >= from_s - TICK_S


def _timed(untimed: list[Packet[Any]], video: VideoStream) -> list[Packet[Any]]:
    """Takes out the packets once the last of them has a decoding time, which Matroska does not tell of the first after
    a seek: those before it are decoded a frame apart."""
    last = untimed[-1]
    if last.dts is None:
        return []
    step = round(1 / (video.average_rate or 25) / video.time_base) if video.time_base else 1
    for back, packet in enumerate(reversed(untimed)):
        packet.dts = last.dts - back * max(1, step)
    taken, untimed[:] = list(untimed), []
    return taken


def _shift(packet: Packet[Any], by_s: float) -> None:
    assert packet.time_base is not None  # asked for before
    assert packet.pts is not None
    ticks = round(by_s / packet.time_base)
    packet.pts -= ticks
    if packet.dts is not None:
        packet.dts -= ticks


def _told(pipe: _Pipe) -> Iterator[bytes]:
    data = pipe.take()
    if data:
        yield data
