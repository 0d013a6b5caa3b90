"""The full-text search of an index: the terms of each line, by the language of its text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from longvideoagent.index.schema import FTS5, has_fts5
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms
from longvideoagent.media.text_language import ENGLISH, LANGUAGES, detect_language


def text_language(database: sqlite3.Connection, text_id: int) -> str:
    """The language of a stored text. Raises ValueError for one that is not listed."""
    (language,) = database.execute("SELECT language FROM texts WHERE id = ?", (text_id,)).fetchone()
    if language is None:  # a version of the schema before 3 has written it
        lines = database.execute("SELECT text FROM lines WHERE text_id = ? ORDER BY id", (text_id,))
        return detect_language([str(text) for (text,) in lines])
    return check_language(language)


def check_language(value: object) -> str:
    """A language of a row. Raises ValueError for one that is not listed."""
    if value not in LANGUAGES:
        raise ValueError("a language that is not one")
    return str(value)


def write_line_terms(database: sqlite3.Connection, text_id: int, language: str) -> None:
    """Write the terms of all lines of a text, within a transaction; nothing without full-text search."""
    if has_fts5():
        lines = database.execute("SELECT id, text FROM lines WHERE text_id = ? ORDER BY id", (text_id,)).fetchall()
        _insert(database, ((line_id, text, language) for line_id, text in lines))


def is_complete(database: sqlite3.Connection) -> bool:
    """Whether the full-text search has all lines, each by the language of its text."""
    return not _texts_without_language(database) and not _lines_without_terms(database)


def complete_line_terms(database: sqlite3.Connection) -> None:
    """Add, within a transaction, lines that a program without FTS5 has written, and decide the languages of texts that
    a version of the schema before 3 has written, with the terms of English."""
    database.execute(FTS5)
    _insert(database, _lines_without_terms(database))
    for text_id in _texts_without_language(database):
        language = text_language(database, text_id)
        database.execute("UPDATE texts SET language = ? WHERE id = ?", (language, text_id))
        if language != ENGLISH:
            database.execute(
                "DELETE FROM line_terms WHERE rowid IN (SELECT id FROM lines WHERE text_id = ?)", (text_id,)
            )
            write_line_terms(database, text_id, language)


def _texts_without_language(database: sqlite3.Connection) -> list[int]:
    return [text_id for (text_id,) in database.execute("SELECT id FROM texts WHERE language IS NULL")]


def _lines_without_terms(database: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """The id, the text and the language of each line that is not in the full-text search."""
    (last_id,) = database.execute("SELECT rowid FROM line_terms ORDER BY rowid DESC LIMIT 1").fetchone() or (0,)
    rows = database.execute(
        "SELECT lines.id, lines.text, coalesce(texts.language, ?) FROM lines JOIN texts ON texts.id = text_id"
        " WHERE lines.id > ? ORDER BY lines.id",
        (ENGLISH, last_id),
    )
    return [(line_id, text, check_language(language)) for line_id, text, language in rows]


def _insert(database: sqlite3.Connection, lines: Iterable[tuple[int, str, str]]) -> None:
    rows = ((line_id, " ".join(terms(split_speaker(text).words, language))) for line_id, text, language in lines)
    database.executemany("INSERT INTO line_terms (rowid, terms) VALUES (?, ?)", rows)
