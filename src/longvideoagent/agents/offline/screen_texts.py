"""What detections say about texts on screen: which text is whose, which is a sign, and which is shown for a moment.

Vision reports a text with what stands below it in one column. A piece that is a person's name leads what belongs to
that person; the pieces above it are signs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from longvideoagent.agents.offline.vision_wording import kind_of
from longvideoagent.core.types import Evidence
from longvideoagent.media.text_columns import DescribedColumn, fold_recognized, read_column

MAX_BRIEF_S = 1.0
"""A text that is seen for longer does not flash up."""
MIN_NAME_LETTERS, MIN_NAME_SIMILARITY = 4, 0.79
_LETTERS = re.compile(r"\w")


class ShownText(NamedTuple):
    """A text on screen."""

    text: str
    colour: str
    """That of what it stands on; empty if that is not known."""
    place: str
    """Of the column that it is in, such as ``top middle``."""
    owner: str
    """The person whose name stands above it; empty for a sign."""
    fact: Evidence


def is_column(fact: Evidence) -> bool:
    """Whether a fact is a column of text on screen, as vision reports it."""
    return _column(fact) is not None


def _column(fact: Evidence) -> DescribedColumn | None:
    return read_column(fact.text) if fact.kind == "frame" else None


def recognized_texts(fact: Evidence) -> list[str]:
    """The texts that were recognized in a frame; none for other facts, and for what vision says in its own words."""
    if column := _column(fact):
        return [piece.text for piece in column.pieces]
    return [fact.text] if fact.kind == "frame" and kind_of(fact.text) is None else []


def colours_behind(fact: Evidence) -> list[str]:
    """The colours of what the texts of a column stand on."""
    column = _column(fact)
    return [piece.colour for piece in column.pieces] if column else []


def shown_texts(facts: Iterable[Evidence], names: Collection[str]) -> list[ShownText]:
    """The texts in detections, in order of time, without the names of people."""
    exact = {name.casefold(): name for name in names}  # of two names that fold alike, the one that is written
    folded = {fold_recognized(name): name for name in names}
    owners: dict[str, str] = {}
    shown = []
    for fact in facts:
        column = _column(fact)
        if column is None:
            continue
        owner = ""
        for text, colour in column.pieces:
            key = fold_recognized(text)
            if key not in owners:
                owners[key] = folded.get(key) or _similar_name(key, folded)
            if name := exact.get(text.casefold()) or owners[key]:
                owner = name
            elif _LETTERS.search(text):
                shown.append(ShownText(text, colour, column.place, owner, fact))
    return shown


def _similar_name(key: str, folded: Mapping[str, str]) -> str:
    """The name that a text is but for a letter, or an empty text: recognition loses thin letters."""
    if len(key) < MIN_NAME_LETTERS:
        return ""
    close = get_close_matches(key, folded, 1, MIN_NAME_SIMILARITY)
    return folded[close[0]] if close else ""


def signs(shown: Sequence[ShownText], place: str = "") -> list[ShownText]:
    """The texts that belong to nobody, each once by its letters; those at a place, if there are any there."""
    owned = {fold_recognized(each.text) for each in shown if each.owner}  # elsewhere, if a name was not recognized
    free = [each for each in shown if not each.owner and len(fold_recognized(each.text)) > 1]
    free = [each for each in free if fold_recognized(each.text) not in owned]
    at_place = [each for each in free if place and place in each.place]
    return list({fold_recognized(each.text): each for each in reversed(at_place or free)}.values())[::-1]


def brief_texts(shown: Sequence[ShownText]) -> list[ShownText]:
    """The texts that are seen for at most ``MAX_BRIEF_S`` in all, each once, the shortest first."""
    seen_s: dict[str, float] = {}
    for each in shown:
        key = fold_recognized(each.text)
        seen_s[key] = seen_s.get(key, 0.0) + (each.fact.end_s - each.fact.start_s)
    lasting = [key for key, time_s in seen_s.items() if time_s > MAX_BRIEF_S]
    first = {fold_recognized(each.text): each for each in reversed(shown)}
    brief = [
        each
        for key, each in first.items()
        if len(key) > 1 and seen_s[key] <= MAX_BRIEF_S and not any(_is_misread(key, other) for other in lasting)
    ]
    return sorted(brief, key=lambda each: (bool(each.owner), -len(fold_recognized(each.text))))


def _is_misread(key: str, other: str) -> bool:
    """Whether a text is a part of another one, or differs from it in few letters: recognition varies."""
    if key in other or other in key:
        return True
    if abs(len(key) - len(other)) > 1:
        return False
    return sum(a != b for a, b in zip(key, other, strict=False)) <= max(1, len(key) // 4)
