"""Comparing the text of an open-ended answer with what is right: a value, a time, a set, an order.

Answers are free text, often with the value first and an explanation after it ("Felix, 54 lines"). Case, punctuation,
articles and spaces do not matter, and numbers may be digits or words. An empty answer matches nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from longvideoagent.core.timefmt import durations_in_s

MAX_ANSWER_CHARS = 20_000
"""Of an answer that are read."""
_WORD = re.compile(r"\w+")
_ARTICLES = frozenset(("a", "an", "the"))
_CONNECTIVES = frozenset(("or", "and", "maybe", "perhaps", "possibly", "either", "also"))
"""Words between two values of which an answer does not choose one."""
_TIMESTAMP = re.compile(r"\b\d{1,6}:\d{1,2}(?::\d{1,2})?\b")
_NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?!\w)|\d+(?:\.\d+)?|[^\W\d_]+")
_UNIT_WORDS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: number for number, word in enumerate(_UNIT_WORDS.split())}
_TENS = {word: 20 + 10 * number for number, word in enumerate(_TENS_WORDS.split())}
_TIMES_WORDS = {"once": 1, "twice": 2, "thrice": 3, "never": 0, "none": 0}
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_QUOTED = re.compile(r"“([^”]+)”|\"([^\"]+)\"|«([^»]+)»|「([^」]+)」|„([^“”]+)[“”]")
_SEPARATORS = re.compile(r"[,;\n•|]|\s-\s|\s(?:and|&)\s|[、，；]")
_TIME_NOTES = re.compile(r"\([^()]{0,60}\)|\[[^\[\]]{0,60}\]")


class _Claim(NamedTuple):
    """A known value that an answer names: its place in the answer, in tokens, and whether it is right."""

    start: int
    end: int
    value: str
    is_right: bool


class SetMatch(NamedTuple):
    """How the items of an answer fit a set."""

    precision: float
    """The fraction of the answer's items that are in the set."""
    recall: float
    """The fraction of the set's items that are in the answer."""

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def is_exact_match(answer: str, right: Sequence[str], wrong: Sequence[str] = ()) -> bool:
    """Whether an answer gives one of the right values.

    The first known value in the answer counts; it must be a right one, and no wrong one may follow it with only "or",
    "and" or a comma between them. If the right value is a number, the first number of the answer counts, timestamps
    left out.

    Args:
        answer: The answer, as the master gave it.
        right: The right values, each as good as the others.
        wrong: Values that are known to be wrong.

    Returns:
        Whether it is right.
    """
    expected = [_as_number(value) for value in right]
    if all(number is not None for number in expected):
        numbers = numbers_in(answer)
        return bool(numbers) and numbers[0] in expected
    tokens = _tokens(answer)
    claims = _claims(tokens, right, wrong)
    if not claims or not claims[0].is_right:
        return False
    others = [claim for claim in claims[1:] if not claim.is_right]
    return not others or bool(set(tokens[claims[0].end : others[0].start]) - _CONNECTIVES)


def numbers_in(text: str) -> list[float]:
    """The numbers that a text names, in digits or in English words, without those of timestamps."""
    plain = _TIMESTAMP.sub(" ", unicodedata.normalize("NFKC", text)[:MAX_ANSWER_CHARS]).casefold()
    numbers: list[float] = []
    is_tens_before = False
    for match in _NUMBER.finditer(plain):
        word = match[0]
        if word[0].isdigit():
            numbers.append(float(word.replace(",", "")))
        elif word in _UNITS and is_tens_before and 0 < _UNITS[word] < 10:  # "twenty-one"
            numbers[-1] += _UNITS[word]
        elif word in _UNITS or word in _TENS or word in _TIMES_WORDS:
            numbers.append(float((_UNITS | _TENS | _TIMES_WORDS)[word]))
        is_tens_before = word in _TENS
    return numbers


