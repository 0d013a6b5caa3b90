"""Tokens by which options are compared with lines, beside the terms of ``index.terms``.

Terms are content words. Their character 4-grams also match other forms of a word and parts of compounds. Pairs keep
the order of words and the small words ("not", "with", "out"): a line that says an option shares them with it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from longvideoagent.index.terms import terms
from longvideoagent.media.text_language import ENGLISH

GRAM_CHARS = 4
_WORD = re.compile(r"\w+")
_CONTRACTED_NOT = re.compile(r"\s?n['’]t\b")


@lru_cache(maxsize=20_000)
def grams(text: str, language: str = ENGLISH) -> tuple[str, ...]:
    """The character 4-grams of the terms of a text, with marks for where a term begins and ends."""
    result: list[str] = []
    for term in terms(text, language):
        marked = f"^{term}$"
        result += [marked[i : i + GRAM_CHARS] for i in range(max(1, len(marked) - GRAM_CHARS + 1))]
    return tuple(result)


@lru_cache(maxsize=20_000)
def words(text: str, language: str = ENGLISH) -> tuple[str, ...]:
    """All words of a text in order: terms, and stop words as they are."""
    result: list[str] = []
    for word in _WORD.findall(_CONTRACTED_NOT.sub(" not", text.casefold())):
        result += terms(word, language) or (word,)
    return tuple(result)


def pairs(text: str, reach_words: int = 1, language: str = ENGLISH) -> tuple[str, ...]:
    """The ordered pairs of words that are at most ``reach_words`` apart."""
    every = words(text, language)
    return tuple(
        f"{word} {follower}"
        for reach in range(1, reach_words + 1)
        for word, follower in zip(every, every[reach:], strict=False)
    )
