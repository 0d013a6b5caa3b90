"""Texts kept by content in one SQLite file, so that nothing is paid for or computed twice."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from longvideoagent.errors import DataError

MIGRATIONS = ("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT) WITHOUT ROWID",)
"""Statement ``n`` brings a file of version ``n`` to version ``n + 1`` (SQLite's ``user_version``). Files written before
there were versions are of version 0 and have that table already. Append; never edit."""

BUSY_TIMEOUT_S = 30.0
"""How long a statement waits for other threads and processes before the file counts as unusable."""


class KeyValueCache:
    """Texts by key in one SQLite file, shared by threads and processes. Its methods raise DataError, naming the file,
    if it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._execute("SELECT 1 FROM replies LIMIT 1")

    def get(self, key: bytes) -> str | None:
        """The text stored under a key, or None."""
        rows = self._execute("SELECT reply FROM replies WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def put(self, key: bytes, text: str) -> None:
        """Store a text."""
        self._execute("INSERT OR REPLACE INTO replies (key, reply) VALUES (?, ?)", key, text)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                with self._lock:
                    if self._database is None:
                        self._database = self._open()
                    return self._database.execute(statement, values).fetchall()
            except (sqlite3.Error, OSError) as error:
                self.close()
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise DataError(
                        f"{self._path}: not a usable reply cache ({error}); move it away, or run without a cache"
                    ) from error
            time.sleep(0.01)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            self._migrate(database)
        except (sqlite3.Error, DataError):
            database.close()
            raise
        return database

    def _migrate(self, database: sqlite3.Connection) -> None:
        """Bring the file to the current version, in one transaction. Raises DataError for a newer version."""
        if _version(database) == len(MIGRATIONS):
            return
        database.execute("BEGIN IMMEDIATE")
        version = _version(database)  # again: another process may have migrated it meanwhile
        if version > len(MIGRATIONS):
            raise DataError(
                f"{self._path}: a reply cache of version {version}, and this program reads up to {len(MIGRATIONS)}; "
                "update longvideoagent, or run without a cache"
            )
        for statement in MIGRATIONS[version:]:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        database.execute("COMMIT")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _is_busy(error: Exception) -> bool:
    """Whether another connection has the file. SQLite's own timeout does not cover every such moment: while another
    one turns on the write-ahead log, or closes as the last and removes that log, it fails at once."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
