"""Files that were joined as they are, such as those of the discs of one film, so that numbers and times start again."""

from __future__ import annotations

from collections.abc import Sequence

from longvideoagent.media.subtitles.cue import Cue

MIN_PART_CUES, MIN_PART_S = 10, 60.0
"""Of a part that is a file of its own."""
MAX_FIRST_S, MAX_FIRST_FRACTION = 300.0, 0.2
"""When a part begins at the latest: in seconds, and as a fraction of the length of the part before."""


def restart_warnings(cues: Sequence[Cue], numbers: Sequence[int | None]) -> list[str]:
    """A warning if the numbers of cues start at 1 again where their times fall back to near 0.

    Args:
        cues: Cues in the order of their file.
        numbers: Their numbers; None for a cue that has none.
    """
    if numbers.count(0) + numbers.count(1) < 2:
        return []
    num_restarts = begin = 0
    for index, (cue, number) in enumerate(zip(cues, numbers, strict=True)):
        if number not in (0, 1) or index - begin < MIN_PART_CUES or cue.start_s is None:
            continue
        length_s = max(before.start_s or 0.0 for before in cues[begin:index])
        if length_s >= MIN_PART_S and cue.start_s <= min(MAX_FIRST_S, MAX_FIRST_FRACTION * length_s):
            num_restarts, begin = num_restarts + 1, index
    times = "once" if num_restarts == 1 else f"{num_restarts} times"
    return [
        f"the numbers and times of the cues start again {times}, as if files of several discs or languages had been "
        "joined; all were read by their times, so if a part belongs to a later disc, move its times or leave it out"
    ] * bool(num_restarts)
