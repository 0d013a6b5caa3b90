"""Read the subtitle streams inside a video file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import DataStream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from longvideoagent.core.types import Subtitle
from longvideoagent.media.container import open_container, origin_s, packets
from longvideoagent.media.subtitles.closed_captions import CAPTIONS_DECODER
from longvideoagent.media.subtitles.languages import language_code
from longvideoagent.media.subtitles.markup import plain_text
from longvideoagent.media.subtitles.mp4_samples import is_webvtt_sample, sample_lines
from longvideoagent.media.subtitles.repair import ParsedSubtitles, repair_timing
from longvideoagent.media.subtitles.tracks import LIKELY, OTHER, Track

IMAGE_CODECS = ("pgssub", "dvdsub", "dvbsub", "xsub", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle")
"""FFmpeg's names of decoders and codecs whose lines are pictures."""
MAX_CUE_S = 3600.0
"""A longer cue has no length in the file, whatever its packet says."""


def find_streams(video: Path) -> list[Track]:
    """The subtitle streams inside a video file, in their order. Raises DataError for a file that is not a video."""
    if video.is_dir():
        return []
    with open_container(video) as container:
        streams: list[SubtitleStream | DataStream] = [*container.streams.subtitles, *_webvtt_streams(container)]
        return [_track(stream, number) for number, stream in enumerate(streams, 1)]


def _webvtt_streams(container: InputContainer) -> list[DataStream]:
    """The streams of WebVTT in an MP4 file, whose kind FFmpeg does not know."""
    found = []
    if container.streams.data and "mp4" in container.format.name:
        for stream in container.streams.data:
            peek = (bytes(packet) for packet in islice(packets(container, stream), 3))
            if any(is_webvtt_sample(data) for data in peek):
                found.append(stream)
            container.seek(0)
    return found


def _track(stream: SubtitleStream | DataStream, number: int) -> Track:
    kind = stream.disposition
    is_partial = bool(kind & (kind.forced | kind.comment))
    is_hearing_impaired = bool(kind & kind.hearing_impaired)
    decoder = "" if stream.codec_context is None else stream.codec_context.name
    has_pictures = decoder in IMAGE_CODECS
    language = language_code(stream.language or "")
    marks = [language, "forced" * is_partial, "for the deaf" * is_hearing_impaired, "pictures" * has_pictures]
    named = ", ".join(mark for mark in marks if mark)
    name = f"#{number} ({named})" if named else f"#{number}"
    rank = LIKELY if kind & kind.default else OTHER
    has_captions = decoder == CAPTIONS_DECODER
    kinds = (is_partial, is_hearing_impaired, has_pictures, has_captions)
    return Track(name, None, stream.index, number, language, rank, *kinds)


def read_streams(video: Path, indexes: Sequence[int]) -> dict[int, ParsedSubtitles]:
    """Read the text of some subtitle streams, by their indexes in the container, in one pass over the file.

    Raises DataError for a file that is not a video. What a damaged stream holds up to its damage is kept, with a
    warning.
    """
    lines: dict[int, list[Subtitle]] = {index: [] for index in indexes}
    damaged: set[int] = set()
    with open_container(video) as container:
        try:
            for packet in container.demux([container.streams[index] for index in lines]):
                if packet.stream.index in lines and packet.pts is not None and packet.time_base is not None:
                    _read_packet(container, packet, lines, damaged)
        except (av.error.FFmpegError, IndexError):  # in a damaged file a new stream may appear
            damaged.update(lines)
    parsed = {index: repair_timing(found) for index, found in lines.items()}
    for index in damaged:
        parsed[index].warnings.append(f"subtitle stream {index} is damaged; what could be read was used")
    return parsed


def _read_packet(
    container: InputContainer, packet: Packet[Any], lines: dict[int, list[Subtitle]], damaged: set[int]
) -> None:
    """Add the line of a packet to those of its stream, or its stream to the damaged ones."""
    index, start_s = packet.stream.index, float((packet.pts or 0) * (packet.time_base or 0)) - origin_s(container)
    length_s = float((packet.duration or 0) * (packet.time_base or 0))
    end_s = start_s + (length_s if length_s <= MAX_CUE_S else 0.0)
    if getattr(packet.stream, "codec_context", None) is None:
        lines[index] += sample_lines(bytes(packet), start_s, end_s)
        return
    try:
        cues = [
            cue.dialogue.decode("utf-8", errors="replace") for cue in packet.decode() if isinstance(cue, AssSubtitle)
        ]
    except av.error.FFmpegError:
        damaged.add(index)
        return
    if text := plain_text(" ".join(cues)):
        lines[index].append(Subtitle(start_s, end_s, text))
