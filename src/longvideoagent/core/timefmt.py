"""Times as people read and write them."""

from __future__ import annotations

import math
import re

MAX_CHARS_READ = 10_000
"""Of a text, to look for times in."""
_TIME = re.compile(r"\b(\d{1,6}):([0-5]?\d)(?::([0-5]?\d))?\b|\b(\d{1,6}(?:\.\d{1,6})?)\s*(?:s|sec|seconds?)\b")


def format_timestamp(time_s: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``, the way players show them.

    Rounded to hundredths and then down to the whole second, so that 359.999 s is ``6:00``. Negative times are ``0:00``.
    The page and the report show times in the same way.
    """
    whole_s = max(0, math.floor(time_s * 100 + 0.5) // 100)
    minutes, seconds = divmod(whole_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def times_in_s(text: str) -> list[float]:
    """The times in seconds that a text names: "75 s", "75.5 seconds", "1:15", "1:02:15"."""
    times = []
    for match in _TIME.finditer(text[:MAX_CHARS_READ]):
        first, second, third, seconds = match.groups()
        if seconds is not None:
            times.append(float(seconds))
        elif third is not None:
            times.append(int(first) * 3600.0 + int(second) * 60 + int(third))
        else:
            times.append(int(first) * 60.0 + int(second))
    return times
