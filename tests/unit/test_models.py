from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from longvideoagent.core.types import Jpeg, Message, Reply, Usage
from longvideoagent.errors import (
    ContextOverflowError,
    DataError,
    ModelError,
    ThrottledError,
    TransientError,
    UsageError,
)
from longvideoagent.models.base import CallSettings, TextCallback, TokenPrice
from longvideoagent.models.cache import CachedModel, KeyValueCache, reply_key
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.retry import AdaptiveLimiter, RetryingModel, RetryPolicy
from longvideoagent.models.scripted import ScriptedModel
from tests.fakes.faulty_server import Fault, body, drop_mid_body, hang, say, serving, status

HELLO = [Message(role="user", content="hello")]


def ask(
    url: str, messages: Sequence[Message] = HELLO, settings: CallSettings | None = None, **options: object
) -> Reply:
    async def call() -> Reply:
        model = OpenAIModel("m", url, **options)  # type: ignore[arg-type]
        try:
            return await model.complete(messages, settings or CallSettings())
        finally:
            await model.close()

    return asyncio.run(call())


# --- one request ---------------------------------------------------------------------------------


def test_a_reply_comes_with_what_it_cost() -> None:
    with serving(say("hi")) as (url, _):
        assert ask(url) == Reply("hi", usage=Usage(1, 7, 3))


@pytest.mark.parametrize("text", ["hi", None])
def test_thought_in_a_field_of_its_own_is_kept(text: str | None) -> None:
    for answered in (say(text, reasoning_content="hm"), say(text, reasoning="hm")):
        with serving(answered) as (url, _):
            assert ask(url).reasoning == "hm"


def test_the_request_holds_what_was_asked_for() -> None:
    messages = [
        Message(role="user", content=("look", Jpeg(b"\xff\xd8jpeg"))),
        Message(role="assistant", content="so"),
    ]
    settings = CallSettings(0.1, 9, True, {"type": "object"}, {"top_k": 5})
    with serving(say("hi")) as (url, server):
        ask(url, messages, settings)
        ask(url, messages[:1], settings, reasoning=True)
    sent, plain = server.got
    assert sent["messages"][0]["content"][0] == {"type": "text", "text": "look"}
    assert sent["messages"][0]["content"][1]["image_url"]["url"] == "data:image/jpeg;base64,/9hqcGVn"
    assert sent["messages"][1] == {"role": "assistant", "content": "so"}
    assert (sent["temperature"], sent["max_tokens"], sent["top_k"]) == (0.1, 9, 5)
    assert sent["stop"] == ["</visual_query>", "</search>", "</request_grounding>", "</answer>"]
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert sent["continue_final_message"] is True
    assert sent["add_generation_prompt"] is False
    assert "continue_final_message" not in plain
    assert "stop" not in plain


@pytest.mark.parametrize("template", [None, "<user>$prompt<assistant>"])
def test_a_reply_that_is_heard_comes_in_pieces_and_reads_the_same(template: str | None) -> None:
    heard: list[str] = []

    async def call(url: str, on_text: TextCallback | None) -> Reply:
        model = OpenAIModel("m", url, completion_template=template)
        try:
            return await model.complete(HELLO, CallSettings(stop_at_action=True), on_text)
        finally:
            await model.close()

    with serving(say("so: <answer>a1", {"stop_reason": "</answer>"})) as (url, server):
        whole = asyncio.run(call(url, None))
        assert asyncio.run(call(url, heard.append)) == whole
    assert whole == Reply("so: <answer>a1</answer>", usage=Usage(1, 7, 3))
    assert heard == ["so:", "so: <a", "so: <answ", "so: <answer>", "so: <answer>a1"]
    assert "stream" not in server.got[0]
    assert server.got[1]["stream_options"] == {"include_usage": True}


