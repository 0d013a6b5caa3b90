"""Texts kept by content in one SQLite file, so that nothing is paid for or computed twice.

The file is a convenience: ``try_get`` and ``try_put`` warn once about one that cannot be used, and go on without it.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from longvideoagent.errors import DataError
from longvideoagent.log import logger

MIGRATIONS = (
    ("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT) WITHOUT ROWID",),
    (
        "ALTER TABLE replies ADD COLUMN digest BLOB",
        "UPDATE replies SET digest = row_digest(key, CAST(reply AS BLOB))",
    ),
)
"""Statements ``n`` bring a file of version ``n`` to version ``n + 1`` (SQLite's ``user_version``). Files written before
there were versions are of version 0 and have that table already. Append; never edit."""

BUSY_TIMEOUT_S = 30.0
"""How long a statement waits for other threads and processes before the file counts as unusable."""


class KeyValueCache:
    """Texts by key in one SQLite file, shared by threads and processes. Each row has a digest; a row that does not
    match its own counts as missing. The constructor, ``get`` and ``put`` raise DataError, naming the file, if it cannot
    be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._state = threading.Lock()
        self._pending: dict[bytes, str] = {}
        """Texts that the writer has yet to store."""
        self._writer: ThreadPoolExecutor | None = None
        self._is_readable = self._is_writable = True
        self._execute("SELECT 1 FROM replies LIMIT 1")

    def get(self, key: bytes) -> str | None:
        """The text stored under a key, or None."""
        rows = self._execute("SELECT CAST(reply AS BLOB), digest FROM replies WHERE key = ?", key)
        if not rows:
            return None
        text, digest = rows[0]
        if not isinstance(text, bytes) or digest != _row_digest(key, text):
            logger.info("%s: a damaged row is replaced", self._path)
            return None
        return text.decode("utf-8", "replace")

    def put(self, key: bytes, text: str) -> None:
        """Store a text."""
        digest = _row_digest(key, text.encode())
        self._execute("INSERT OR REPLACE INTO replies (key, reply, digest) VALUES (?, ?, ?)", key, text, digest)

    def try_get(self, key: bytes) -> str | None:
        """The text stored under a key, or about to be; None also if the file cannot be used."""
        with self._state:
            pending = self._pending.get(key)
        if pending is not None or not self._is_readable:
            return pending
        try:
            return self.get(key)
        except DataError as error:
            self._is_readable = self._is_writable = self._give_up(error, is_new=self._is_readable)
            return None

    def try_put(self, key: bytes, text: str) -> None:
        """Store a text soon, in a thread; ``close`` waits for it. If the file cannot be used, the text is dropped."""
        with self._state:
            if not self._is_writable:
                return
            self._pending[key] = text
            if self._writer is None:
                self._writer = ThreadPoolExecutor(1, "cache")
            self._writer.submit(self._write, key)

    def _write(self, key: bytes) -> None:
        with self._state:
            text = self._pending.get(key)
        try:
            if text is not None and self._is_writable:
                self.put(key, text)
        except DataError as error:
            self._is_writable = self._give_up(error, is_new=self._is_writable)
        finally:
            with self._state:
                self._pending.pop(key, None)

    def _give_up(self, error: DataError, *, is_new: bool) -> bool:
        """Warn about the file, unless that has been done. Returns False, the state of a file that cannot be used."""
        logger.log(logging.WARNING if is_new else logging.DEBUG, "%s. It is not used from now on", error)
        return False

    def close(self) -> None:
        """Wait for what is being stored, and close the file; the next use opens it again."""
        with self._state:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown()
        self._disconnect()

    def _disconnect(self) -> None:
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
                self._disconnect()
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise DataError(
                        f"{self._path}: not a usable reply cache ({error}); move it away, or run without a cache"
                    ) from error
            time.sleep(0.01)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
        try:
            database.create_function("row_digest", 2, _row_digest, deterministic=True)
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
        for statement in itertools.chain.from_iterable(MIGRATIONS[version:]):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        database.execute("COMMIT")


def _row_digest(key: bytes, text: bytes | None) -> bytes:
    return hashlib.sha256(key + b"\0" + (text or b"")).digest()[:16]


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _is_busy(error: Exception) -> bool:
    """Whether another connection has the file. SQLite's own timeout does not cover every such moment: while another
    one turns on the write-ahead log, or closes as the last and removes that log, it fails at once."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
