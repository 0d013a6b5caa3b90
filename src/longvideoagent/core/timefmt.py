"""Times as people read and write them."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

MAX_CHARS_READ = 10_000
"""Of a text, to look for times in."""
_TIME = re.compile(r"\b(\d{1,6}):([0-5]?\d)(?::([0-5]?\d))?\b|\b(\d{1,6}(?:\.\d{1,6})?)\s*(?:s|sec|seconds?)\b")

_AMOUNT_WORDS = {
    word: float(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
} | {"a": 1.0, "an": 1.0, "half an": 0.5, "half a": 0.5}
_UNIT_WORDS = {
    3600.0: "hours? hrs? h stunden? std heures? horas? 小时 小時 時間",
    60.0: "minutes? mins? m minuten minutos? 分钟 分鐘 分",
    1.0: "seconds? secs? s sekunden? sek secondes? segundos? 秒钟 秒鐘 秒",
}
_AMOUNTS = "|".join(sorted(_AMOUNT_WORDS, key=len, reverse=True))
_UNITS = "|".join(f"(?P<u{unit_s:.0f}>{'|'.join(words.split())})" for unit_s, words in _UNIT_WORDS.items())
_NOT_AFTER = r"(?<![A-Za-z0-9_.:])"
_DURATION = re.compile(
    rf"{_NOT_AFTER}(?P<clock>\d{{1,6}}:[0-5]?\d(?::[0-5]?\d)?)(?!:?\d)"
    rf"|(?:{_NOT_AFTER}|(?<=\d[hm]))(?P<amount>\d{{1,6}}(?:[.,]\d{{1,6}})?|{_AMOUNTS})"
    rf"(?:(?<=\d)\s*-?\s*|\s+)(?:{_UNITS})(?:(?<=[^\x00-\x7f])|(?![^\W\d_]))",
    re.IGNORECASE,
)
_JOINED = re.compile(r"\s*,?\s*(?:and|und|et|y)?\s*", re.IGNORECASE)


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


class NamedTime(NamedTuple):
    """A time or a duration in a text: where it is, and how many seconds."""

    start: int
    end: int
    time_s: float


def find_durations(text: str) -> list[NamedTime]:
    """The times and durations in a text, in clock form or with units in several languages: ``4:15``, ``255 s``,
    ``4 minutes 15 seconds``, ``4 Minuten und 15 Sekunden``, ``4分15秒``."""
    found: list[NamedTime] = []
    last_unit_s = 0.0
    for match in _DURATION.finditer(text[:MAX_CHARS_READ]):
        if match["clock"]:
            found.append(NamedTime(match.start(), match.end(), times_in_s(match["clock"])[0]))
            last_unit_s = 0.0
            continue
        unit_s = next(unit_s for unit_s in _UNIT_WORDS if match[f"u{unit_s:.0f}"])
        word = match["amount"].lower()
        amount_s = (_AMOUNT_WORDS[word] if word in _AMOUNT_WORDS else float(word.replace(",", "."))) * unit_s
        if unit_s < last_unit_s and _JOINED.fullmatch(text, found[-1].end, match.start()):
            found[-1] = NamedTime(found[-1].start, match.end(), found[-1].time_s + amount_s)
        else:
            found.append(NamedTime(match.start(), match.end(), amount_s))
        last_unit_s = unit_s
    return found


def durations_in_s(text: str) -> list[float]:
    """The seconds of each time and duration in a text; see ``find_durations``."""
    return [each.time_s for each in find_durations(text)]