def test_thought_and_text_are_heard_in_their_order() -> None:
    heard: list[str] = []

    async def call(url: str) -> Reply:
        model = OpenAIModel("m", url)
        try:
            return await model.complete(HELLO, on_text=heard.append)
        finally:
            await model.close()

    with serving(say("hi", reasoning_content="hm")) as (url, _):
        assert asyncio.run(call(url)).reasoning == "hm"
    assert heard == ["hm", "hmhi"]


def test_the_tag_that_a_server_stops_at_and_drops_is_put_back() -> None:
    stopping = CallSettings(stop_at_action=True)
    for choice, text in (
        ({}, "<answer>a1</answer>"),
        ({"stop_reason": "</answer>"}, "<answer>a1</answer>"),
        ({"stop_reason": None}, "<answer>a1"),  # vLLM: the model itself ended its turn
        ({"finish_reason": "length"}, "<answer>a1"),
    ):
        with serving(say("<answer>a1", choice)) as (url, _):
            assert ask(url, settings=stopping).text == text
    with serving(say("<answer>a1")) as (url, _):
        assert ask(url).text == "<answer>a1"
        assert ask(url, settings=stopping, reasoning=True).text == "<answer>a1"


def test_a_thought_that_the_template_opened_is_opened_in_the_reply() -> None:
    thinking, cut = say("hm</think><answer>a1</answer>"), say("is it <answer>a1</answer>?", {"finish_reason": "length"})
    for answered, text in ((thinking, "<think>\nhm</think>"), (cut, "<think>\nis it ")):
        with serving(answered) as (url, _):
            assert ask(url, reasoning=True).text.startswith(text)
            assert not ask(url).text.startswith("<think>")
            goes_on = [*HELLO, Message(role="assistant", content="<think>so</think>")]
            assert not ask(url, goes_on, reasoning=True).text.startswith("<think>")


def test_a_template_written_out_continues_as_it_was_trained() -> None:
    template = "<user>$prompt<assistant><think>\n"
    earlier = "<think>\nfirst</think><search>x</search>\n\n<information>y</information>\n\n"
    with serving(say("hm</think><answer>a1</answer>"), say("so</think><answer>a1</answer>")) as (url, server):
        first = ask(url, completion_template=template)
        then = ask(url, [*HELLO, Message(role="assistant", content=earlier)], completion_template=template)
        with pytest.raises(ModelError, match="continuation"):
            ask(url, [*HELLO, *HELLO], completion_template=template)
    assert first.text == "<think>\nhm</think><answer>a1</answer>"
    assert then.text == "so</think><answer>a1</answer>"
    assert server.got[0]["prompt"] == "<user>hello<assistant><think>\n"
    assert server.got[1]["prompt"] == f"<user>hello<assistant>{earlier}"


def test_what_a_server_refuses_is_left_out_or_named_otherwise_from_then_on() -> None:
    async def calls(url: str) -> list[Reply]:
        model = OpenAIModel("m", url)
        try:
            return [await model.complete(HELLO, CallSettings(stop_at_action=True)) for _ in range(2)]
        finally:
            await model.close()

    refusals = [
        status(400, "Unsupported parameter: 'max_tokens' is not supported; use 'max_completion_tokens' instead."),
        status(400, "Unsupported value: 'temperature' does not support 0.6 with this model."),
        status(400, "Unsupported parameter: 'stop' is not supported with this model."),
    ]
    with serving(*refusals, say("hi")) as (url, server):
        assert [reply.text for reply in asyncio.run(calls(url))] == ["hi", "hi"]
    assert len(server.got) == 5
    for sent in server.got[3:]:
        assert sent["max_completion_tokens"] == 1024
        assert not {"max_tokens", "temperature", "stop"} & set(sent)


def test_a_refusal_that_names_no_field_we_may_leave_out_stays_one() -> None:
    with serving(status(400, "unsupported image")) as (url, server), pytest.raises(ModelError, match="image"):
        ask(url)
    assert len(server.got) == 1


