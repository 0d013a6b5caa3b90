"""What an index holds of a video's text: facts about the video, subtitles, speech and screen texts, clips.

Each function takes an open ``VideoIndex`` and never fails because of its file; see there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.index.line_terms import check_language, write_line_terms
from longvideoagent.index.schema import has_fts5
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.video_index import UnusableIndexError, VideoIndex
from longvideoagent.media.text_language import detect_language

MAX_SUBTITLES = 8
"""Texts of subtitles that an index keeps: files change, and other tracks are chosen."""


MAX_TIME_S = 1e15
"""Times beyond are not those of a video."""


class TextKind(StrEnum):
    """Where the lines of a text come from."""

    SUBTITLES = "subtitles"
    SPEECH = "speech"
    SCREEN = "screen"


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What all packets of a video say, read once."""

    duration_s: float
    has_audio: bool
    needs_packet_times: bool
    """Whether frames are found by the table of its packets, because its own timestamps cannot be used."""
    warnings: tuple[str, ...] = ()


class Place(NamedTuple):
    """A box on the screen, in fractions of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class StoredText:
    """The lines of one source, in order of time."""

    kind: TextKind
    key: str
    """What decided the lines: files, options, models, versions."""
    lines: tuple[Subtitle, ...] = ()
    source: str = ""
    """For people."""
    warnings: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    """Of screen texts: where each line is, as first read."""
    language: str = ""
    """By whose rules it is searched, one of ``LANGUAGES``; detected if it is not given."""

    def __post_init__(self) -> None:
        if not self.language:
            object.__setattr__(self, "language", detect_language([line.text for line in self.lines]))


class Step(NamedTuple):
    """A part that was built."""

    name: str
    covered: str
    """What of the video, for people."""
    seconds: float
    """How long it took, by the clock."""
    finished_at: str
    """UTC, ISO 8601."""


class TextSummary(NamedTuple):
    """A stored text without its lines."""

    kind: TextKind
    key: str
    source: str
    num_lines: int


class StepCost(NamedTuple):
    """What a step covered and how long it took, to be stored with its results."""

    name: str
    covered: str
    seconds: float


def read_facts(index: VideoIndex, key: str, name: str) -> VideoFacts | None:
    """The facts that were stored under this key, or None. ``name`` is that of the video's file, which warnings have."""

    def work(database: sqlite3.Connection) -> VideoFacts | None:
        row = database.execute(
            "SELECT duration_s, has_audio, needs_packet_times, warnings, name FROM video WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        warnings = tuple(warning.replace(json.loads(row[4]), name) for warning in _texts(row[3]))
        return VideoFacts(seconds(row[0]), bool(row[1]), bool(row[2]), warnings)

    return index.read(work)


def write_facts(index: VideoIndex, key: str, name: str, facts: VideoFacts, cost: StepCost) -> None:
    """Store the facts in place of any others."""

    def work(database: sqlite3.Connection) -> None:
        database.execute(
            "UPDATE video SET key = ?, name = ?, duration_s = ?, has_audio = ?, needs_packet_times = ?, warnings = ?",
            (
                key,
                json.dumps(name),
                facts.duration_s,
                facts.has_audio,
                facts.needs_packet_times,
                json.dumps(facts.warnings),
            ),
        )
        write_step(database, cost)

    index.write(work)


def read_text(index: VideoIndex, kind: TextKind, key: str) -> StoredText | None:
    """The text of this kind and key, which may be empty; None if it was not read yet."""

    def work(database: sqlite3.Connection) -> StoredText | None:
        row = database.execute(
            "SELECT id, source, warnings, digest, language FROM texts WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        if row is None:
            return None
        rows = database.execute(
            'SELECT start_s, end_s, text, "left", top, "right", bottom FROM lines WHERE text_id = ? ORDER BY id',
            row[:1],
        ).fetchall()
        is_screen = kind is TextKind.SCREEN
        lines = tuple(
            Subtitle(seconds(start), seconds(end), str(text), "screen" if is_screen else "subtitle")
            for start, end, text, *_ in rows
        )
        places = tuple(Place(*each[3:]) for each in rows) if is_screen else ()
        language = check_language(row[4]) if row[4] is not None else ""
        stored = StoredText(kind, key, lines, str(json.loads(row[1])), _texts(row[2]), places, language)
        if _digest(stored) != row[3]:
            raise UnusableIndexError("damaged: its lines are not those that were written")
        return stored

    return index.read(work)


def write_text(index: VideoIndex, text: StoredText, cost: StepCost) -> None:
    """Store a text in place of the one with its kind and key. Of subtitles the latest ``MAX_SUBTITLES`` are kept, of
    screen texts one."""
    if _is_storable(text):

        def work(database: sqlite3.Connection) -> None:
            replace_text(database, text)
            write_step(database, cost)

        index.write(work)


def replace_text(database: sqlite3.Connection, text: StoredText) -> None:
    """``write_text`` within a transaction."""
    (text_id,) = database.execute(
        "INSERT INTO texts (kind, key, source, warnings, digest, language) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (kind, key) DO UPDATE SET source = excluded.source, warnings = excluded.warnings,"
        " digest = excluded.digest, language = excluded.language RETURNING id",
        (text.kind, text.key, json.dumps(text.source), json.dumps(text.warnings), _digest(text), text.language),
    ).fetchone()
    max_kept = {TextKind.SUBTITLES: MAX_SUBTITLES, TextKind.SCREEN: 1, TextKind.SPEECH: -1}[text.kind]
    database.execute(
        "DELETE FROM texts WHERE kind = :kind AND id NOT IN"
        " (SELECT id FROM texts WHERE kind = :kind ORDER BY id = :id DESC, id DESC LIMIT :max_kept)",
        {"kind": text.kind, "id": text_id, "max_kept": max_kept},
    )
    old = "text_id = ? OR text_id NOT IN (SELECT id FROM texts)"
    if has_fts5():
        database.execute(f"DELETE FROM line_terms WHERE rowid IN (SELECT id FROM lines WHERE {old})", (text_id,))
    database.execute(f"DELETE FROM lines WHERE {old}", (text_id,))
    # The clips of screen text do not depend on its lines.
    clips_of = -1 if text.kind is TextKind.SCREEN else text_id
    database.execute(f"DELETE FROM clips WHERE {old}", (clips_of,))
    _insert_lines(database, text_id, text)


def _insert_lines(database: sqlite3.Connection, text_id: int, text: StoredText) -> None:
    spoken = [split_speaker(line.text) for line in text.lines]
    places: Sequence[Sequence[float | None]] = text.places or [(None,) * 4] * len(text.lines)
    database.executemany(
        'INSERT INTO lines (text_id, start_s, end_s, speaker, text, "left", top, "right", bottom)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (text_id, line.start_s, line.end_s, each.speaker, line.text, *place)
            for line, each, place in zip(text.lines, spoken, places, strict=True)
        ],
    )
    write_line_terms(database, text_id, text.language)


def read_clips(index: VideoIndex, text: StoredText, key: str) -> tuple[float, ...]:
    """Where the clips of a text start, and where the last one ends; empty if they were not cut under this key."""

    def work(database: sqlite3.Connection) -> tuple[float, ...]:
        spans = database.execute(
            "SELECT c.start_s, c.end_s FROM clips c JOIN texts t ON t.id = c.text_id"
            " WHERE t.kind = ? AND t.key = ? AND c.key = ? ORDER BY c.start_s",
            (text.kind, text.key, key),
        ).fetchall()
        cuts_s = [0.0, *(seconds(end_s) for _, end_s in spans)] if spans else []
        if any(seconds(start_s) != cut_s for (start_s, _), cut_s in zip(spans, cuts_s, strict=False)):
            raise UnusableIndexError("damaged: clips that do not touch")
        return tuple(cuts_s)

    return index.read(work) or ()


def write_clips(index: VideoIndex, text: StoredText, key: str, cuts_s: Sequence[float]) -> None:
    """Store where the clips of a stored text start, and where the last one ends."""

    def work(database: sqlite3.Connection) -> None:
        row = database.execute("SELECT id FROM texts WHERE kind = ? AND key = ?", (text.kind, text.key)).fetchone()
        if row is not None:
            database.execute("DELETE FROM clips WHERE text_id = ?", row)
            database.executemany(
                "INSERT INTO clips (text_id, key, start_s, end_s) VALUES (?, ?, ?, ?)",
                [(*row, key, start_s, end_s) for start_s, end_s in pairwise(cuts_s)],
            )

    index.write(work)


def read_summaries(index: VideoIndex) -> list[TextSummary]:
    """All stored texts, the latest last."""

    def work(database: sqlite3.Connection) -> list[TextSummary]:
        rows = database.execute(
            "SELECT kind, key, source, (SELECT count(*) FROM lines WHERE text_id = texts.id) FROM texts ORDER BY id"
        )
        return [TextSummary(TextKind(row[0]), str(row[1]), str(json.loads(row[2])), int(row[3])) for row in rows]

    return index.read(work) or []


def read_steps(index: VideoIndex) -> list[Step]:
    """The parts that were built, in order of time."""

    def work(database: sqlite3.Connection) -> list[Step]:
        rows = database.execute("SELECT name, covered, seconds, finished_at FROM steps ORDER BY finished_at, rowid")
        return [Step(str(name), str(covered), seconds(taken_s), str(at)) for name, covered, taken_s, at in rows]

    return index.read(work) or []


def write_step(database: sqlite3.Connection, cost: StepCost) -> None:
    """Record within a transaction that a step was done; its seconds are added to those of its name."""
    database.execute(
        "INSERT INTO steps (name, covered, seconds, finished_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET covered = excluded.covered, seconds = seconds + excluded.seconds, finished_at = excluded.finished_at",
        (*cost, datetime.now(UTC).isoformat(timespec="milliseconds")),
    )


def seconds(value: object) -> float:
    """A time of a row. Raises UnusableIndexError for anything else: an index next to a video comes with it."""
    if not isinstance(value, float | int) or not 0 <= value <= MAX_TIME_S:
        raise UnusableIndexError("damaged: a time that is not one")
    return float(value)


def _texts(value: object) -> tuple[str, ...]:
    texts = json.loads(str(value))
    if not isinstance(texts, list):
        raise UnusableIndexError("damaged: warnings that are not a list")
    return tuple(map(str, texts))


def _is_storable(text: StoredText) -> bool:
    """Whether the index can hold the lines: no half surrogate pairs, and times that are some."""
    if not all(0 <= line.start_s <= MAX_TIME_S and 0 <= line.end_s <= MAX_TIME_S for line in text.lines):
        return False
    try:
        "".join(line.text for line in text.lines).encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(text: StoredText) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((text.source, text.warnings)).encode("utf-8", "surrogatepass"))
    for line in text.lines:
        digest.update(f"{line.start_s!r} {line.end_s!r} {line.text}\n".encode("utf-8", "surrogatepass"))
    return digest.digest()
