"""Languages as subtitle files and streams name them: two or three letters, or the English name."""

from __future__ import annotations

import os

_NAMES = """
ar ara arabic|bg bul bulgarian|bn ben bengali|ca cat catalan|cs ces cze czech|cy cym wel welsh|da dan danish
de deu ger german|el ell gre greek|en eng english|es spa spanish|et est estonian|eu eus baq basque
fa fas per persian|fi fin finnish|fr fra fre french|gl glg galician|he heb hebrew|hi hin hindi|hr hrv croatian
hu hun hungarian|hy hye arm armenian|id ind indonesian|is isl ice icelandic|it ita italian|ja jpn japanese
ka kat geo georgian|kk kaz kazakh|ko kor korean|lt lit lithuanian|lv lav latvian|mk mkd mac macedonian
ms msa may malay|nl nld dut dutch|nb nob bokmal|no nor norwegian|pl pol polish|pt por portuguese
ro ron rum romanian|ru rus russian|si sin sinhala|sk slk slo slovak|sl slv slovenian|sq sqi alb albanian
sr srp serbian|sv swe swedish|sw swa swahili|ta tam tamil|te tel telugu|th tha thai|tr tur turkish
uk ukr ukrainian|ur urd urdu|vi vie vietnamese|zh zho chi chinese
"""
_CODES = {
    name: names.split()[0]
    for line in _NAMES.split("\n")
    for names in line.split("|")
    if names
    for name in names.split()
}
"""The two letters (ISO 639-1) for each way to name a language."""


def language_code(text: str) -> str:
    """The two letters of a language that a text names, as ``de`` for ``ger``, ``German`` or ``de-AT``; the text itself
    for other codes of two or three letters; empty for anything else, and for an undetermined language."""
    name = text.strip().lower()
    first = name.replace("_", "-").partition("-")[0]
    if name in _CODES or first in _CODES:
        return _CODES.get(name) or _CODES[first]
    is_code = first.isascii() and first.isalpha() and len(first) in (2, 3)
    return first if is_code and first != "und" else ""


def is_known_language(text: str) -> bool:
    """Whether a text is a name or code of a common language, which may have a region or script behind it."""
    name = text.strip().lower()
    return name in _CODES or name.replace("_", "-").partition("-")[0] in _CODES


def system_language() -> str:
    """The two letters of the user's language; English if the environment names none."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        code = language_code(os.environ.get(variable, "").partition(".")[0])
        if code in _CODES.values():
            return code
    return "en"
