from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.subsample import complete_within_context
from longvideoagent.core.types import Jpeg, Message, Reply, Usage
from longvideoagent.errors import ContextOverflowError, DataError, ModelError
from longvideoagent.index.store import MIGRATIONS, KeyValueCache
from longvideoagent.models.base import CallSettings, charge
from longvideoagent.models.cache import CachedModel, reply_key
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.faulty_server import say, serving

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


def damage(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def test_cache_old_rows_get_digests(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        for statement in MIGRATIONS[0]:
            database.execute(statement)
        database.execute("INSERT INTO replies VALUES (?, ?)", (b"k", "é"))
        database.execute("PRAGMA user_version = 1")
    with closing(KeyValueCache(path)) as cache:
        assert cache.get(b"k") == "é"
    damage(path, "UPDATE replies SET reply = 'e'")
    with closing(KeyValueCache(path)) as cache:
        assert cache.get(b"k") is None


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE replies SET reply = replace(reply, 'a1', ?)", "a2"),
        ("UPDATE replies SET reply = ?", '{"text": "<answer>a2</answer>", "reasoning": ""}'),
        ("UPDATE replies SET reply = CAST(? AS TEXT)", b"\xff\xfe"),
        ("UPDATE replies SET reply = ?", None),
        ("UPDATE replies SET reply = ?", 7),
        ("UPDATE replies SET digest = ?", None),
        ("UPDATE replies SET digest = ?", b"0123456789abcdef"),
        ("UPDATE replies SET key = ?", reply_key("m@here", [Message(role="user", content="?")], CallSettings())),
    ],
)
def test_cache_row_that_does_not_match_is_asked_again(statement: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    model, script = cached_model(KeyValueCache(path), "<answer>a1</answer>", "<answer>a1</answer>")
    asyncio.run(model.complete(HELLO))
    asyncio.run(model.close())
    damage(path, statement, value)
    other = [Message(role="user", content="?")]
    for messages in (HELLO, other) if "key" in statement else (HELLO,):
        script.requests.clear()
        reply = asyncio.run(model.complete(messages))
        assert (reply.text, reply.usage.calls, len(script.requests)) == ("<answer>a1</answer>", 1, 1)
        script.requests.clear()
        assert asyncio.run(model.complete(messages)).usage.calls == 0
    asyncio.run(model.close())


def test_cache_file_lost_while_in_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "cache"
    model, _ = cached_model(KeyValueCache(folder / "c.sqlite"), *["hi"] * 5)
    asyncio.run(model.close())
    for path in folder.iterdir():
        path.unlink()
    (folder / "c.sqlite").write_bytes(b"not a database any more" * 50)
    with caplog.at_level(logging.INFO, "longvideoagent"):
        replies = [asyncio.run(model.complete(HELLO)) for _ in range(5)]
        asyncio.run(model.close())
    assert [(reply.text, reply.usage.calls) for reply in replies] == [("hi", 1)] * 5
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "c.sqlite: not a usable reply cache" in record.getMessage()
    assert "not used from now on" in record.getMessage()


def test_cache_that_cannot_be_written_is_still_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.sqlite"
    model, _ = cached_model(KeyValueCache(path), "hi", "hello", "hello")
    asyncio.run(model.complete(HELLO))
    asyncio.run(model.close())
    damage(path, "CREATE TRIGGER full BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    other = [Message(role="user", content="other")]
    usages = []
    for messages in (HELLO, other, HELLO, other):
        usages.append(asyncio.run(model.complete(messages)).usage.calls)
        asyncio.run(model.close())
    assert usages == [0, 1, 0, 1]
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1


def test_cache_hit_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    cache = KeyValueCache(path)
    cache.put(b"k", "v")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nothing can be written meanwhile
        cache.try_put(b"k", "new")
        assert cache.try_get(b"k") == "new"
        other.execute("COMMIT")
    cache.close()
    assert cache.get(b"k") == "new"
    cache.close()


def test_event_loop_runs_while_cache_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    cache = KeyValueCache(path)
    cache.close()
    model, _ = cached_model(cache, "hi")

    async def ask() -> str:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            task = asyncio.create_task(model.complete(HELLO))
            for _ in range(20):  # would wait for the file if the loop did
                await asyncio.sleep(0.001)
            other.execute("COMMIT")
        reply = await task
        await model.close()
        return reply.text

    assert asyncio.run(ask()) == "hi"


def test_team_without_usable_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database" * 99)
    with serving(say("<answer>a1</answer>")) as (url, _):
        config = TeamConfig().with_models(model=f"openai:m@{url}")
        team = load_team(config, tmp_path / "c.sqlite")
        assert team.cache is None
    assert "c.sqlite: not a usable reply cache" in caplog.text
    assert len(caplog.records) == 1


def test_tries_that_overflow_are_paid() -> None:
    async def complete(fraction: float) -> Reply:
        if fraction > 0.3:
            raise charge(ContextOverflowError("too long"), Usage(1, 10, 2, usd=0.5))
        return Reply("hi", usage=Usage(1, 5, 1, usd=0.1))

    usage = asyncio.run(complete_within_context("master", complete)).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.usd) == (25, 5, 1.1)
    with pytest.raises(ContextOverflowError) as caught:
        asyncio.run(complete_within_context("master", complete, 0.5))
    assert (caught.value.prompt_tokens, caught.value.usd) == (20, 1.0)


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
