"""The tables of a video's index; see docs/video-index.md for what each holds and who reads it.

``VERSION`` is SQLite's ``user_version`` of the file. A file of a newer version is not used; raise it with a migration
in ``MIGRATIONS``, since transcripts take hours to make again.
"""

from __future__ import annotations

import sqlite3
from functools import cache

APPLICATION_ID = 0x4C564149
"""``LVAI``, in the header of the file."""
FTS5 = """
CREATE VIRTUAL TABLE IF NOT EXISTS line_terms USING fts5(
  terms, tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co M* Pc'"
)
"""
"""The stemmed words of ``lines``, by their id; see ``index.terms``. Absent where SQLite lacks FTS5."""
MIGRATIONS = (
    (
        """
        CREATE TABLE video (
          fingerprint TEXT NOT NULL, key TEXT, name TEXT, duration_s REAL, has_audio INTEGER,
          needs_packet_times INTEGER, warnings TEXT
        )
        """,
        """
        CREATE TABLE texts (
          id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, source TEXT NOT NULL,
          warnings TEXT NOT NULL, digest BLOB NOT NULL, UNIQUE (kind, key)
        )
        """,
        """
        CREATE TABLE lines (
          id INTEGER PRIMARY KEY AUTOINCREMENT, text_id INTEGER NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL,
          speaker TEXT NOT NULL, text TEXT NOT NULL, "left" REAL, top REAL, "right" REAL, bottom REAL
        )
        """,
        "CREATE INDEX lines_of_text ON lines (text_id)",
        "CREATE TABLE clips (text_id INTEGER NOT NULL, key TEXT NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL)",
        "CREATE TABLE frames (time_s REAL PRIMARY KEY, shown_s REAL, texts TEXT, thumbnail BLOB)",
        "CREATE TABLE steps (name TEXT PRIMARY KEY, covered TEXT NOT NULL, seconds REAL NOT NULL, finished_at TEXT)",
    ),
    (
        """
        CREATE TABLE vectors (
          model TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (model, text)
        ) WITHOUT ROWID
        """,
    ),
    # Without full-text search a language stays NULL, since the terms of the lines cannot be written again.
    ("ALTER TABLE texts ADD COLUMN language TEXT",),
    ("CREATE TABLE scenes (key TEXT NOT NULL, start_s REAL NOT NULL)",),
    (
        "CREATE TABLE event_sets (kind TEXT PRIMARY KEY, key TEXT NOT NULL)",
        """
        CREATE TABLE events (
          kind TEXT NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL, label TEXT NOT NULL, score REAL NOT NULL,
          count INTEGER NOT NULL
        )
        """,
    ),
    # The labels of the detectors before are not known.
    ("ALTER TABLE event_sets ADD COLUMN labels TEXT NOT NULL DEFAULT '[]'",),
)
"""Statements ``n`` bring a file of version ``n`` to version ``n + 1``. Append; never edit."""
VERSION = len(MIGRATIONS)


@cache
def has_fts5() -> bool:
    """Whether this SQLite has full-text search. Without it, a search reads all lines."""
    database = sqlite3.connect(":memory:")
    try:
        database.execute(FTS5)
    except sqlite3.OperationalError:
        return False
    finally:
        database.close()
    return True