def test_a_server_that_drops_pictures_unsaid_is_found_out() -> None:
    seeing = [Message(role="user", content=("look", Jpeg(b"\xff\xd8jpeg")))]
    with serving(say("a beach", sees=False)) as (url, server), pytest.raises(ModelError, match="no notice of pictures"):
        ask(url, seeing)
    assert server.got[1]["messages"][0]["content"] == [{"type": "text", "text": "look"}]
    with serving(say("a beach")) as (url, server):
        assert ask(url, seeing).text == "a beach"
    assert len(server.got) == 1


def test_a_reply_costs_what_the_price_says() -> None:
    with serving(say("hi")) as (url, _):
        assert ask(url, price=TokenPrice(prompt=1e6, completion=2e6)).usage.usd == 7 + 2 * 3


def test_a_key_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-123")
    with serving(status(401)) as (url, server), pytest.raises(ModelError) as caught:
        ask(url, api_key_env="MY_KEY")
    assert server.keys == ["Bearer secret-123"]
    assert "MY_KEY" in str(caught.value)
    assert "secret-123" not in str(caught.value)


def test_without_a_key_and_a_server_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        ask(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (status(429), ThrottledError, "HTTP 429"),
        (status(408), TransientError, "HTTP 408"),
        (status(500), TransientError, "HTTP 500"),
        (status(503), TransientError, "HTTP 503"),
        (status(400, "This model's maximum context length is 10 tokens"), ContextOverflowError, "maximum context"),
        (status(400, "bad image"), ModelError, "bad image"),
        (status(404), ModelError, "is 'm' served there"),
        (status(403), ModelError, "was refused"),
        (drop_mid_body, TransientError, "127.0.0.1"),
        (body(b'{"id": "1", "choices": [{"ind'), TransientError, "cannot be read"),
        (body(b'{"choices": []}'), TransientError, "empty reply"),
        (body(b'{"choices": null}'), TransientError, "empty reply"),
        (body(b"[]"), TransientError, "empty reply"),
        (body(b"null"), TransientError, "empty reply"),
        (body(b"<html>busy</html>", "text/html"), TransientError, "empty reply"),
        (body("{\"choices\": [\"é\"]}".encode("latin-1")), TransientError, "127.0.0.1"),
        (say(""), TransientError, "empty reply"),
        (say(None), TransientError, "empty reply"),
        (say("x" * 40_000_000), ModelError, "ignores max_tokens"),
    ],
)  # fmt: skip
def test_every_fault_is_a_declared_error_that_names_the_server(fault: Fault, kind: type[ModelError], told: str) -> None:
    with serving(fault) as (url, _), pytest.raises(ModelError) as caught:
        ask(url)
    assert type(caught.value) is kind
    assert told in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_hangs_or_is_not_there_is_given_up() -> None:
    with serving(hang) as (url, _), pytest.raises(TransientError, match=r"no reply within 0 s"):
        ask(url, timeout_s=0.3)
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9.*[Cc]onnect"):
        ask("http://127.0.0.1:9/v1")


# --- patience ------------------------------------------------------------------------------------

QUICK = RetryPolicy(tries=4, first_wait_s=0.01, longest_wait_s=0.05)


def patiently(
    url: str, retry_policy: RetryPolicy = QUICK, calls: int = 1, limiter: AdaptiveLimiter | None = None
) -> list[Reply]:
    async def call() -> list[Reply]:
        model = OpenAIModel("m", url)
        patient = RetryingModel(model, retry_policy, limiter or AdaptiveLimiter())
        try:
            return await asyncio.gather(*(patient.complete(HELLO) for _ in range(calls)))
        finally:
            await model.close()

    return asyncio.run(call())


def test_passing_failures_are_tried_again_and_counted() -> None:
    with serving(status(500), drop_mid_body, status(429), say("hi")) as (url, server):
        (reply,) = patiently(url)
    assert (reply.text, reply.usage.calls, len(server.got)) == ("hi", 4, 4)


