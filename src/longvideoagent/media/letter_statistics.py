"""Tell legacy encodings apart by the letters of the languages that use them.

The encoding is chosen under which some language makes the bytes most likely: by its letters and their frequencies, by
where they stand in words, and by the short words of nearly every sentence. Nothing is learned or downloaded.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import NamedTuple

from longvideoagent.media.letter_models import LANGUAGES, CharacterLevel, Language

MAX_SAMPLE_BYTES = 10_000
"""As many bytes decide; languages differ after a few lines."""

_LOG_UNKNOWN = math.log(1e-5)
"""Of a letter that the language does not have, or a sign that is not of typography."""
_LOG_INVALID = math.log(1e-8)
"""Of a byte that the encoding does not have, or of a control character."""
_LOG_MISPLACED = math.log(1e-3)
"""Of a capital after a small letter, a sign after a letter, or two scripts in a word."""
_LOG_RARE = math.log(0.05)
_LOG_TYPOGRAPHY = math.log(0.004)
_LOG_SIGN = math.log(5e-4)
_LOG_WORD = 2.0
"""A word that is in most sentences of a language speaks for it."""
_LOG_WESTERN = 1.0
"""The languages of Western Europe are the likeliest, if nothing else decides."""
_LOG_ENCODING = 1.5
"""Each encoding of a language is less likely by this than the one before it."""
_OTHERS_SHARE = 0.35
"""Of the characters of ``Language.others``."""
_TYPOGRAPHY = frozenset("“”‘’„‚…–—«»¿¡♪´·•。，、？！：；（）「」『』《》〜～・ ")
_SIGNS = frozenset("©®™°€£§½¼¾²³")
_NOT_TEXT = re.compile(rb"-->|^(?:Dialogue|Comment|Style|Format):|^[\[{<]")
_HEAD = re.compile(rb"<(head|style)\b.{0,9999}?</\1>|<!--.{0,9999}?-->", re.IGNORECASE | re.DOTALL)
_HEAD_BYTES, _MAX_HEADS = 40_000, 4
_MARKUP = re.compile(rb"</?[A-Za-z][\x20-\x3b\x3d\x3f-\x7e]{0,200}>|&[A-Za-z]{2,6};|\{\\[\x20-\x7a]{1,99}\}")
"""Tags, entities and overrides, whose letters are not of a language."""
_WORD = re.compile(r"[^\W\d_]+")


class _Counts(NamedTuple):
    """What the likelihood of a text depends on, whatever its language."""

    ascii_letters: Counter[str]
    others: Counter[str]
    """Characters beyond ASCII, in lower case."""
    words: Counter[str]
    lone_letters: Counter[str]
    """Words of one Latin letter beyond ASCII."""
    num_misplaced: int


def guess_encoding(data: bytes) -> str:
    """The encoding under which the bytes of a text, which are not all ASCII, read most like a language."""
    sample = _sample(data)
    counts: dict[str, _Counts] = {}
    best, best_score = "cp1252", -math.inf
    for language in LANGUAGES:
        for rank, encoding in enumerate(language.encodings):
            if encoding not in counts:
                counts[encoding] = _count(sample.decode(encoding, errors="replace"))
            score = _log_likelihood(counts[encoding], language) - rank * _LOG_ENCODING
            if score > best_score:
                best, best_score = encoding, score
    return best


def _sample(data: bytes) -> bytes:
    """The first lines with characters beyond ASCII, and about as much of the text without any."""
    lines: dict[bool, list[bytes]] = {True: [], False: []}
    num_bytes = {True: 0, False: 0}
    data = _HEAD.sub(b"", data[:_HEAD_BYTES], count=_MAX_HEADS) + data[_HEAD_BYTES:]
    for line in data.splitlines():
        is_ascii = line.isascii()
        if num_bytes[is_ascii] < MAX_SAMPLE_BYTES // 2 and not (is_ascii and _NOT_TEXT.search(line)):
            part = _MARKUP.sub(b" ", line.rpartition(b",,")[2])  # without the fields of ASS
            lines[is_ascii].append(part)
            num_bytes[is_ascii] += len(part)
        if num_bytes[False] >= MAX_SAMPLE_BYTES // 2:
            break
    return b"\n".join([*lines[False], *lines[True]])[:MAX_SAMPLE_BYTES]


def _count(text: str) -> _Counts:
    lowered = "".join("İ" if character == "İ" else character.lower() for character in text)
    letters = Counter(lowered)
    ascii_letters = Counter({letter: letters[letter] for letter in "abcdefghijklmnopqrstuvwxyz"})
    others = Counter({character: num for character, num in letters.items() if not character.isascii()})
    num_misplaced = sum(map(_is_misplaced, text, text[1:]))
    words = Counter(_WORD.findall(lowered))
    lone_letters = Counter({word: num for word, num in words.items() if len(word) == 1 and "\x7f" < word < "Ͱ"})
    return _Counts(ascii_letters, others, words, lone_letters, num_misplaced)


def _is_misplaced(before: str, character: str) -> bool:
    """Whether a character, of two of which one is beyond ASCII, hardly follows the other."""
    if (before.isascii() and character.isascii()) or not before.isalnum():
        return False
    if before.isdecimal():
        return character.isalpha() and character < "Ͱ"
    if character.isalpha():
        return (before.islower() and character.isupper()) or (before < "Ͱ") != (character < "Ͱ")
    return unicodedata.category(character) in ("So", "Sm", "Sc", "No", "Sk", "Lo")


def _log_likelihood(counts: _Counts, language: Language) -> float:
    logs = _letter_logs(language)
    total = counts.ascii_letters.total() * math.log(1 - language.share) + counts.num_misplaced * _LOG_MISPLACED
    total += sum(counts.ascii_letters[letter] for letter in language.rare) * _LOG_RARE
    total += sum(counts.words[word] for word in language.words) * _LOG_WORD
    total += sum(num for word, num in counts.lone_letters.items() if word not in language.words) * _LOG_RARE
    total += _LOG_WESTERN if language.encodings[0] == "cp1252" else 0.0
    for character, num in counts.others.items():
        log = logs.get(character)
        total += num * (_other_log(character, language.others) if log is None else log)
    return total


@cache
def _letter_logs(language: Language) -> dict[str, float]:
    weights = [1 / (rank + 3) for rank in range(len(language.letters))]
    share = language.share * (1 - _OTHERS_SHARE if language.others else 1) / sum(weights)
    return {letter: math.log(share * weight) for letter, weight in zip(language.letters, weights, strict=True)}


@cache
def _other_log(character: str, level: CharacterLevel | None) -> float:
    """The logarithm of the probability of a character that is not among the letters of a language."""
    if character in _TYPOGRAPHY:
        return _LOG_TYPOGRAPHY
    if character in _SIGNS:
        return _LOG_SIGN
    if character == "\ufffd" or unicodedata.category(character).startswith("C"):
        return _LOG_INVALID
    if level is not None:
        lead = character.encode(level.encoding, errors="replace")[0]
        if level.first_lead <= lead <= level.last_lead:
            return math.log(_OTHERS_SHARE / level.num_characters)
    return _LOG_UNKNOWN
