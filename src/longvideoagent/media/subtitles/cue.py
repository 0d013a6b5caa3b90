"""What every reader of a subtitle format returns, and the bounds that hold before any of them runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

MAX_FILE_BYTES = 10_000_000
MAX_CUES = 100_000
"""Cues of one file; the rest is reported and not read."""
MAX_CUE_CHARS = 2_000
"""Characters of one cue's text; the rest is reported and cut off."""
MAX_MARKED_CHARS = 10 * MAX_CUE_CHARS
"""Characters of one cue with its markup, cut before its tags are looked for."""


class Cue(NamedTuple):
    """One cue as its file has it."""

    start_s: float | None
    """None if it cannot be read."""
    end_s: float | None
    """None if the file has none, or if it cannot be read."""
    text: str
    """With a line end between its lines. Readers return it with its markup; later it is plain."""


class ReadCues(NamedTuple):
    """The cues of a file in its order, and what was ignored."""

    cues: list[Cue]
    warnings: list[str]
    num_beyond_limit: int = 0
    """Cues after the first ``MAX_CUES``, which were not read."""


Reader = Callable[[str], ReadCues]
"""Reads the text of a file, whose lines end with a line feed. Raises DataError if nothing of its format is in it."""


def counted(num: int, one: str, many: str) -> list[str]:
    """A warning about ``num`` things, which may be 0: ``one`` and ``many`` follow the number."""
    return [f"{num} {one if num == 1 else many}"] if num else []


def moved(cue: Cue, offset_s: float) -> Cue:
    """The cue, later by this many seconds."""
    if not offset_s:
        return cue
    start_s, end_s = (None if time_s is None else time_s + offset_s for time_s in cue[:2])
    return Cue(start_s, end_s, cue.text)
