"""What detectors found in a video, kept in its index: spans in which a sound is heard or an object is seen.

Each kind comes from one detector at a time. Questions are answered from what is stored, so they need no weights.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from longvideoagent.core.text import plural
from longvideoagent.core.types import Evidence, Timeline
from longvideoagent.errors import DataError
from longvideoagent.index.stored_text import StepCost, seconds, write_step
from longvideoagent.index.video_index import UnusableIndexError, VideoIndex
from longvideoagent.index.visible_objects import object_text
from longvideoagent.progress import Progress, no_progress

MAX_LABEL_CHARS = 100
MAX_EVENTS = 100_000
"""Of one kind in one video: each question reads all of them."""
_JOINERS = "\u200c\u200d"


def is_label(text: str) -> bool:
    """Whether a text can be a label: not empty or too long, and with nothing that is not shown, but for the joiners
    that words of several scripts need."""
    return 0 < len(text) <= MAX_LABEL_CHARS and all(char.isprintable() or char in _JOINERS for char in text)


class EventKind(StrEnum):
    """By what it is perceived."""

    SOUND = "sound"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Event:
    """A span in which something is heard or seen, as a detector believes."""

    start_s: float
    end_s: float
    label: str
    """The detector's name of it, such as ``Explosion`` or ``dog``."""
    score: float
    """The detector's greatest score in the span, 0 to 1."""
    count: int = 1
    """How many are seen at once at most; 1 for a sound."""


class EventSource(NamedTuple):
    """The detector that found the events of a kind."""

    key: str
    """Its identity; it changes with its weights and code."""
    labels: tuple[str, ...] = ()
    """All that it can find; none if that is not known."""


class FoundEvents(NamedTuple):
    """What a detector found."""

    events: Sequence[Event]
    covered: str
    """What of the video was searched, for people."""


def find_events(
    index: VideoIndex,
    kind: EventKind,
    source: EventSource,
    find: Callable[[], FoundEvents],
    progress: Progress = no_progress,
) -> tuple[Event, ...]:
    """The events of a video from its index; what it lacks is found and stored in place of another detector's.

    Args:
        index: The index of the video; one that cannot be used costs the search and nothing else.
        kind: What is found.
        source: The detector.
        find: Searches the video.
        progress: Called while another process searches.

    Returns:
        The events, in order of time.

    Raises:
        DataError: There are more than ``MAX_EVENTS``; and whatever ``find`` raises.
    """
    covered = ""

    def build() -> tuple[Event, ...]:
        nonlocal covered
        events, covered = find()
        if len(events) > MAX_EVENTS:
            problem = f"the detector found {len(events):,} {kind}s, and at most {MAX_EVENTS:,} are kept"
            raise DataError(f"{index.video_name}: {problem}; give one that is surer, or knows fewer labels")
        return tuple(sorted(events, key=lambda event: (event.start_s, event.end_s, event.label)))

    return index.build_once(
        lambda: _read(index, kind, source.key),
        build,
        lambda events, taken_s: _write(index, kind, source, events, StepCost(f"{kind}s", covered, taken_s)),
        progress,
    )


def read_events(index: VideoIndex, kind: EventKind) -> tuple[Event, ...] | None:
    """The stored events of a kind, in order of time, whichever detector found them; None if none has searched yet."""
    return _read(index, kind, None)


def read_source(index: VideoIndex, kind: EventKind) -> EventSource | None:
    """The detector that found the stored events of a kind; None if none has searched yet."""

    def work(database: sqlite3.Connection) -> EventSource | None:
        row = database.execute("SELECT key, labels FROM event_sets WHERE kind = ?", (kind,)).fetchone()
        return None if row is None else EventSource(str(row[0]), _labels(row[1]))

    return index.read(work)


def count_events(index: VideoIndex) -> list[str]:
    """What of each kind is stored, such as ``9 sounds`` and ``2 kinds of objects``; nothing of a kind that none has
    searched yet. An object has a span for each time that it comes into view, so spans would not count objects."""
    counts = []
    sounds, objects = read_events(index, EventKind.SOUND), read_events(index, EventKind.OBJECT)
    if sounds is not None:
        counts.append(f"{len(sounds) or 'no'} {plural('sound', len(sounds))}")
    if objects is not None:
        num_kinds = len({event.label for event in objects})
        counts.append(f"{num_kinds} {plural('kind', num_kinds)} of objects" if objects else "no objects")
    return counts


