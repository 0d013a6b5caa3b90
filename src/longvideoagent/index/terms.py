"""Search terms of a text, for languages with and without spaces between words."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import Stemmer

_WORD = re.compile(r"\w+(?:['’]\w+)?")
# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, ideographs. They are searched by
# pairs of characters, which needs no dictionary.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002fa1f]+"
)

_STOPWORDS_TEXT = """
    a about above after again all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has have
    having he her here hers him his how i if in into is it its itself just me more most my no nor not
    now of off on once only or other our out over own same say says said she should so some such than that the their
    them then there these they this those through to too under until up very was we were what when
    where which while who whom why will with would you your yours s t re ve ll d m n't
"""
STOPWORDS = frozenset(_STOPWORDS_TEXT.split())


@cache
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("english")


@lru_cache(maxsize=20_000)
def terms(text: str) -> tuple[str, ...]:
    """The terms of ``text`` in order: stemmed lower-case words without English stop words, and character pairs of
    unspaced scripts (a single character is its own term)."""
    result: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        cursor = 0
        for run in _UNSPACED.finditer(word):
            result += _spaced(word[cursor : run.start()])
            result += _pairs(run.group())
            cursor = run.end()
        result += _spaced(word[cursor:])
    return tuple(result)


def _spaced(word: str) -> list[str]:
    word = re.sub(r"['’](?:s|re|ve|ll|d|m)$", "", word)
    return [] if not word or word in STOPWORDS else [_stemmer().stemWord(word)]


def _pairs(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