def is_time_match(answer: str, time_s: float, tolerance_s: float) -> bool:
    """Whether the first time in an answer, as ``4:15``, ``255 s`` or ``4 minutes 15 seconds``, is close to a time."""
    times_s = durations_in_s(answer[:MAX_ANSWER_CHARS])
    return bool(times_s) and abs(times_s[0] - time_s) <= tolerance_s


def match_set(answer: str, items: Sequence[str]) -> SetMatch:
    """How the items of an answer fit a set. The answer's items are its quotations if it has any, else its parts between
    commas, line breaks and "and"; a part that has an item of the set counts as that item."""
    tokens = _tokens(answer)
    found = [item for item in items if _find(tokens, item) is not None]
    quoted = [next(filter(None, match)) for match in _QUOTED.findall(answer[:MAX_ANSWER_CHARS])]
    pieces = quoted or _pieces(answer, items)
    extra = [piece for piece in pieces if not any(_find(_tokens(piece), item) is not None for item in items)]
    claimed = len(found) + sum(bool(re.search(r"[^\W\d_]", piece)) for piece in extra)
    if not claimed:
        return SetMatch(0.0, 0.0)
    return SetMatch(len(found) / claimed, len(found) / len(items))


def match_order(answer: str, items: Sequence[str]) -> float:
    """The fraction of pairs of items that an answer names in the right order, by their first places in it."""
    tokens = _tokens(answer)
    places = [_find(tokens, item) for item in items]
    pairs = [
        first is not None and second is not None and first.start < second.start
        for first, second in combinations(places, 2)
    ]
    return sum(pairs) / len(pairs) if pairs else float(places[0] is not None)


def _pieces(answer: str, items: Sequence[str]) -> list[str]:
    """The parts of an answer between separators. Separators inside an item of the set do not count."""
    text = _TIME_NOTES.sub(" ", answer[:MAX_ANSWER_CHARS])
    for item in items:
        if _SEPARATORS.search(item):
            text = re.sub(re.escape(item), lambda match: _SEPARATORS.sub(" ", match[0]), text, flags=re.IGNORECASE)
    return [piece for piece in _SEPARATORS.split(text) if piece.strip() and not piece.strip()[0].isdigit()]


def _as_number(value: str) -> float | None:
    """The number that a value is, or None for another text."""
    numbers = numbers_in(value)
    return numbers[0] if len(numbers) == 1 and len(_NUMBER.findall(value)) == 1 else None


def _tokens(text: str) -> list[str]:
    """The words of a text without case, punctuation and articles; a text of articles only keeps them."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_ANSWER_CHARS]).casefold())
    return [word for word in words if word not in _ARTICLES] or words


def _claims(tokens: Sequence[str], right: Sequence[str], wrong: Sequence[str]) -> list[_Claim]:
    """The known values that these tokens name, in order; of those that overlap, the longest."""
    claims: list[_Claim] = []
    for value, is_right in [(value, True) for value in right] + [(value, False) for value in wrong]:
        place = _find(tokens, value)
        if place is not None:
            claims.append(place._replace(is_right=is_right))
    claims.sort(key=lambda claim: claim.start - claim.end)
    kept: list[_Claim] = []
    for claim in claims:
        if all(claim.end <= other.start or other.end <= claim.start for other in kept):
            kept.append(claim)
    return sorted(kept)


def _find(tokens: Sequence[str], value: str) -> _Claim | None:
    """The first place of a value. Spaces do not matter: text recognized in frames often has none."""
    wanted = "".join(_tokens(value))
    if not wanted:
        return None
    is_unspaced = _UNSPACED.search(wanted) is not None
    for start, token in enumerate(tokens):
        if is_unspaced and wanted in token:
            return _Claim(start, start + 1, value, is_right=True)
        if not wanted.startswith(token):
            continue
        joined = ""
        for end, word in enumerate(tokens[start:], start + 1):
            joined += word
            if joined == wanted:
                return _Claim(start, end, value, is_right=True)
            if not wanted.startswith(joined):
                break
    return None