def with_events(timeline: Timeline, index: VideoIndex) -> Timeline:
    """The timeline with the sounds and objects that its index has."""
    hears, sees = read_source(index, EventKind.SOUND), read_source(index, EventKind.OBJECT)
    sounds, objects = read_events(index, EventKind.SOUND), read_events(index, EventKind.OBJECT)
    return replace(
        timeline,
        sounds=None if sounds is None else tuple(_sound_evidence(event, timeline) for event in sounds),
        objects=None if objects is None else tuple(_object_evidence(event, timeline) for event in objects),
        sound_labels=() if sounds is None or hears is None else hears.labels,
        object_labels=() if objects is None or sees is None else sees.labels,
    )


def covered_s(events: Sequence[Evidence]) -> float:
    """The seconds in which any of these events is, in order of time."""
    total_s = end_s = 0.0
    for each in events:
        total_s += max(0.0, each.end_s - max(each.start_s, end_s))
        end_s = max(end_s, each.end_s)
    return total_s


def _sound_evidence(event: Event, timeline: Timeline) -> Evidence:
    clip = timeline.clip_at(event.start_s)
    text, label = f"heard: {event.label}", event.label
    return Evidence(clip.label, event.start_s, event.end_s, "sound", event.start_s, text, clip.video, label)


def _object_evidence(event: Event, timeline: Timeline) -> Evidence:
    clip = timeline.clip_at(event.start_s)
    start_s, end_s, label, count = event.start_s, event.end_s, event.label, event.count
    text = object_text(label, count)
    return Evidence(clip.label, start_s, end_s, "frame", start_s, text, clip.video, label, count)


def _read(index: VideoIndex, kind: EventKind, key: str | None) -> tuple[Event, ...] | None:
    def work(database: sqlite3.Connection) -> tuple[Event, ...] | None:
        row = database.execute("SELECT key FROM event_sets WHERE kind = ?", (kind,)).fetchone()
        if row is None or (key is not None and row[0] != key):
            return None
        statement = (
            "SELECT start_s, end_s, label, score, count FROM events WHERE kind = ?"
            " ORDER BY start_s, end_s, label LIMIT ?"
        )
        events = tuple(_event(*each) for each in database.execute(statement, (kind, MAX_EVENTS + 1)))
        if len(events) > MAX_EVENTS:
            raise UnusableIndexError(f"damaged: more than {MAX_EVENTS:,} {kind}s")
        return events

    return index.read(work)


def _labels(text: object) -> tuple[str, ...]:
    """The labels in a row of the table. Raises UnusableIndexError for anything else."""
    try:
        labels = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        labels = None
    if not isinstance(labels, list) or not all(isinstance(each, str) and is_label(each) for each in labels):
        raise UnusableIndexError("damaged: labels that no detector has")
    return tuple(labels)


def _event(start_s: object, end_s: object, label: object, score: object, count: object) -> Event:
    """A row of the table. Raises UnusableIndexError for anything else: an index next to a video comes with it."""
    start, end = seconds(start_s), seconds(end_s)
    if not (isinstance(label, str) and isinstance(score, float) and isinstance(count, int)):
        raise UnusableIndexError("damaged: an event of other types")
    if not (start <= end and is_label(label) and 0 <= score <= 1 <= count):
        raise UnusableIndexError("damaged: an event with values that no detector has")
    return Event(start, end, label, score, count)


def _write(index: VideoIndex, kind: EventKind, source: EventSource, events: Iterable[Event], cost: StepCost) -> None:
    def work(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM events WHERE kind = ?", (kind,))
        database.execute(
            "REPLACE INTO event_sets (kind, key, labels) VALUES (?, ?, ?)",
            (kind, source.key, json.dumps(source.labels, ensure_ascii=False)),
        )
        database.executemany(
            "INSERT INTO events (kind, start_s, end_s, label, score, count) VALUES (?, ?, ?, ?, ?, ?)",
            [(kind, *astuple(event)) for event in events],
        )
        database.execute("DELETE FROM steps WHERE name = ?", (cost.name,))  # of the detector before
        write_step(database, cost)

    index.write(work)
