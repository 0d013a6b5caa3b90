"""Videos with subtitles inside: text streams, pictures (PGS), samples of MP4, and closed captions."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

UNMARKED = Disposition(0)
MILLISECOND = Fraction(1, 1000)
ASS_HEADER = b"[Script Info]\nScriptType: v4.00+\n[V4+ Styles]\nFormat: Name\nStyle: Default\n[Events]\nFormat: Text\n"
FRAMES_PER_S = 25
SIDE_PX = 64


@dataclass(frozen=True)
class TextStream:
    """A subtitle stream, with start and end in milliseconds of each cue."""

    cues: Sequence[tuple[int, int, str | bytes]]
    codec: str = "subrip"
    language: str = ""
    disposition: Disposition = UNMARKED


def mux(video: Path, streams: Iterable[TextStream], out: Path) -> None:
    """Copy the pictures of a video and add subtitle streams."""
    with av.open(str(video)) as source, av.open(str(out), "w") as container:
        video_stream = container.add_stream_from_template(source.streams.video[0])
        added = [(stream, _add_stream(container, stream)) for stream in streams]
        for video_packet in source.demux(source.streams.video[0]):
            if video_packet.dts is not None:
                video_packet.stream = video_stream
                container.mux(video_packet)
        for stream, subtitle_stream in added:
            for start_ms, end_ms, text in stream.cues:
                data = text if isinstance(text, bytes) else text.encode()
                is_plain = stream.codec == "mov_text" and isinstance(text, str)
                packet = av.Packet(struct.pack(">H", len(data)) + data if is_plain else data)
                packet.pts = packet.dts = start_ms
                packet.duration, packet.time_base, packet.stream = end_ms - start_ms, MILLISECOND, subtitle_stream
                container.mux(packet)


def _add_stream(container: av.container.OutputContainer, stream: TextStream) -> SubtitleStream:
    added = container.add_stream(stream.codec)
    assert isinstance(added, SubtitleStream)
    added.time_base = MILLISECOND
    added.codec_context.subtitle_header = ASS_HEADER
    added.disposition = stream.disposition
    if stream.language:
        added.metadata["language"] = stream.language
    return added


def mux_samples(video: Path, kind: bytes, samples: Sequence[tuple[int, int, bytes]], out: Path) -> None:
    """An MP4 file whose subtitle samples are of another kind (``wvtt``, ``stpp``) than FFmpeg writes."""
    mux(video, [TextStream(samples, "mov_text")], out)
    data = out.read_bytes()
    assert data.count(b"tx3g") == 1
    out.write_bytes(data.replace(b"tx3g", kind))


def box(kind: bytes, content: bytes) -> bytes:
    """A box of an MP4 file."""
    return struct.pack(">I", 8 + len(content)) + kind + content


# --- pictures -------------------------------------------------------------------------------------


def drawn(text: str) -> NDArray[np.uint8]:
    """Outlined letters as numbers of colours: 0 around them, 1 for the outline, 2 inside."""
    image = Image.new("L", (30 * len(text) + 40, 72), 0)
    font = ImageFont.load_default(size=40)
    ImageDraw.Draw(image).text((20, 10), text, fill=2, font=font, stroke_width=3, stroke_fill=1)
    return np.minimum(np.asarray(image, np.uint8), 2)


def write_pgs(path: Path, pictures: Sequence[tuple[int, int, NDArray[np.uint8]]]) -> None:
    """A file of Blu-ray subtitles, with start and end in milliseconds of each picture."""
    data = b""
    for number, (start_ms, end_ms, pixels) in enumerate(pictures):
        data += _shown(2 * number, start_ms, pixels) + _cleared(2 * number + 1, end_ms)
    path.write_bytes(data)


def _segment(kind: int, time_ms: int, content: bytes) -> bytes:
    return b"PG" + struct.pack(">IIBH", time_ms * 90, 0, kind, len(content)) + content


def _shown(number: int, time_ms: int, pixels: NDArray[np.uint8]) -> bytes:
    height, width = pixels.shape
    composition = struct.pack(">HHBHBBBB", 1920, 1080, 0x10, number, 0x80, 0, 0, 1)
    composition += struct.pack(">HBBHH", 0, 0, 0, 100, 900)
    window = struct.pack(">BBHHHH", 1, 0, 100, 900, width, height)
    palette = bytes([0, 0, 1, 16, 128, 128, 255, 2, 235, 128, 128, 255])
    coded = b"".join(_run_lengths(row) for row in pixels)
    image = struct.pack(">HBB", 0, 0, 0xC0) + (len(coded) + 4).to_bytes(3, "big")
    image += struct.pack(">HH", width, height) + coded
    kinds = ((0x16, composition), (0x17, window), (0x14, palette), (0x15, image), (0x80, b""))
    return b"".join(_segment(kind, time_ms, content) for kind, content in kinds)


def _cleared(number: int, time_ms: int) -> bytes:
    composition = struct.pack(">HHBHBBBB", 1920, 1080, 0x10, number, 0x00, 0, 0, 0)
    return _segment(0x16, time_ms, composition) + _segment(0x80, time_ms, b"")


def _run_lengths(row: NDArray[np.uint8]) -> bytes:
    coded = b""
    ends = [*np.flatnonzero(np.diff(row)) + 1, len(row)]
    start = 0
    for end in ends:
        colour, left = int(row[start]), int(end - start)
        while left:
            length = min(left, 63)
            coded += bytes([0, length]) if colour == 0 else bytes([0, 0x80 | length, colour])
            left -= length
        start = int(end)
    return coded + b"\x00\x00"


# --- closed captions -----------------------------------------------------------------------------

Pair = tuple[int, int]
SILENT: Pair = (0, 0)
CLEAR: list[Pair] = [(0x14, 0x2C)] * 2


def pop_on(text: str) -> list[Pair]:
    """The byte pairs that show a caption at once."""
    return [*[(0x14, 0x20)] * 2, *[(0x14, 0x2E)] * 2, *[(0x14, 0x70)] * 2, *_letters(text), *[(0x14, 0x2F)] * 2]


def roll_up(text: str) -> list[Pair]:
    """The byte pairs that scroll two rows and write the lower one."""
    return [*[(0x14, 0x25)] * 2, *[(0x14, 0x2D)] * 2, *[(0x14, 0x70)] * 2, *_letters(text)]


def coded(pair: Pair) -> bytes:
    """The two bytes with odd parity."""
    return bytes(code | 0x80 if code.bit_count() % 2 == 0 else code for code in pair)


def _letters(text: str) -> list[Pair]:
    codes = text.encode("ascii") + b" " * (len(text) % 2)
    return list(zip(codes[::2], codes[1::2], strict=True))


def write_captioned(path: Path, pairs: Sequence[Pair]) -> None:
    """A transport stream of grey pictures, each of which carries one byte pair of captions."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_S)
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        frames = [av.VideoFrame.from_ndarray(np.full((SIDE_PX, SIDE_PX, 3), 90, np.uint8)) for _ in pairs]
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_S)
        encoded = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        for packet in encoded:
            assert packet.pts is not None
            number = round(packet.pts * (packet.time_base or 0) * FRAMES_PER_S)
            captioned = av.Packet(_user_data(pairs[number]) + bytes(packet))
            captioned.pts, captioned.dts, captioned.time_base = packet.pts, packet.dts, packet.time_base
            captioned.stream, captioned.is_keyframe = stream, packet.is_keyframe
            container.mux(captioned)


def _user_data(pair: Pair) -> bytes:
    """A NAL unit with A/53 user data."""
    content = b"\xb5\x00\x31GA94\x03\x41\xff\xfc" + coded(pair) + b"\xff"
    return b"\x00\x00\x00\x01\x06" + bytes([4, len(content)]) + content + b"\x80"
