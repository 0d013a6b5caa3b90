"""Texts kept by content, so that nothing is paid for or computed twice.

The key of a reply is a digest of everything that decides it: model, messages with their images, settings. Failures
and empty replies are never stored, because only a model's own replies are.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Jpeg, Message, Reply
from longvideoagent.errors import DataError
from longvideoagent.log import logger
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, Model, TextCallback

KEY_VERSION = 2
"""Part of every key of a reply; raise it when a stored reply would be read differently."""

MIGRATIONS = ("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT) WITHOUT ROWID",)
"""Statement ``n`` brings a file of version ``n`` to version ``n + 1`` (SQLite's ``user_version``). Files written before
there were versions are of version 0 and have that table already. Append; never edit."""


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
        try:
            with self._lock:
                if self._database is None:
                    self._database = self._open()
                return self._database.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise DataError(
                f"{self._path}: not a usable reply cache ({error}); move it away, or run without a cache"
            ) from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=30.0, check_same_thread=False, isolation_level=None)
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


@dataclass(frozen=True)
class CachedModel:
    """A model whose replies are looked up in a cache before it is called. ``identity`` names the model and its server
    in the key."""

    model: Model
    cache: KeyValueCache
    identity: str

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The stored reply, else the model's own, which is then stored."""
        key = reply_key(self.identity, messages, settings)
        stored = self.cache.get(key)
        reply = None if stored is None else _parse_reply(stored)
        if reply is not None:
            if on_text is not None:
                on_text(reply.reasoning + reply.text)
            return reply
        reply = await self.model.complete(messages, settings, on_text)
        self.cache.put(key, json.dumps({"text": reply.text, "reasoning": reply.reasoning}, ensure_ascii=True))
        return reply

    async def close(self) -> None:
        """Close the model and the cache's file."""
        await self.model.close()
        self.cache.close()


def _parse_reply(stored: str) -> Reply | None:
    """A stored reply, at no cost; None if the row is damaged and must be replaced."""
    try:
        fields = json.loads(stored)
        return Reply(str(fields["text"]), str(fields["reasoning"]))
    except (ValueError, TypeError, KeyError):
        logger.info("a damaged reply in the cache is replaced")
        return None


def reply_key(identity: str, messages: Sequence[Message], settings: CallSettings) -> bytes:
    """A digest of everything that decides a reply. Images count by their bytes."""
    settings_fields = asdict(settings)
    settings_fields["schema"] = settings_fields.pop("json_schema")  # its earlier name: stored keys hold it
    fields: dict[str, Any] = {
        "format": KEY_VERSION,
        "model": identity,
        "messages": [[message["role"], _digestible(message["content"])] for message in messages],
        "settings": settings_fields,
    }
    return hashlib.sha256(
        json.dumps(fields, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).digest()


def _digestible(content: str | tuple[str | Jpeg, ...]) -> Any:
    if isinstance(content, str):
        return content
    return [{"jpeg": hashlib.sha256(part.jpeg).hexdigest()} if isinstance(part, Jpeg) else part for part in content]
