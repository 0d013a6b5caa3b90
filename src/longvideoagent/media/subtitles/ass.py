"""Read Advanced SubStation Alpha (ASS) and SubStation Alpha (SSA)."""

from __future__ import annotations

import re

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.cue import MAX_CUES, Cue, ReadCues
from longvideoagent.media.subtitles.timestamps import parse_clock

_SIGN = re.compile(
    r"^[ \t\ufeff]{0,9}(?:\[(?:Script Info|Events|V4\+? Styles)\][ \t]{0,9}$"
    r"|Dialogue:[ \t]{0,9}(?:Marked=)?\d{1,9},[ \t]{0,9}\d{1,4}:\d\d:)",
    re.IGNORECASE | re.MULTILINE,
)
_USUAL_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d)\.(\d\d)")
DEFAULT_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")


def is_ass(head: str) -> bool:
    """Whether the beginning of a file has a section or an event of ASS."""
    return _SIGN.search(head) is not None


def read_ass(text: str) -> ReadCues:
    """The events that are dialogue, with their overrides. Raises DataError if there are none."""
    fields: tuple[str, ...] = DEFAULT_FIELDS
    is_events = True
    cues: list[Cue] = []
    num_events = 0
    for line in text.split("\n"):
        kind, _, rest = line.partition(":")
        match kind.strip().lower():
            case "dialogue":
                num_events += 1
                if num_events <= MAX_CUES:
                    cues.append(_read_event(rest, fields))
            case "format" if is_events:
                names = tuple(name.strip().lower() for name in rest.split(","))
                fields = names if {"start", "end", "text"} <= set(names) else DEFAULT_FIELDS
            case section if section.startswith("["):
                is_events = section.startswith("[events]")
            case _:
                pass  # comments, and the fields of other sections
    if not cues:
        raise DataError("no line of dialogue in it; check that the file is complete")
    return ReadCues(cues, [], num_events - len(cues))


def _read_event(rest: str, fields: tuple[str, ...]) -> Cue:
    """An event; one with too few fields has no times, and its text is its last field."""
    values = rest.split(",", len(fields) - 1)
    if len(values) < len(fields):
        return Cue(None, None, values[-1])
    return Cue(
        _seconds(values[fields.index("start")]),
        _seconds(values[fields.index("end")]),
        ",".join(values[fields.index("text") :]),
    )


def _seconds(value: str) -> float | None:
    match = _USUAL_TIME.fullmatch(value)
    if match is not None:
        hours, minutes, seconds, hundredths = map(int, match.groups())
        return (((hours * 60 + minutes) * 60 + seconds) * 100 + hundredths) / 100
    clock = parse_clock(value)
    return clock and clock.at(100)
