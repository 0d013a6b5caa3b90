"""Times as people read them."""

from __future__ import annotations


def format_timestamp(time_s: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``, rounded down to the whole second, the way players show them."""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
