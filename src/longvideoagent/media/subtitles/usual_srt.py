"""Read SRT exactly as nearly all programs write it, several times as fast as the tolerant reader.

Nothing is decided here: a file that differs in anything is left to ``cue_blocks``, which reads this form the same way.
"""

from __future__ import annotations

import re

from longvideoagent.media.subtitles.cue import MAX_CUES, Cue
from longvideoagent.media.subtitles.timestamps import count_arrows

_MINUTES = re.compile(r"(\d\d):(\d\d):", re.ASCII)
_SECONDS = re.compile(r"(\d\d),(\d{3})", re.ASCII)


def read_usual_srt(text: str) -> list[Cue] | None:
    """The cues of a text of blocks, each a number, times and lines of text, with one blank line between them, the
    numbers counting from 1 and no arrow but those of the times. None if the text has another form."""
    blocks = text.strip("\n").split("\n\n")
    if len(blocks) > MAX_CUES or count_arrows(text) != len(blocks):
        return None
    minutes_ms, seconds_ms = _MinutesMs(), _SecondsMs()
    cues: list[Cue] = []
    try:
        for expected, block in enumerate(blocks, 1):
            number, times, marked = block.split("\n", 2)
            if number != str(expected) or len(times) != 29 or times[12:17] != " --> ":
                return None
            start_ms = minutes_ms[times[:6]] + seconds_ms[times[6:12]]
            end_ms = minutes_ms[times[17:23]] + seconds_ms[times[23:]]
            cues.append(Cue(start_ms / 1000, end_ms / 1000, marked))
    except ValueError:  # fewer than three lines, or not a time
        return None
    return cues


class _MinutesMs(dict[str, int]):
    """The milliseconds of ``hh:mm:``, each computed once."""

    def __missing__(self, clock: str) -> int:
        match = _MINUTES.fullmatch(clock)
        if match is None:
            raise ValueError(clock)
        self[clock] = (60 * int(match[1]) + int(match[2])) * 60_000
        return self[clock]


class _SecondsMs(dict[str, int]):
    """The milliseconds of ``ss,mmm``, each computed once."""

    def __missing__(self, clock: str) -> int:
        match = _SECONDS.fullmatch(clock)
        if match is None:
            raise ValueError(clock)
        self[clock] = 1000 * int(match[1]) + int(match[2])
        return self[clock]
