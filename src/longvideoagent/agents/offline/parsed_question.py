"""The main part of a question, and the moment that it refers to ("…when Otto says X")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from longvideoagent.index.terms import terms

_MOMENT = re.compile(
    r"\b(?P<relation>when|while|as soon as|once|until|after|before"
    r"|who (?:says?|said|t(?:ell|ells|old)|asks?|asked|mentions?))"
    r"\b\s+(?P<clause>[^,?]{3,})",
    re.IGNORECASE,
)
_SETTING = re.compile(
    r"^\s*(?:at|in|on|inside|during)\b\s+(?P<clause>[^,?]{2,60}),\s*(?P<main>.{3,})", re.IGNORECASE | re.DOTALL
)
VISUAL_TERMS = frozenset(
    terms(
        """shirt colour color sign slide screen title credits written wearing wears poster board picture shown visible
        moves moving prop holding hat jacket dress background face faces logo caption banner"""
    )
)
GENERIC_TERMS = frozenset(terms("happen happening video clip scene film movie show shown see describe going start end"))
PERSON_TERMS = frozenset(terms("person someone speaker man woman figure guy girl boy"))


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """The main part of a question, and the moment that it refers to."""

    main: str
    relation: str
    """"when", "before", "after", "during" (a setting: "At the bakery, …"), or empty."""
    clause: str
    is_visual: bool


def parse_question(text: str) -> ParsedQuestion:
    """Split a question into its main part and the moment that it refers to."""
    match = _MOMENT.search(text)
    is_visual = bool(VISUAL_TERMS & set(terms(text)))
    if match is None:
        setting = _SETTING.match(text)
        if setting is None:
            return ParsedQuestion(text, "", "", is_visual)
        return ParsedQuestion(setting["main"], "during", setting["clause"], is_visual)
    main = " ".join((text[: match.start()] + text[match.end() :]).split()).replace(" ?", "?")
    relation = match["relation"].lower()
    if not set(terms(main)) - PERSON_TERMS and relation not in ("after", "before"):
        return ParsedQuestion(text, "", "", is_visual)
    return ParsedQuestion(main, relation if relation in ("after", "before") else "when", match["clause"], is_visual)
