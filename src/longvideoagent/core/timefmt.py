"""Times as people read them."""

from __future__ import annotations

import math


def format_timestamp(time_s: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``, the way players show them.

    Rounded to hundredths and then down to the whole second, so that 359.999 s is ``6:00``. Negative times are ``0:00``.
    The page and the report show times in the same way.
    """
    whole_s = max(0, math.floor(time_s * 100 + 0.5) // 100)
    minutes, seconds = divmod(whole_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
