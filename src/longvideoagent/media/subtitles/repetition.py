"""Captions that repeat text: rolling captions, a sign that is one cue per frame, joined parts of a stream.

A player shows a line for as long as it stands in some cue; a reader wants each line once, with the time at which it
appeared. Cues that follow each other within ``MAX_GAP_S`` are compared::

    the red boat left                  the red boat left   1.0
    the red boat left / and waved      and waved           3.5
    and waved / nobody answered        nobody answered     6.0
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

from longvideoagent.media.subtitles.cue import Cue

MAX_GAP_S = 0.1
"""Between two cues that show one text without interruption: two frames at the least usual rate."""
MAX_ROLLING_LINES = 8
"""No player shows more lines at a time."""
MIN_ROLLING_SHARE = 0.1
"""Share of the cues that begin with lines of the cue before, from which on a file has rolling captions."""
MIN_ROLLING_CUES = 10
"""As many are enough in a file of any length."""
MIN_GROWING_SHARE = 0.25
MIN_GROWING_CUES = 2
"""The same for a line to which each cue adds a word. A single cue may begin like the one before by chance."""


class MergedCues(NamedTuple):
    """Cues without repeated lines."""

    cues: list[Cue]
    num_merged: int
    """Cues that repeated text, completely or in part."""


class _Overlap(NamedTuple):
    num_lines: int
    """Lines at the start of a cue that the cue before shows at its end."""
    is_grown: bool
    """Whether the last of them is longer than it was."""


class _Habits(NamedTuple):
    is_rolling: bool
    is_growing: bool


def merge_repeats(cues: Sequence[Cue]) -> MergedCues:
    """Merge the cues that repeat what is already shown; each line keeps its first time.

    Args:
        cues: Cues with a start, in order of it.

    Returns:
        The cues with each line once, and the number of those that repeated any.
    """
    habits = _find_habits(cues)
    unrolled = _unroll(cues, habits) if habits.is_rolling or habits.is_growing else MergedCues(list(cues), 0)
    merged = _merge_equal(unrolled.cues)
    return MergedCues(merged.cues, unrolled.num_merged + merged.num_merged)


def _merge_equal(cues: list[Cue]) -> MergedCues:
    """Cues of one text that touch are one, whatever other cues stand between them."""
    merged: list[Cue] = []
    last_by_text: dict[str, int] = {}
    for cue in cues:
        index = last_by_text.get(cue.text)
        if index is not None and _follows(cue, merged[index]):
            merged[index] = _extended(merged[index], cue)
        else:
            last_by_text[cue.text] = len(merged)
            merged.append(cue)
    return MergedCues(merged, len(cues) - len(merged))


def _unroll(cues: Sequence[Cue], habits: _Habits) -> MergedCues:
    """Remove from each cue the lines that it shares with the cue before."""
    unrolled: list[Cue] = []
    num_merged = 0
    previous: Cue | None = None
    for cue in cues:
        lines = cue.text.split("\n")
        if previous is None or not _follows(cue, previous):
            overlap = _Overlap(0, is_grown=False)
        else:
            overlap = _find_overlap(previous.text.split("\n"), lines, is_growing=habits.is_growing)
        if previous is not None and overlap.num_lines:
            num_merged += 1
            last = unrolled[-1]
            if overlap.is_grown:
                begun = previous.text.rpartition("\n")[2]
                last = last._replace(text=last.text.removesuffix(begun) + lines[overlap.num_lines - 1])
            has_more = overlap.num_lines < len(lines)
            unrolled[-1] = last if has_more and not overlap.is_grown else _extended(last, cue)
        if overlap.num_lines < len(lines):
            unrolled.append(cue._replace(text="\n".join(lines[overlap.num_lines :])))
        previous = cue
    return MergedCues(unrolled, num_merged)


def _find_habits(cues: Sequence[Cue]) -> _Habits:
    num_rolling = num_growing = 0
    starts_s = [cue.start_s or 0.0 for cue in cues]
    ends_s = [start_s if cue.end_s is None else cue.end_s for start_s, cue in zip(starts_s, cues, strict=True)]
    touching = [start_s <= end_s + MAX_GAP_S for start_s, end_s in zip(starts_s[1:], ends_s, strict=False)]
    for index in compress(range(len(cues)), touching):
        previous, text = cues[index].text, cues[index + 1].text
        if text != previous:
            overlap = _find_overlap(previous.split("\n"), text.split("\n"), is_growing=True)
            num_rolling += overlap.num_lines > 0 and not overlap.is_grown
            num_growing += overlap.is_grown
    return _Habits(
        num_rolling >= max(1, min(MIN_ROLLING_CUES, MIN_ROLLING_SHARE * len(cues))),
        num_growing >= max(MIN_GROWING_CUES, MIN_GROWING_SHARE * len(cues)),
    )


def _find_overlap(shown: list[str], lines: list[str], *, is_growing: bool) -> _Overlap:
    """The longest end of what is shown with which the lines begin; if ``is_growing``, its last line may be longer."""
    for num in range(min(len(shown), len(lines), MAX_ROLLING_LINES), 0, -1):
        if shown[-num:-1] == lines[: num - 1]:
            if shown[-1] == lines[num - 1]:
                return _Overlap(num, is_grown=False)
            if is_growing and lines[num - 1].startswith(shown[-1]):
                return _Overlap(num, is_grown=True)
    return _Overlap(0, is_grown=False)


def _follows(cue: Cue, previous: Cue) -> bool:
    """Whether a cue starts before another one has disappeared."""
    return _start_s(cue) <= _end_s(previous) + MAX_GAP_S


def _extended(cue: Cue, other: Cue) -> Cue:
    return cue._replace(end_s=max(_end_s(cue), _end_s(other)))


def _start_s(cue: Cue) -> float:
    return cue.start_s or 0.0


def _end_s(cue: Cue) -> float:
    return _start_s(cue) if cue.end_s is None else cue.end_s
