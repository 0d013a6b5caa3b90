"""Search terms of a text by the rules of its language, for languages with and without spaces between words."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import Stemmer

from longvideoagent.media.text_language import ENGLISH, LANGUAGES, stop_words

_WORD = re.compile(r"\w+(?:['’]\w+)?")
# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, ideographs. They are searched by
# pairs of characters, which needs no dictionary.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002fa1f]+"
)
_APOSTROPHE = re.compile("['’]")
_ENGLISH_ENDING = re.compile(r"['’](?:s|re|ve|ll|d|m)$")
_TURKISH_I = str.maketrans({"I": "ı", "İ": "i"})
MIN_ENGLISH_LEAD = 2
"""How many stop words more of English than of the text's language a line or question has that is read as English."""


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(LANGUAGES[language])


@lru_cache(maxsize=20_000)
def terms(text: str, language: str = ENGLISH) -> tuple[str, ...]:
    """The terms of a line, or of a question about it, in order.

    Args:
        text: The words.
        language: That of the text that is searched, one of ``LANGUAGES``. Words that are clearly English follow the
            rules of English all the same: questions often are, and what vision detects always is.

    Returns:
        Stemmed lower-case words without stop words, and character pairs of unspaced scripts (a single character is its
        own term).
    """
    text = unicodedata.normalize("NFKC", text)
    words = _words(text, language)
    if language != ENGLISH and _is_english(words, language):
        language, words = ENGLISH, _words(text, ENGLISH)
    if _UNSPACED.search(text) is None:
        return tuple(_spaced(words, language))
    result: list[str] = []
    for word in words:
        cursor = 0
        for run in _UNSPACED.finditer(word):
            result += _spaced([word[cursor : run.start()]], language)
            result += _pairs(run.group())
            cursor = run.end()
        result += _spaced([word[cursor:]], language)
    return tuple(result)


def _words(text: str, language: str) -> list[str]:
    return _WORD.findall((text.translate(_TURKISH_I) if language == "tr" else text).casefold())


def _is_english(words: list[str], language: str) -> bool:
    own, english = stop_words(language), stop_words(ENGLISH)
    return sum(word in english for word in words) >= sum(word in own for word in words) + MIN_ENGLISH_LEAD


def _spaced(words: list[str], language: str) -> list[str]:
    left_out, stem = stop_words(language), _stemmer(language).stemWord
    whole = (_without_apostrophe(word, language) if _APOSTROPHE.search(word) else word for word in words)
    return [stem(word) for word in whole if word and word not in left_out]


def _without_apostrophe(word: str, language: str) -> str:
    """The word that is searched: without an ending in English, else without an article before or an ending after it."""
    if language == ENGLISH:
        return _ENGLISH_ENDING.sub("", word)
    parts = [part for part in _APOSTROPHE.split(word) if part not in stop_words(language)]
    return max(parts, key=len, default="")


def _pairs(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
