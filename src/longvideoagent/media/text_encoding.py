"""Decode the bytes of a text file, for the encodings that subtitle files have in practice."""

from __future__ import annotations

import re
from typing import NamedTuple

from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.letter_statistics import guess_encoding

BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
SAMPLE_BYTES = 4000
_XML_ENCODING = re.compile(rb"\s{0,99}<\?xml[^<>]{1,99}?encoding=[\"']([A-Za-z0-9_.:-]{1,40})[\"']")
ENCODED_TWICE = "the text was encoded as UTF-8 twice, and was repaired"
_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
_NOT_TEXT_ENCODINGS = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem")
_PROGRAM_STREAM = b"\x00\x00\x01\xba"


class DecodedText(NamedTuple):
    """The text of a file, and how it was decoded."""

    text: str
    encoding: str
    is_guess: bool
    """Whether the encoding was chosen by the letters of the text."""
    warnings: list[str]
    """What was replaced."""


def decode_text(data: bytes, encoding: str | None = None) -> DecodedText:
    """Decode the bytes of a file.

    Tried in turn: a byte order mark, UTF-16 without one, UTF-8, also encoded twice, ISO 2022-JP, UTF-8 with a few
    invalid characters, and the legacy encoding under which the text reads most like a language.

    Args:
        data: The bytes.
        encoding: The encoding, as Python names it; None: recognised.

    Returns:
        The text without a byte order mark. Bytes that the encoding does not have are replaced and counted.

    Raises:
        DataError: The data are not text.
        UsageError: ``encoding`` does not exist.
    """
    if encoding is not None:
        return _decode(data, check_encoding(encoding))
    for mark, name in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _undo_double_encoding(_decode(data, name))
    sample = data[:SAMPLE_BYTES]
    if encoding_16 := _bare_utf_16(sample):
        return _decode(data, encoding_16)
    if b"\x1b$" in data and data.isascii():
        return _decode(data, "iso2022_kr" if b"\x1b$)C" in data else "iso2022_jp_ext", is_guess=True)
    if sum(byte < 9 or 13 < byte < 27 for byte in sample) > len(sample) // 20:
        kind = (
            "pictures of subtitles (VobSub)" if data.startswith(_PROGRAM_STREAM) else "binary data, not subtitle text"
        )
        raise DataError(f"{kind}; give a text file such as .srt, .vtt or .ass")
    try:
        return _undo_double_encoding(DecodedText(data.decode("utf-8"), "utf-8", is_guess=False, warnings=[]))
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
    num_invalid = text.count("\ufffd")
    num_valid = sum(character >= "\x80" for character in text) - num_invalid
    is_cut = num_invalid == 1 and text.endswith("\ufffd")  # inside the last character
    # Whole sequences of UTF-8 hardly occur by chance in another encoding.
    if is_cut or num_valid > max(1, num_invalid):
        return _decode(data, "utf-8")
    declared = _declared_encoding(data)
    return _decode(data, declared or guess_encoding(data), is_guess=not declared)


def _undo_double_encoding(decoded: DecodedText) -> DecodedText:
    """The text that some program took for Windows-1252 and encoded as UTF-8 once more, as "Ã©" for "é"; any other text
    as it is. Each run of such characters must be UTF-8, which no language writes by chance."""
    runs = _NON_ASCII.findall(decoded.text, 0, SAMPLE_BYTES)
    if not runs or any(_decoded_run(run) is None for run in runs):
        return decoded
    text = _NON_ASCII.sub(lambda match: _decoded_run(match[0]) or match[0], decoded.text)
    return decoded._replace(text=text, warnings=[*decoded.warnings, ENCODED_TWICE])


def _decoded_run(run: str) -> str | None:
    """The characters whose UTF-8 bytes, read as Windows-1252, are these; None if they are not."""
    if not "\u00c2" <= run[0] <= "\u00f4":
        return None
    try:  # programs leave the five bytes that Windows-1252 lacks as they are
        return b"".join(each.encode("latin-1" if each < "\u00a0" else "cp1252") for each in run).decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None


def _declared_encoding(data: bytes) -> str:
    """The encoding that an XML declaration names, if Python has it and it fits; else empty."""
    match = _XML_ENCODING.match(data)
    if match is None:
        return ""
    try:
        name = check_encoding(match[1].decode("ascii"))
        data.decode(name)
    except (UsageError, UnicodeDecodeError):
        return ""
    return name


def check_encoding(name: str) -> str:
    """The name, if Python has a text encoding of it. Raises UsageError otherwise."""
    normalized = name.strip().lower().replace("-", "_")
    try:
        "".encode(normalized)
    except (LookupError, ValueError):  # ValueError: a name with a NUL, and the encoding that only raises
        known = False
    else:
        known = normalized not in _NOT_TEXT_ENCODINGS
    if not known:
        raise UsageError(f"encoding {name!r}: not known; use a name such as utf-8, cp1250, cp1251, big5 or shift_jis")
    return normalized


def _decode(data: bytes, encoding: str, *, is_guess: bool = False) -> DecodedText:
    text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    num_invalid = text.count("\ufffd")
    name = "UTF-8" if encoding.startswith("utf_8") or encoding == "utf-8" else encoding
    plural = "s of the subtitles are" if num_invalid != 1 else " of the subtitles is"
    replaced = "were" if num_invalid != 1 else "was"
    warning = f"{num_invalid} character{plural} invalid {name} and {replaced} replaced"
    return DecodedText(text, encoding, is_guess, [warning] if num_invalid else [])


def _bare_utf_16(sample: bytes) -> str:
    """The UTF-16 encoding whose high bytes are mostly zero while its low bytes are not; empty if neither."""
    shares = [part.count(0) / max(1, len(part)) for part in (sample[0::2], sample[1::2])]
    if max(shares) < 0.15 or min(shares) > 0.05:
        return ""
    return "utf-16-be" if shares[0] > shares[1] else "utf-16-le"
