"""The things that a question lists, the words that it quotes, and the names in it."""

from __future__ import annotations

import re

_QUOTED = re.compile(
    r"“([^”]{1,200})”|\"([^\"]{1,200})\"|«\s*([^»]{1,200}?)\s*»|「([^」]{1,200})」|„([^“”]{1,200})[“”]"
    r"|‘([^’]{1,200})’|(?<!\w)'([^']{1,200})'(?!\w)"
)
_NAME = re.compile(r"(?<![\w.])([A-ZÀ-Ý][\w-]*[a-zà-ÿ][\w-]*)(?:['’]s)?(?!\w)")
_SENTENCE_START = re.compile(r"(?:\A|[.:!?]\s+|[¿¡]\s*)\W*\Z")
_NOT_NAMES_TEXT = """
    the this that these those which what who whose when where how why video film movie episode clip word words line
    lines i das der die ein eine wort wörter worte satz sätze zeile zeilen mal male minute person personen
    schild schilder sprecher sprecherin redner leute namen figuren film folge reihenfolge erstes erste letztes letzte
    redezeit zeitpunkt anfang ende sekunde sekunden text texte länge dauer les des
"""
_NOT_NAMES = frozenset(_NOT_NAMES_TEXT.split())
_LEAD = re.compile(
    r"\A.*?\b(?:(?:(?:out\s+)?of(?:\s+these)?|among|sort|arrange|put|(?:order|sequence)(?:\s+of)?|between|mentioned"
    r"|conversation|first|list"
    r"|of all"
    r"|reihenfolge|sortiere|zuerst|ordre|orden|primero)\b[\s:,]*)+",
    re.IGNORECASE,
)
_LEADING_VERB = re.compile(
    r"\A\s*(?:werden|wurden|sont(?:-ils)? (?:mentionné|cité|nommé)e?s|mentionne-t-on|se (?:mencionan|nombran)|are|do"
    r"|does)\b\s*",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"\s*(?:,?\s*(?:which|what|who)\b|\bby\s+(?:when|time|their|the)|\bin\s+(?:the|which|what|order)|\bwhen\b|\bare\b|\bis\b|\bdo\b"
    r"|\bcomes?\b|\bcame\b|\bget\b|\bmentioned\b|\berwähnt\b|\bgenannt\b|被|的顺序|的先后|按|はどの|は何|が|を|[?!.]).*\Z",
    re.IGNORECASE,
)
_ITEM_SEPARATOR = re.compile(
    r"\s*(?:,\s*(?:and|or|und|oder|et|ou|y|o)\s+|[,;、，]\s*|\s(?:and|or|und|oder|et|ou|y|o)\s+|和|还是|と|または)\s*"
)
_ARTICLE = re.compile(r"\A(?:the|a|an|der|die|das|den|le|la|les|l['’]|el|los|las)\s+", re.IGNORECASE)
MAX_ITEM_WORDS = 6


def quoted(text: str) -> list[str]:
    """The quotations in a text, without their marks."""
    return [next(filter(None, match)).strip() for match in _QUOTED.findall(text)]


def without_quotes(text: str) -> str:
    """A text without its quotations."""
    return _QUOTED.sub(" ", text)


def names_in(text: str) -> list[str]:
    """Words that look like names: with a capital letter, and not the first of a sentence unless a genitive follows."""
    names = []
    for match in _NAME.finditer(text):
        is_first = _SENTENCE_START.search(text[: match.start()]) is not None
        is_genitive = match[0].endswith(("'s", "’s"))
        if match[1].lower() not in _NOT_NAMES and (not is_first or is_genitive):
            names.append(match[1])
    return list(dict.fromkeys(names))


def listed_items(text: str) -> list[str]:
    """The things that a question lists, in its order: after its colon, before it, or between commas and "or"."""
    parts = [part for part in re.split(r"[:：]", text) if part.strip()]
    best: list[str] = []
    for part in parts:
        stripped = part.strip(" ?!.？。¿¡")
        candidates = [stripped] if len(parts) > 1 else []
        candidates += [
            _TAIL.sub("", _LEADING_VERB.sub("", _LEAD.sub("", stripped))),
            _after_comma(stripped),
            _TAIL.sub("", stripped),
        ]
        for candidate in candidates:
            items = [_ARTICLE.sub("", each.strip(" ,?!.“”\"'")) for each in _ITEM_SEPARATOR.split(candidate)]
            items = [each for each in items if each]
            if _is_list(items) and len(items) > len(best):
                best = items
    return best


def _after_comma(text: str) -> str:
    """What follows the first comma."""
    return text.partition(",")[2]


def _is_list(items: list[str]) -> bool:
    return len(items) > 1 and all(len(each.split()) <= MAX_ITEM_WORDS for each in items)
