"""Closed captions (CEA-608), which a video stream carries with its pictures (ATSC A/53) or which have an own stream.

The packets hold them in the clear, so that no picture is decoded; FFmpeg's decoder reads the captions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.subtitle import AssSubtitle
from av.video.stream import VideoStream

from longvideoagent.core.types import Subtitle
from longvideoagent.media.container import open_container, origin_s, packets
from longvideoagent.media.subtitles.markup import plain_text
from longvideoagent.media.subtitles.repair import REPAIRED_S, ParsedSubtitles, repair_timing
from longvideoagent.media.subtitles.tracks import CAPTIONS, Track

MAX_PACKETS_SEARCHED = 300
"""At the beginning of the stream, for captions: each of its packets has some, if only empty ones."""
CAPTIONS_DECODER = "cc_dec"
"""FFmpeg's name of the decoder."""
_TICKS_PER_S = 1000
_CODECS = ("h264", "hevc", "mpeg2video", "mpeg1video")
_USER_DATA = re.compile(rb"GA94\x03([\x40-\xff])\xff")
"""A/53's identifier, the type of captions, and the flags whose lower five bits count the triplets."""
_MAX_BYTES = 3 * 31 + 40
"""Of the triplets of a picture, with emulation prevention."""
_FIELD_1 = (0xFC, 0xFD)
"""First bytes of valid CEA-608 triplets; others are CEA-708."""


class _Screen(NamedTuple):
    time_s: float
    rows: list[str]


def find_captions(video: Path) -> Track | None:
    """The closed captions of a video's pictures, if it has any. Raises DataError for a file that is not a video."""
    if video.is_dir():
        return None
    with open_container(video) as container:
        stream = _video_stream(container)
        if stream is None:
            return None
        for packet in islice(packets(container, stream), MAX_PACKETS_SEARCHED):
            if _triplets(bytes(packet)):
                return Track("closed captions", None, stream.index, rank=CAPTIONS, has_captions=True)
    return None


def read_captions(video: Path, index: int) -> ParsedSubtitles:
    """Read the closed captions of the stream ``index``, with the times of the packets that carry them.

    Rows that scroll or grow are one line, from when they begin to when they disappear. Raises DataError for a file that
    is not a video.
    """
    with open_container(video) as container:
        first_s, carried = origin_s(container), []
        stream = container.streams[index]
        for packet in packets(container, stream):
            if packet.pts is not None and packet.time_base is not None:
                triplets = _triplets(bytes(packet)) if stream.type == "video" else bytes(packet)
                carried.append((float(packet.pts * packet.time_base) - first_s, triplets))
    carried.sort(key=lambda each: each[0])  # packets come in the order of decoding
    end_s = carried[-1][0] if carried else 0.0
    fixed = repair_timing(_lines(list(_screens(carried)), end_s))
    has_708 = any(triplets for _, triplets in carried)
    if has_708 and not fixed.subtitles:
        return ParsedSubtitles([], ["the closed captions hold no text in the form of CEA-608; CEA-708 is not read"])
    return fixed


def _video_stream(container: InputContainer) -> VideoStream | None:
    return next((stream for stream in container.streams.video if stream.codec_context.name in _CODECS), None)


def _triplets(packet: bytes) -> bytes:
    """The caption data of a packet; empty if it has none."""
    found = b""
    for match in _USER_DATA.finditer(packet):
        data = packet[match.end() : match.end() + _MAX_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
        found += data[: 3 * (match[1][0] & 0x1F)]
    return found


def _screens(carried: list[tuple[float, bytes]]) -> Iterator[_Screen]:
    """What the captions show each time that they change."""
    decoder = av.CodecContext.create(CAPTIONS_DECODER, "r")
    assert isinstance(decoder, SubtitleCodecContext)
    # Each change at once: else a caption comes when it ends, and rows that scroll come again and again.
    decoder.options = {"real_time": "1", "real_time_latency_msec": "0", "pkt_timebase": f"1/{_TICKS_PER_S}"}
    for time_s, triplets in carried:
        field_1 = b"".join(triplets[at : at + 3] for at in range(0, len(triplets) - 2, 3) if triplets[at] in _FIELD_1)
        if not field_1:
            continue
        packet = Packet(field_1)
        packet.pts, packet.time_base = round(time_s * _TICKS_PER_S), Fraction(1, _TICKS_PER_S)
        try:
            shown = decoder.decode2(packet)
        except av.error.FFmpegError:
            continue
        for event in shown or ():
            if not isinstance(event, AssSubtitle):
                continue
            text = event.dialogue.decode("utf-8", errors="replace")
            rows = [plain_text(row) for row in text.replace("\\N", "\n").split("\n")]
            yield _Screen(time_s, [row for row in rows if row])


def _lines(screens: list[_Screen], end_s: float) -> list[Subtitle]:
    """The lines of all screens: a row that stays, or grows, is one line; rows with equal times are one."""
    spans: dict[tuple[float, float], list[str]] = {}
    open_rows: list[tuple[str, float]] = []
    for screen in [*screens, _Screen(end_s + REPAIRED_S, [])]:
        rows, kept = list(screen.rows), []
        for text, start_s in open_rows:
            same = next((row for row in rows if row.startswith(text)), None)
            if same is None:
                spans.setdefault((start_s, screen.time_s), []).append(text)
            else:
                rows.remove(same)
                kept.append((same, start_s))
        open_rows = kept + [(row, screen.time_s) for row in rows]
    return [Subtitle(start_s, end_s, " ".join(rows)) for (start_s, end_s), rows in spans.items()]
