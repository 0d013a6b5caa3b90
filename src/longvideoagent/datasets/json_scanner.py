"""What JSON parsers do not report: the line of each record, duplicate keys in an object, and unpaired surrogates."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"  # a pair
    r"|(?P<unpaired>\\u[dD][89a-fA-F][\da-fA-F]{2})"
    r"|\\.",
    re.DOTALL,
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_REPLACEMENT = r"\u003f"
"""The escape of a question mark, as long as the escape that it replaces, so that all offsets stay the same."""
_KEY = re.compile(r'"([^"\\]{1,80})"\s*:')


class Position(NamedTuple):
    """Where a record begins in its file."""

    offset: int
    """In characters, from 0."""
    line: int
    """From 1."""


START = Position(0, 1)


class EncodableText(NamedTuple):
    """JSON text that can be encoded as UTF-8."""

    text: str
    surrogates: list[int]
    """The offsets of the unpaired surrogates that were replaced by ``?``."""


class Decoded(NamedTuple):
    """A JSON value."""

    value: Any
    duplicate_keys: list[str]


def replace_unpaired_surrogates(text: str) -> EncodableText:
    """Replace the escape of each unpaired surrogate, which cannot be encoded as UTF-8, by that of ``?``."""
    offsets: list[int] = []

    def substitute(match: re.Match[str]) -> str:
        if match["unpaired"] is None:
            return match.group()
        offsets.append(match.start())
        return _REPLACEMENT

    has_surrogate = "\\" in text and _SURROGATE.search(text) is not None
    return EncodableText(_ESCAPE.sub(substitute, text) if has_surrogate else text, offsets)


def lines_and_keys(text: str, offsets: Iterable[int], start: Position = START) -> Iterator[tuple[int, str]]:
    """The line of each offset, and the last key between ``start`` and it, or an empty text. Offsets are in order, so
    that the text is read once."""
    read_to, line = start
    key = ""
    for offset in offsets:
        line += text.count("\n", read_to, offset)
        key = next((match[1] for match in reversed(list(_KEY.finditer(text, read_to, offset)))), key)
        read_to = offset
        yield line, key


def line_of_key(text: str, key: str) -> int:
    """The last line with that key; 0 if the key is written with escapes."""
    matches = list(re.finditer(rf'"{re.escape(key)}"\s*:', text))
    return line_at(text, matches[-1].start()) if matches else 0


def line_at(text: str, offset: int) -> int:
    """The line of a character, from 1."""
    return text.count("\n", 0, offset) + 1


class DuplicateKeyDecoder:
    """Decodes JSON and lists the duplicate keys of its objects."""

    def __init__(self) -> None:
        self._duplicates: list[str] = []
        self._decoder = json.JSONDecoder(object_pairs_hook=self._to_dict)

    def decode(self, text: str) -> Decoded:
        """Decode a text. Raises ValueError or RecursionError for invalid JSON."""
        self._duplicates = []
        return Decoded(self._decoder.decode(text), self._duplicates)

    def duplicates_at(self, text: str, offset: int) -> list[str]:
        """The duplicate keys of the value that begins at an offset."""
        self._duplicates = []
        self._decoder.raw_decode(text, offset)
        return self._duplicates

    def _to_dict(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            self._duplicates += [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        return members


def list_item_positions(text: str) -> list[Position]:
    """Where each item of a JSON list begins."""
    decoder = json.JSONDecoder()
    positions: list[Position] = []
    line, counted_to = 1, 0
    offset = text.index("[") + 1
    while True:
        while offset < len(text) and text[offset] in " \t\r\n,":
            offset += 1
        if offset >= len(text) or text[offset] == "]":
            return positions
        line += text.count("\n", counted_to, offset)
        counted_to = offset
        positions.append(Position(offset, line))
        _, offset = decoder.raw_decode(text, offset)


def iter_lines(text: str) -> Iterator[tuple[Position, str]]:
    """The lines that are not empty, one at a time since the text is large."""
    start = number = 0
    while start < len(text):
        number += 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.strip():
            yield Position(start, number), line
        start = end + 1
