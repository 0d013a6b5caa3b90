"""Decode the bytes of a text file, for the encodings that subtitle files have in practice."""

from __future__ import annotations

import re
from typing import NamedTuple

from charset_normalizer import from_bytes

from longvideoagent.errors import DataError

BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
SAMPLE_BYTES = 4000
MIN_HIGH_BYTES = 60
"""With fewer, a statistical guess is unreliable, and Chinese is the most likely."""
_HIGH_RUN = re.compile(rb"[\x80-\xff]{2,}")
_GBK_PAIR = re.compile(rb"[\xb0-\xf7][\xa1-\xfe]|[\xa1-\xa3][\xa1-\xfe]")


class DecodedText(NamedTuple):
    """The text of a file, and warnings if its encoding was guessed."""

    text: str
    warnings: list[str]


def decode_text(data: bytes) -> DecodedText:
    """Decode the bytes of a file. Raises DataError for binary data.

    Tried in turn: a byte order mark, UTF-16 without one, UTF-8, UTF-8 with a few invalid characters, and the legacy
    encodings: Latin text is decoded as Windows-1252, other scripts as the most likely encoding of their bytes.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return DecodedText(data[len(mark) :].decode(encoding, errors="replace"), [])
    encoding_16 = _bare_utf_16(data[:SAMPLE_BYTES])
    if encoding_16:
        return DecodedText(data.decode(encoding_16, errors="replace"), [])
    sample = data[:SAMPLE_BYTES]
    if sample.count(0) or sum(byte < 9 or 13 < byte < 27 for byte in sample) > len(sample) // 20:
        raise DataError("binary data, not subtitle text; give an .srt, .vtt or .ass file")
    text = data.decode("utf-8", errors="replace")
    num_invalid = text.count("\ufffd")
    if not num_invalid:
        return DecodedText(text, [])
    num_valid = sum(character >= "\x80" for character in text) - num_invalid
    if num_valid > 3 * num_invalid:
        warning = f"{num_invalid} characters of the subtitles are invalid UTF-8 and were replaced"
        return DecodedText(text, [warning])
    encoding = _legacy_encoding(data)
    warning = f"the subtitles are not UTF-8 and were read as {encoding}"
    return DecodedText(data.decode(encoding, errors="replace"), [warning])


def _bare_utf_16(sample: bytes) -> str:
    """The UTF-16 encoding whose high bytes are mostly zero while its low bytes are not; empty if neither."""
    shares = [part.count(0) / max(1, len(part)) for part in (sample[0::2], sample[1::2])]
    if max(shares) < 0.15 or min(shares) > 0.05:
        return ""
    return "utf-16-be" if shares[0] > shares[1] else "utf-16-le"


def _legacy_encoding(data: bytes) -> str:
    """Guess by runs: accented letters of Latin text stand alone between ASCII ones, letters of other scripts do not."""
    high = sum(byte >= 0x80 for byte in data)
    if sum(len(run) for run in _HIGH_RUN.findall(data)) < high / 2:
        return "cp1252"
    if high < MIN_HIGH_BYTES and 2 * len(_GBK_PAIR.findall(data)) >= 0.7 * high and _decodes(data, "gb18030"):
        return "gb18030"
    best = from_bytes(b"\n".join(line for line in data.split(b"\n") if not line.isascii())).best()
    return best.encoding if best is not None else "cp1252"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
