"""Read the subtitle streams inside a video file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import av.error
from av.container import InputContainer
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from longvideoagent.core.types import Subtitle
from longvideoagent.media.container import open_container, origin_s
from longvideoagent.media.subtitles.markup import plain_text
from longvideoagent.media.subtitles.repair import ParsedSubtitles, repair_timing

IMAGE_CODECS = ("hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub")


class _StreamSubtitles(NamedTuple):
    subtitles: list[Subtitle]
    is_damaged: bool


def read_embedded(video: Path) -> ParsedSubtitles:
    """Read the first subtitle stream inside a video file that has text; empty if there is none."""
    if video.is_dir():
        return ParsedSubtitles([], [])
    skipped: list[str] = []
    with open_container(video) as container:
        for stream in container.streams.subtitles:
            if stream.codec_context is None or stream.codec_context.name in IMAGE_CODECS:
                skipped.append(f"subtitle stream {stream.index} has images or an unknown format and was ignored")
                continue
            container.seek(0)  # reading the stream before went to the end of the file
            subtitles, is_damaged = _read_stream(container, stream)
            if is_damaged:
                skipped.append(f"subtitle stream {stream.index} is damaged; what could be read was used")
            if subtitles:
                fixed, repaired = repair_timing(subtitles)
                return ParsedSubtitles(fixed, skipped + repaired)
    return ParsedSubtitles([], skipped)


def _read_stream(container: InputContainer, stream: SubtitleStream) -> _StreamSubtitles:
    subtitles: list[Subtitle] = []
    try:
        for packet in container.demux(stream):
            if packet.pts is None or packet.time_base is None:
                continue
            start_s = float(packet.pts * packet.time_base) - origin_s(container)
            text = plain_text(" ".join(_cue_texts(packet)))
            if text:
                subtitles.append(Subtitle(start_s, start_s + float((packet.duration or 0) * packet.time_base), text))
    except av.error.FFmpegError:
        return _StreamSubtitles(subtitles, is_damaged=True)
    return _StreamSubtitles(subtitles, is_damaged=False)


def _cue_texts(packet: av.Packet[SubtitleStream]) -> list[str]:
    return [cue.dialogue.decode("utf-8", errors="replace") for cue in packet.decode() if isinstance(cue, AssSubtitle)]
