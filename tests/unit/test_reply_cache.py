from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest

from longvideoagent.core.types import Jpeg, Message, Reply
from longvideoagent.errors import DataError, ModelError
from longvideoagent.index.store import MIGRATIONS, KeyValueCache
from longvideoagent.models.base import CallSettings
from longvideoagent.models.cache import CachedModel, reply_key
from longvideoagent.models.scripted import ScriptedModel

HELLO = [Message(role="user", content="hello")]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[KeyValueCache]:
    opened = KeyValueCache(tmp_path / "c.sqlite")
    yield opened
    opened.close()


def cached_model(cache: KeyValueCache, *replies: str | ModelError) -> tuple[CachedModel, ScriptedModel]:
    script = ScriptedModel(replies)
    return CachedModel(script, cache, "m@here"), script


def test_cache_damaged_row(cache: KeyValueCache) -> None:
    key = reply_key("m@here", HELLO, CallSettings())
    cache.put(key, "{broken")
    model, _ = cached_model(cache, "hi")
    assert asyncio.run(model.complete(HELLO)).text == "hi"


def test_cache_hit(cache: KeyValueCache) -> None:
    model, script = cached_model(cache, "hi")
    first = asyncio.run(model.complete(HELLO))
    again = asyncio.run(model.complete(HELLO))
    assert (first.text, again.text) == ("hi", "hi")
    assert (first.usage.calls, again.usage.calls) == (1, 0)
    assert len(script.requests) == 1


def test_cache_keeps_warnings(cache: KeyValueCache) -> None:
    model = CachedModel(ScriptedModel([Reply("hi", warnings=("a reply was cut",))]), cache, "m@here")
    for _ in range(2):
        assert asyncio.run(model.complete(HELLO)).warnings == ("a reply was cut",)


def test_cache_ignores_failures(cache: KeyValueCache) -> None:
    model, _ = cached_model(cache, ModelError("down"), "hi")
    with pytest.raises(ModelError):
        asyncio.run(model.complete(HELLO))
    assert asyncio.run(model.complete(HELLO)).text == "hi"


def test_cache_key_fields() -> None:
    def with_image(jpeg: bytes) -> list[Message]:
        return [Message(role="user", content=("hello", Jpeg(jpeg)))]

    keys = [
        reply_key("m", HELLO, CallSettings()),
        reply_key("n", HELLO, CallSettings()),
        reply_key("m", [Message(role="user", content="hullo")], CallSettings()),
        reply_key("m", [Message(role="assistant", content="hello")], CallSettings()),
        reply_key("m", HELLO, CallSettings(temperature=0.0)),
        reply_key("m", HELLO, CallSettings(json_schema={"type": "object"})),
        reply_key("m", HELLO, CallSettings(extra_body={"top_k": 1})),
        reply_key("m", HELLO, CallSettings(top_k=-1)),
        reply_key("m", HELLO, CallSettings(top_p=1.0)),
        reply_key("m", with_image(b"1"), CallSettings()),
        reply_key("m", with_image(b"2"), CallSettings()),
    ]
    assert len(set(keys)) == len(keys)
    assert reply_key("m", with_image(b"1"), CallSettings()) == keys[9]


def test_cache_reopened_with_any_text(cache: KeyValueCache) -> None:
    odd = "\ud800 <answer>é</answer> \0"
    model, _ = cached_model(cache, odd)
    asyncio.run(model.complete(HELLO))
    asyncio.run(model.close())
    model, _ = cached_model(cache)
    assert asyncio.run(model.complete(HELLO)).text == odd


def test_cache_file_damaged(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database at all, but long enough to look at" * 9)
    with pytest.raises(DataError, match=r"c\.sqlite"):
        KeyValueCache(tmp_path / "c.sqlite")
    sqlite3.connect(tmp_path / "d.sqlite").close()
    empty = KeyValueCache(tmp_path / "d.sqlite")
    assert empty.get(b"x") is None
    empty.close()


OLD_KEY = bytes.fromhex("eb125ba469ccc1049a54dc2e531f7a55b4f97a642970ee94575ad7b3d8429414")
"""The key that the first version of this program computed for HELLO."""


def test_cache_old_format_migrated(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT) WITHOUT ROWID")
        database.execute("INSERT INTO replies VALUES (?, ?)", (OLD_KEY, '{"text": "old", "reasoning": ""}'))
    cache = KeyValueCache(path)
    model, script = cached_model(cache, "new")
    assert asyncio.run(model.complete(HELLO)).text == "old"
    assert script.requests == []
    cache.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_cache_newer_format_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"new\.sqlite: .*update longvideoagent") as caught:
        KeyValueCache(path)
    assert "\n" not in str(caught.value)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert len(path.read_bytes()) == len(before)


def test_cache_opened_at_once(tmp_path: Path) -> None:
    def use(number: int) -> str | None:
        cache = KeyValueCache(tmp_path / "c.sqlite")
        cache.put(bytes([number]), str(number))
        text = cache.get(bytes([number]))
        cache.close()
        return text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [str(number) for number in range(8)]


def test_cache_opened_while_another_connection_writes(tmp_path: Path) -> None:
    # A file without a write-ahead log, written to by another program: SQLite refuses to turn the log on at once.
    other = sqlite3.connect(tmp_path / "c.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE replies (key BLOB PRIMARY KEY, reply TEXT) WITHOUT ROWID")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO replies VALUES (?, ?)", (b"k", "other"))
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(KeyValueCache, tmp_path / "c.sqlite")
        assert not wait([opened], timeout=0.2).done
        other.execute("COMMIT")
        other.close()
        assert opened.result().get(b"k") == "other"
