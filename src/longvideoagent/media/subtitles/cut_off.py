"""What is left of a cue at the end of a file that was cut off there, which nobody says."""

from __future__ import annotations

import re
from collections.abc import Sequence

CUT_OFF = "the file ends inside a cue without text, which was ignored; it may have been cut off"
_BEGUN_TIMES = re.compile(
    r"[ \t]{0,9}-?\d{1,3}(?:(?P<colon>:)(?:\d{1,2}(?::(?:\d{1,2}(?:[.,;:]\d{0,3})?)?|[.,]\d{0,3})?)?)?"
    r"[ \t]{0,9}[-‐‑‒–—―−=,]{0,3}>?[ \t]{0,9}"
)
"""The beginning of a line of times, as far as before the second of them."""


def num_cut_lines(lines: Sequence[str], first: int, number: int | None) -> int:
    """The number of lines at the end of a file that are the number or the beginning of the times of a cue it lacks.

    Args:
        lines: Lines of the file, the last of them not blank.
        first: Index of the first line of text of the last cue that is whole.
        number: The number of that cue; None if cues have none.
    """
    if len(lines) < first + 2:
        return 0
    before, last = lines[-2].strip(), lines[-1].strip()
    begun = _BEGUN_TIMES.fullmatch(last)
    if number is None:
        return int(not before and begun is not None and begun["colon"] is not None)
    if not before and last.isdecimal() and int(last[:18]) == number + 1:
        return 1
    is_next = before.isdecimal() and int(before[:18]) == number + 1
    is_after_gap = len(lines) >= first + 3 and not lines[-3].strip()
    if begun is not None and is_next and (is_after_gap or begun["colon"]):
        return 2
    return 0
