"""JSON as files really hold it: where its records stand, names that stand twice in an object, and halves of characters,
all of which parsers take without a word."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][\da-fA-F]{2})|\\.", re.DOTALL
)
_MAY_BE_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_MARK = r"\u003f"
"""The question mark, as long as what it replaces, so that everything keeps its place."""
_NAME = re.compile(r'"([^"\\]{1,80})"\s*:')

Place = tuple[int, int]
"""Where a record begins: its character, and its line from 1."""


def whole_characters(text: str) -> tuple[str, list[int]]:
    """The text with ``?`` for the escape of each half of a character, which nobody can send on, and where they
    stood."""
    halves: list[int] = []

    def marked(found: re.Match[str]) -> str:
        if found["half"] is None:
            return found.group()
        halves.append(found.start())
        return _MARK

    may_hold = "\\" in text and _MAY_BE_HALF.search(text) is not None
    return (_ESCAPE.sub(marked, text) if may_hold else text), halves


def name_before(text: str, start: int, end: int) -> str:
    """The last name of a member in a part of a text; empty where there is none."""
    return next((found[1] for found in reversed(list(_NAME.finditer(text, start, end)))), "")


def line_of_name(text: str, name: str) -> int:
    """The last line that has a member of that name; 0 where it is spelt with escapes."""
    found = list(re.finditer(rf'"{re.escape(name)}"\s*:', text))
    return line_at(text, found[-1].start()) if found else 0


def line_at(text: str, place: int) -> int:
    """The line of a character, from 1."""
    return text.count("\n", 0, place) + 1


class Decoder:
    """Reads JSON, and tells the names that stand twice in one of its objects."""

    def __init__(self) -> None:
        self._twice: list[str] = []
        self._json = json.JSONDecoder(object_pairs_hook=self._object)

    def read(self, text: str) -> tuple[Any, list[str]]:
        """What a text holds. Raises ValueError or RecursionError where it is no JSON."""
        self._twice = []
        return self._json.decode(text), self._twice

    def read_at(self, text: str, start: int) -> list[str]:
        """The names that stand twice in the value which begins there."""
        self._twice = []
        self._json.raw_decode(text, start)
        return self._twice

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            self._twice += [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        return members


def places_in_list(text: str) -> list[Place]:
    """Where each element of a JSON list begins."""
    decoder = json.JSONDecoder()
    places: list[Place] = []
    line, counted = 1, 0
    at = text.index("[") + 1
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == "]":
            return places
        line += text.count("\n", counted, at)
        counted = at
        places.append((at, line))
        _, at = decoder.raw_decode(text, at)


def lines_of(text: str) -> Iterator[tuple[Place, str]]:
    """The lines that are not empty, one at a time: the text is large."""
    start = number = 0
    while start < len(text):
        number += 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.strip():
            yield (start, number), line
        start = end + 1