def test_lasting_failures_are_told_after_the_last_try() -> None:
    with serving(status(503)) as (url, server), pytest.raises(ModelError, match=r"HTTP 503.*after 4 tries"):
        patiently(url)
    assert len(server.got) == 4


def test_an_outage_is_told_once_while_one_waits() -> None:
    told: list[str] = []
    retry_policy = replace(QUICK, warn=told.append)
    with serving(*[status(503)] * 6, say("hi")) as (url, _):
        assert len(patiently(url, retry_policy, calls=2)) == 2
    (line,) = told
    assert url in line
    assert "HTTP 503" in line


def test_what_cannot_pass_is_not_tried_again() -> None:
    with serving(status(401)) as (url, server), pytest.raises(ModelError):
        patiently(url)
    assert len(server.got) == 1


def test_waits_grow_vary_and_honour_the_server() -> None:
    retry_policy = RetryPolicy(first_wait_s=1.0, longest_wait_s=8.0)
    for failed, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)):
        waits = {retry_policy.wait_s(failed, None) for _ in range(50)}
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 10
    assert retry_policy.wait_s(1, 5.0) == 5.0
    assert retry_policy.wait_s(1, 500.0) == 8.0


def test_retry_after_is_read_from_the_header() -> None:
    with serving(status(429, **{"Retry-After": "7"})) as (url, _), pytest.raises(ThrottledError) as caught:
        ask(url)
    assert caught.value.retry_after_s == 7.0
    with serving(status(429, **{"Retry-After": "soon"})) as (url, _), pytest.raises(ThrottledError) as caught:
        ask(url)
    assert caught.value.retry_after_s is None


def test_the_gate_bounds_what_is_under_way_and_widens_with_success() -> None:
    async def slow(_: object) -> object:
        await asyncio.sleep(0.02)
        return await say("hi")(_)  # type: ignore[arg-type]

    limiter = AdaptiveLimiter(most=8, width=2.0)
    with serving(slow) as (url, server):
        replies = patiently(url, calls=40, limiter=limiter)
    assert len(replies) == 40
    assert 2 < server.max_concurrency <= 8


def test_the_gate_never_lets_in_more_than_most() -> None:
    async def slow(request: object) -> object:
        await asyncio.sleep(0.02)
        return await say("hi")(request)  # type: ignore[arg-type]

    with serving(slow) as (url, server):
        patiently(url, calls=6, limiter=AdaptiveLimiter(most=1))
    assert server.max_concurrency == 1


def test_a_server_that_dribbles_is_given_up_after_its_time() -> None:
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(40):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    with serving(dribble) as (url, _), pytest.raises(TransientError, match="no reply within"):
        ask(url, timeout_s=0.3)


def test_a_stream_that_breaks_off_is_no_reply() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"delta": {"content": "<think>I sho"}}]}\n\n')
        return response

    async def call(url: str) -> None:
        model = OpenAIModel("m", url)
        try:
            await model.complete(HELLO, on_text=lambda _: None)
        finally:
            await model.close()

    with serving(cut) as (url, _), pytest.raises(TransientError, match="breaks off"):
        asyncio.run(call(url))


def test_half_characters_in_a_reply_are_replaced() -> None:
    broken = b'{"choices": [{"message": {"content": "half \\ud83d"}}]}'
    with serving(body(broken)) as (url, _):
        assert ask(url).text == "half ?"


def test_a_damaged_row_of_the_store_is_asked_anew(store: KeyValueCache) -> None:
    key = reply_key("m@here", HELLO, CallSettings())
    store._run("INSERT INTO replies VALUES (?, ?)", key, "{broken")
    model, _ = remembered(store, "hi")
    assert asyncio.run(model.complete(HELLO)).text == "hi"


def test_the_gate_spaces_calls_evenly() -> None:
    started = time.monotonic()
    with serving(say("hi")) as (url, _):
        patiently(url, calls=4, limiter=AdaptiveLimiter(requests_per_minute=600))
    assert time.monotonic() - started >= 0.3


