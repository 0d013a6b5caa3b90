"""Read Advanced SubStation Alpha (ASS) and SubStation Alpha (SSA)."""

from __future__ import annotations

import re

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.cue import MAX_CUES, MAX_MARKED_CHARS, Cue, ReadCues, counted
from longvideoagent.media.subtitles.cut_off import CUT_OFF
from longvideoagent.media.subtitles.timestamps import parse_clock

_SIGN = re.compile(
    r"^[ \t\ufeff]{0,9}(?:\[(?:Script Info|Events|V4\+? Styles)\][ \t]{0,9}$"
    r"|Dialogue:[ \t]{0,9}(?:Marked=)?\d{1,9},[ \t]{0,9}\d{1,4}:\d\d:)",
    re.IGNORECASE | re.MULTILINE,
)
_USUAL_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d)\.(\d\d)")
_SECTION = re.compile(
    r"\s{0,9}\[(?:Script Info|Events|V4\+? Styles\+?|Fonts|Graphics|Aegisub[^\]]{0,40})\]\s{0,99}", re.IGNORECASE
)
_OTHER_KINDS = {"comment", "style", "format", "picture", "sound", "movie", "command"}
"""Names of fields that are not shown as text."""
DEFAULT_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")


def is_ass(head: str) -> bool:
    """Whether the beginning of a file has a section or an event of ASS."""
    return _SIGN.search(head) is not None


def read_ass(text: str) -> ReadCues:
    """Read the events that are dialogue, with overrides; a line without a field's name continues the event before it.

    Raises DataError if there are none.
    """
    events = _Events()
    lines = text.split("\n")
    is_cut = lines[-1] != "" and "dialogue".startswith(lines[-1].lower())
    for line in lines[: len(lines) - is_cut]:
        events.add(line)
    is_cut = is_cut or (lines[-1] != "" and events.drop_cut())
    if not events.cues and not is_cut:
        raise DataError("no line of dialogue in it; check that the file is complete")
    warnings = counted(
        events.num_continued,
        "line without a field's name was read as the rest of the event before it",
        "lines without a field's name were read as the rest of the events before them",
    )
    return ReadCues(events.cues, [*warnings, *[CUT_OFF] * is_cut], max(0, events.num_events - MAX_CUES))


class _Events:
    """Collects the events of dialogue line by line."""

    def __init__(self) -> None:
        self.cues: list[Cue] = []
        self.num_events = 0
        self.num_continued = 0
        self._fields: tuple[str, ...] = DEFAULT_FIELDS
        self._is_events = True
        self._is_open = False
        """Whether the latest line with a name is dialogue."""
        self._is_incomplete = False
        """Whether the latest line is an event with too few fields."""

    def add(self, line: str) -> None:
        kind, _, rest = line.partition(":")
        kind = kind.strip().lower()
        self._is_incomplete &= not kind  # not so after any further line but a blank one
        if kind == "dialogue":
            self.num_events += 1
            self._is_open = True
            if self.num_events <= MAX_CUES:
                self._is_incomplete = rest.count(",") < len(self._fields) - 1
                self.cues.append(_read_event(rest, self._fields))
        elif kind == "format" and self._is_events:
            names = tuple(name.strip().lower() for name in rest.split(","))
            self._fields = names if {"start", "end", "text"} <= set(names) else DEFAULT_FIELDS
        elif _SECTION.fullmatch(line):
            self._is_events, self._is_open = kind.startswith("[events]"), False
        elif kind in _OTHER_KINDS:
            self._is_open = False
        elif self._is_open and kind and not line.startswith((";", "!:")):
            self._continue(line)

    def drop_cut(self) -> bool:
        """Leave out a last event whose text is missing. Returns whether there was one."""
        if self._is_incomplete:
            self.cues.pop()
        return self._is_incomplete

    def _continue(self, line: str) -> None:
        self.num_continued += 1
        if self.num_events <= MAX_CUES and len(self.cues[-1].text) < MAX_MARKED_CHARS:
            self.cues[-1] = self.cues[-1]._replace(text=f"{self.cues[-1].text}\n{line}")


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
