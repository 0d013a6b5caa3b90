"""The text of a clip as subtitle lines with speakers. It is written in three ways:

==========================================  ==================================================================
``Mira : words <eos> more words <eos>``      LongTVQA+; a line without a speaker continues the last speaker
``(Mira:)words(Otto:)words``                 LongTVQA; other brackets, such as ``(phone rings)``, are words
``Mira : words Otto : words``                sets that ``lva data build`` writes
==========================================  ==================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, zip_longest
from typing import NamedTuple

from longvideoagent.core.types import Subtitle

END_OF_LINE = "<eos>"
UNKNOWN_SPEAKER = "UNKNAME"
"""What TVQA+ writes in place of the name of an unknown speaker."""
_NAME = (
    r"(?P<name>(?:(?:Dr|Mrs|Mr|Ms|Prof)\.? )?[A-Z][\w'’-]{0,40}"
    r"(?: (?:[A-Z][\w'’-]{0,40}|from|the|of|and|on|in|&)){0,7})"
)
_SPEAKER = re.compile(rf"(?:^|(?<=\s)){_NAME} ?: ")
_LEADING_SPEAKER = re.compile(rf"{_NAME} ?:(?: |$)")
_BRACKETED_SPEAKER = re.compile(r"\(\s{0,9}(?P<name>[^\s():<>][^():<>]{0,59}?)\s{0,9}:\s{0,9}\)")
_SPEAKER_PREFIX = re.compile(rf"\(? ?{_NAME} ?:(?: ?\) ?| )")


class _Line(NamedTuple):
    speaker: str | None
    """None if the text states none here; empty if the speaker is unknown."""
    words: str


def normalize_speaker(text: str, separator: str = ":") -> str:
    """A line with its speaker, if it has one, as ``Mira: words``; ``(Mira:)words`` and ``Mira : words`` are accepted.
    ``separator`` follows the name."""
    match = _SPEAKER_PREFIX.match(text)
    if match is None:
        return text
    words = text[match.end() :].lstrip()
    return words if match["name"] == UNKNOWN_SPEAKER else f"{match['name']}{separator} {words}"


def split_transcript(text: str, duration_s: float) -> list[Subtitle]:
    """The lines of a clip's text, which has no times. Each line gets a share of ``duration_s`` in proportion to its
    length."""
    lines: list[str] = []
    lengths: list[int] = []
    speaker = ""
    for line in _split_lines(" ".join(text.split())):
        stated = "" if line.speaker is None else line.speaker
        speaker = speaker if line.speaker is None else line.speaker
        lines.append(f"{speaker}: {line.words}" if speaker else line.words)
        lengths.append(len(stated) + len(line.words))
    ends = list(accumulate(lengths))
    if not ends:
        return []
    scale = duration_s / max(1, ends[-1])
    return [
        Subtitle((end - length) * scale, end * scale, line)
        for line, length, end in zip(lines, lengths, ends, strict=True)
    ]


def _split_lines(text: str) -> Iterator[_Line]:
    parts = [part.strip() for part in text.split(END_OF_LINE)]
    is_bracketed = _BRACKETED_SPEAKER.search(text) is not None
    for part in parts:
        if is_bracketed:
            yield from _split_at(part, _BRACKETED_SPEAKER.finditer(part))
        elif len(parts) > 1:
            yield from _split_at(part, [match] if (match := _LEADING_SPEAKER.match(part)) else [])
        else:
            yield from _split_at(part, _SPEAKER.finditer(part))


def _split_at(text: str, speakers: Iterable[re.Match[str]]) -> Iterator[_Line]:
    """The lines of a text, one for each of these speakers, and one for the words in front of them."""
    found = list(speakers)
    if words := text[: found[0].start() if found else len(text)].strip():
        yield _Line(None, words)
    for speaker, following in zip_longest(found, found[1:]):
        words = text[speaker.end() : following.start() if following else len(text)].strip()
        name = "" if speaker["name"] == UNKNOWN_SPEAKER else speaker["name"]
        if name or words:
            yield _Line(name, words)