def test_the_gate_halves_once_for_calls_throttled_together() -> None:
    limiter = AdaptiveLimiter(width=8.0)
    for _ in range(5):
        limiter.on_throttled(0)
    assert limiter.width == 4.0
    limiter.on_throttled(1)
    assert limiter.width == 2.0


def test_the_gate_doubles_at_first_and_grows_slowly_once_it_was_told_off() -> None:
    limiter = AdaptiveLimiter(most=64, width=4.0)
    for _ in range(12):
        limiter.on_success()
    assert limiter.width == 16.0
    limiter.on_throttled(0)
    for _ in range(8):
        limiter.on_success()
    assert 8.5 < limiter.width < 9.0


def test_a_caller_that_gives_up_waiting_leaves_the_gate_as_it_was() -> None:
    async def run() -> None:
        limiter = AdaptiveLimiter(width=1.0)

        async def hold(seconds: float) -> None:
            async with limiter.enter():
                await asyncio.sleep(seconds)

        first, second, third = (asyncio.ensure_future(hold(0.05)) for _ in range(3))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.wait_for(asyncio.gather(first, third), 5)
        await asyncio.wait_for(hold(0), 5)
        assert second.cancelled()

    asyncio.run(run())


# --- memory --------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyValueCache]:
    opened = KeyValueCache(tmp_path / "c.sqlite")
    yield opened
    opened.close()


def remembered(store: KeyValueCache, *replies: str | ModelError) -> tuple[CachedModel, ScriptedModel]:
    script = ScriptedModel(replies)
    return CachedModel(script, store, "m@here"), script


def test_a_reply_is_paid_for_once(store: KeyValueCache) -> None:
    model, script = remembered(store, "hi")
    first = asyncio.run(model.complete(HELLO))
    again = asyncio.run(model.complete(HELLO))
    assert (first.text, again.text) == ("hi", "hi")
    assert (first.usage.calls, again.usage.calls) == (1, 0)
    assert len(script.requests) == 1


def test_failures_are_never_remembered(store: KeyValueCache) -> None:
    model, _ = remembered(store, ModelError("down"), "hi")
    with pytest.raises(ModelError):
        asyncio.run(model.complete(HELLO))
    assert asyncio.run(model.complete(HELLO)).text == "hi"


def test_everything_that_decides_a_reply_is_in_its_key() -> None:
    def pictured(jpeg: bytes) -> list[Message]:
        return [Message(role="user", content=("hello", Jpeg(jpeg)))]

    keys = [
        reply_key("m", HELLO, CallSettings()),
        reply_key("n", HELLO, CallSettings()),
        reply_key("m", [Message(role="user", content="hullo")], CallSettings()),
        reply_key("m", [Message(role="assistant", content="hello")], CallSettings()),
        reply_key("m", HELLO, CallSettings(temperature=0.0)),
        reply_key("m", HELLO, CallSettings(schema={"type": "object"})),
        reply_key("m", HELLO, CallSettings(extra_body={"top_k": 1})),
        reply_key("m", pictured(b"1"), CallSettings()),
        reply_key("m", pictured(b"2"), CallSettings()),
    ]
    assert len(set(keys)) == len(keys)
    assert reply_key("m", pictured(b"1"), CallSettings()) == keys[7]


def test_a_store_outlives_its_closing_and_holds_any_text(store: KeyValueCache) -> None:
    odd = "\ud800 <answer>é</answer> \0"
    model, _ = remembered(store, odd)
    asyncio.run(model.complete(HELLO))
    asyncio.run(model.close())
    model, _ = remembered(store)
    assert asyncio.run(model.complete(HELLO)).text == odd


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database at all, but long enough to look at" * 9)
    with pytest.raises(DataError, match=r"c\.sqlite"):
        KeyValueCache(tmp_path / "c.sqlite")
    sqlite3.connect(tmp_path / "d.sqlite").close()
    empty = KeyValueCache(tmp_path / "d.sqlite")
    assert empty.get(b"x") is None
    empty.close()
