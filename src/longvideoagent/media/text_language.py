"""The language of a text, by its stop words: the small words of nearly every sentence.

The languages are those with a stemmer and a list of stop words. A text of any other one, a mixed text, and one that is
too short count as English.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

ENGLISH = "en"
LANGUAGES = {
    ENGLISH: "english",
    "da": "danish",
    "de": "german",
    "es": "spanish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""The languages by their two letters (ISO 639-1), with the names of their stemmers (Snowball's)."""
MAX_LINES = 400
"""As many lines decide, spread evenly over the text."""
ENGLISH_SHARE = 0.3
"""The share of English stop words from which on a text is English; text of other languages has less than half of it."""
MIN_SHARE = 0.2
"""The share of stop words that a text of their language has at least; languages that are not listed stay below."""
MIN_LEAD = 0.1
"""How far the share of a language must be above that of English."""
MIN_STOP_WORDS = 6
"""Different stop words of its language, which English does not have, in a text that is not too short."""

_WORD = re.compile(r"[^\W\d_]{2,}")
"""Words that count. Single letters do not: recognition of text on screen leaves many."""
_ENGLISH_TEXT = """
    a about above after again all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has have
    having he her here hers him his how i if in into is it its itself just me more most my no nor not
    now of off on once only or other our out over own same say says said she should so some such than that the their
    them then there these they this those through to too under until up very was we were what when
    where which while who whom why will with would you your yours s t re ve ll d m n't
"""
_QUESTION_WORDS = {
    "de": "wer wen wem wessen wann warum wieso wohin woher",
    "es": "dónde cuándo cómo cuál cuáles quién quiénes cuánto cuánta cuántos cuántas",
    "fr": "où quand comment combien pourquoi quel quelle quels quelles quoi",
    "it": "quando quali cosa",
    "nl": "waar wanneer waarom welke welk wiens",
    "no": "hvilket",
    "pt": "onde aonde quais quê porque quanto quanta quantos quantas",
    "ru": "какие почему откуда сколько чей кого кому",
    "sv": "varifrån vems",
    "tr": "kaç",
}
"""Words that the lists of bm25s lack, and that the line which answers a question does not have."""


@cache
def stop_words(language: str) -> frozenset[str]:
    """The stop words of one of ``LANGUAGES``, case-folded."""
    if language == ENGLISH:
        return frozenset(_ENGLISH_TEXT.split())
    from bm25s import stopwords  # takes a tenth of a second, which English text need not wait for

    words = getattr(stopwords, f"STOPWORDS_{LANGUAGES[language].upper()}")
    return frozenset(map(str.casefold, (*words, *_QUESTION_WORDS.get(language, "").split())))


def detect_language(lines: Sequence[str]) -> str:
    """The language of a text, one of ``LANGUAGES``; it depends on the lines only.

    Args:
        lines: The lines of the text, in order.

    Returns:
        The two letters of the language; English unless the text is clearly of another one.
    """
    step = max(1.0, len(lines) / MAX_LINES)
    sample = (lines[int(number * step)] for number in range(min(len(lines), MAX_LINES)))
    words = Counter(_WORD.findall(unicodedata.normalize("NFKC", "\n".join(sample)).casefold()))
    num_words = words.total()
    num_english = _count(words, ENGLISH)
    if not num_words or num_english >= ENGLISH_SHARE * num_words:
        return ENGLISH
    counts = {language: _count(words, language) for language in LANGUAGES if language != ENGLISH}
    best = max(counts, key=counts.__getitem__)
    has_share = counts[best] >= max(MIN_SHARE * num_words, num_english + MIN_LEAD * num_words)
    num_different = len((stop_words(best) - stop_words(ENGLISH)) & words.keys())
    return best if has_share and num_different >= MIN_STOP_WORDS else ENGLISH


def _count(words: Counter[str], language: str) -> int:
    return sum(words[word] for word in stop_words(language))
