"""What has been found out once, remembered by content, so that nothing is paid for twice.

The key of a reply is a digest of everything that decides it: model, messages with their pictures, settings.
Failures and empty replies never get in, because only a model's own replies are stored.
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
from longvideoagent.models.base import DEFAULTS, CallSettings, Model, TextCallback

FORMAT = 2
"""Part of every key; raise it when a stored reply would be read differently."""


class KeyValueCache:
    """Texts by key in one SQLite file, shared by threads and processes. Raises DataError, naming the file,
    where it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._run("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT) WITHOUT ROWID")

    def get(self, key: bytes) -> str | None:
        """The text stored under a key."""
        rows = self._run("SELECT reply FROM replies WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def put(self, key: bytes, text: str) -> None:
        """Remember a text."""
        self._run("INSERT OR REPLACE INTO replies VALUES (?, ?)", key, text)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                if self._database is None:
                    self._database = self._open()
                return self._database.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise self._broken(error) from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=30.0, check_same_thread=False, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _broken(self, error: Exception) -> DataError:
        return DataError(f"{self._path}: no usable reply cache ({error}); delete it, or run without one")


@dataclass(frozen=True)
class CachedModel:
    """A model whose replies are looked up before they are asked for. ``identity`` names the model and
    its server in the key."""

    model: Model
    memory: KeyValueCache
    identity: str

    async def complete(
        self, messages: Sequence[Message], settings: CallSettings = DEFAULTS, on_text: TextCallback | None = None
    ) -> Reply:
        """The stored reply, else the model's own, which is then stored."""
        key = reply_key(self.identity, messages, settings)
        known = _read_reply(self.memory.get(key))
        if known is not None:
            if on_text is not None:
                on_text(known.reasoning + known.text)
            return known
        reply = await self.model.complete(messages, settings, on_text)
        self.memory.put(key, json.dumps({"text": reply.text, "reasoning": reply.reasoning}, ensure_ascii=True))
        return reply

    async def close(self) -> None:
        """Close the model and the memory's file."""
        await self.model.close()
        self.memory.close()


def _read_reply(stored: str | None) -> Reply | None:
    """A reply as it was stored, at no cost; None where there is none, or the row is damaged and is to be written
    anew."""
    try:
        told = json.loads(stored or "")
        return Reply(str(told["text"]), str(told["reasoning"]))
    except (ValueError, TypeError, KeyError):
        return None


def reply_key(identity: str, messages: Sequence[Message], settings: CallSettings) -> bytes:
    """A digest of all that decides a reply. Pictures count by their bytes."""
    told: dict[str, Any] = {
        "format": FORMAT,
        "model": identity,
        "messages": [[message["role"], _plain(message["content"])] for message in messages],
        "settings": asdict(settings),
    }
    return hashlib.sha256(
        json.dumps(told, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).digest()


def _plain(content: str | tuple[str | Jpeg, ...]) -> Any:
    if isinstance(content, str):
        return content
    return [{"jpeg": hashlib.sha256(part.jpeg).hexdigest()} if isinstance(part, Jpeg) else part for part in content]
