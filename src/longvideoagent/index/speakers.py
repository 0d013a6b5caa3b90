"""Speakers that subtitle lines name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_SPEAKER = re.compile(r"[\[(]?([^\s:\[\]()][^:\[\]()]{0,30}?)[\])]?\s*:\s+(?=\S)")
"""A name in front of a colon, in brackets or not: ``Mira: Hello``, ``[MIRA]: Hello``."""
_MAX_NAME_WORDS = 3


class SpokenLine(NamedTuple):
    """A line without the name of its speaker, which is empty if it names none."""

    speaker: str
    words: str


@lru_cache(maxsize=20_000)
def split_speaker(text: str) -> SpokenLine:
    """Split a line into speaker and words. A text before a colon is a name if it has up to three words, each with a
    capital letter, in scripts that have them."""
    match = _SPEAKER.match(text)
    if match is None or not _is_name(match[1]):
        return SpokenLine("", text)
    return SpokenLine(match[1], text[match.end() :])


def _is_name(text: str) -> bool:
    words = text.split()
    return len(words) <= _MAX_NAME_WORDS and all(not word[0].islower() and not word[0].isdigit() for word in words)
