"""Time expressions of TTML: clock times, frames, ticks and offsets with a unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from longvideoagent.media.subtitles.timestamps import MAX_TIME_S, parse_clock

DEFAULT_FRAMES_PER_S = 30.0
_OFFSET = re.compile(r"([+-]?)(\d{1,18}(?:[.,]\d{1,18})?)(h|ms|m|s|f|t|)", re.IGNORECASE)
_CLOCK = re.compile(r"(-?)(\d{1,9}):(\d\d):(\d\d)(?:[:;](\d{1,2})(?:\.(\d{1,3}))?)?")
_UNITS_PER_S = {"h": 1 / 3600, "m": 1 / 60, "s": 1.0, "ms": 1000.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class TimeParameters:
    """What the root of a document says about its times."""

    frames_per_s: float = DEFAULT_FRAMES_PER_S
    sub_frames: float = 1.0
    ticks_per_s: float = 1.0
    drop_mode: str = "nondrop"
    """``dropntsc`` or ``droppal`` if clock times leave frame numbers out to keep pace with real time."""
    is_smpte: bool = False

    @classmethod
    def of_root(cls, attributes: Mapping[str, str]) -> TimeParameters:
        """The parameters among the attributes of the root, by their local names."""
        nominal = _positive(attributes.get("frameRate"), DEFAULT_FRAMES_PER_S)
        numerator, _, denominator = (
            attributes.get("frameRateMultiplier", "1 1").strip().replace(":", " ").partition(" ")
        )
        multiplier = _positive(numerator, 1.0) / _positive(denominator, 1.0)
        sub_frames = _positive(attributes.get("subFrameRate"), 1.0)
        frames_per_s = nominal * multiplier
        default_ticks = frames_per_s * sub_frames if "frameRate" in attributes else 1.0
        return cls(
            frames_per_s,
            sub_frames,
            _positive(attributes.get("tickRate"), default_ticks),
            attributes.get("dropMode", "nonDrop").lower(),
            attributes.get("timeBase", "").strip().lower() == "smpte",
        )

    def seconds(self, expression: str) -> float | None:
        """The seconds of a time expression, or None if it is not one. A number without a unit is in seconds."""
        expression = expression.strip()
        offset = _OFFSET.fullmatch(expression)
        if offset is not None:
            sign, number, unit = offset[1], float(offset[2].replace(",", ".")), offset[3].lower()
            time_s = number / self._units_per_s(unit)
            time_s = -time_s if sign == "-" else time_s
        else:
            clock = _CLOCK.fullmatch(expression)
            parsed = None if clock else parse_clock(expression)
            if clock is None and parsed is None:
                return None
            time_s = self._clock_s(clock) if clock else parsed.at(round(self.frames_per_s)) if parsed else 0.0
        return time_s if abs(time_s) <= MAX_TIME_S else None

    def _units_per_s(self, unit: str) -> float:
        if unit == "f":
            return self.frames_per_s
        return self.ticks_per_s if unit == "t" else _UNITS_PER_S[unit]

    def _clock_s(self, match: re.Match[str]) -> float:
        sign, hours, minutes, seconds = match[1], int(match[2]), int(match[3]), int(match[4])
        frames = int(match[5] or 0) + int(match[6] or 0) / self.sub_frames
        time_s = 3600.0 * hours + 60.0 * minutes + seconds + frames / self.frames_per_s
        if self.is_smpte:  # clock times count frames at the nominal rate, which differs from that of real time
            nominal = round(self.frames_per_s)
            num_frames = (3600 * hours + 60 * minutes + seconds) * nominal + frames
            time_s = (num_frames - self._num_dropped(60 * hours + minutes)) / self.frames_per_s
        return -time_s if sign else time_s

    def _num_dropped(self, minutes: int) -> int:
        """Frame numbers left out in the first minutes."""
        if self.drop_mode == "dropntsc":
            return 2 * (minutes - minutes // 10)
        if self.drop_mode == "droppal":
            return 4 * (minutes // 2 - minutes // 20)
        return 0


def _positive(text: str | None, default: float) -> float:
    """The number of an attribute, or the default if it is missing or not a positive number."""
    match = re.fullmatch(r"[ \t]*(\d{1,15}(?:\.\d{1,9})?)[ \t]*", text or "")
    return float(match[1]) if match and float(match[1]) > 0 else default
