"""Subtitle samples of MP4 files for which FFmpeg has no decoder: WebVTT (``wvtt``) and TTML (``stpp``).

Source: ISO/IEC 14496-30, which defines both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.markup import plain_text
from longvideoagent.media.subtitles.read import parse_subtitles

_CUE, _NO_CUE, _PAYLOAD = b"vttc", b"vtte", b"payl"


class _Box(NamedTuple):
    kind: bytes
    content: bytes


def is_webvtt_sample(data: bytes) -> bool:
    """Whether the bytes of a packet are a sample of WebVTT."""
    return data[4:8] in (_CUE, _NO_CUE)


def sample_lines(data: bytes, start_s: float, end_s: float) -> list[Subtitle]:
    """The lines of a sample that is shown from ``start_s`` to ``end_s``. TTML has times of its own, on the clock of the
    track. A sample that cannot be read has none."""
    if is_webvtt_sample(data):
        payloads = [
            plain_text(box.content.decode("utf-8", errors="replace"))
            for cue in _boxes(data)
            if cue.kind == _CUE
            for box in _boxes(cue.content)
            if box.kind == _PAYLOAD
        ]
        return [Subtitle(start_s, end_s, text) for text in payloads if text]
    try:
        return parse_subtitles(data).subtitles
    except DataError:
        return []


def _boxes(data: bytes) -> Iterator[_Box]:
    """The boxes one after the other; a length that cannot be right ends them."""
    offset = 0
    while offset + 8 <= len(data):
        length = int.from_bytes(data[offset : offset + 4], "big")
        if not 8 <= length <= len(data) - offset:
            return
        yield _Box(data[offset + 4 : offset + 8], data[offset + 8 : offset + length])
        offset += length
