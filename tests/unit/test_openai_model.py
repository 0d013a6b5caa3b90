from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import pytest
from aiohttp import web

from longvideoagent.core.types import Jpeg, Message, Reply, Usage
from longvideoagent.errors import (
    ContextOverflowError,
    ModelError,
    ThrottledError,
    TransientError,
    UnreachableError,
    UsageError,
)
from longvideoagent.models.base import CallSettings, ModelOptions, TextCallback, TokenPrice
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.retry import RetryingModel
from longvideoagent.models.spec import ModelSpec, load_model
from tests.fakes.faulty_server import Fault, body, detail, drop_mid_body, hang, say, serving, status

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


def ask_spec(text: str) -> Reply:
    async def call() -> Reply:
        model = load_model(ModelSpec.parse(text), ModelOptions())
        try:
            return await model.complete(HELLO)
        finally:
            await model.close()

    return asyncio.run(call())


# --- one request ---------------------------------------------------------------------------------


def test_reply_usage() -> None:
    with serving(say("hi")) as (url, _):
        assert ask(url) == Reply("hi", usage=Usage(1, 7, 3))


@pytest.mark.parametrize("text", ["hi", None])
def test_reasoning_field(text: str | None) -> None:
    for answer in (say(text, reasoning_content="hm"), say(text, reasoning="hm")):
        with serving(answer) as (url, _):
            assert ask(url).reasoning == "hm"


def test_request_fields() -> None:
    messages = [
        Message(role="user", content=("look", Jpeg(b"\xff\xd8jpeg"))),
        Message(role="assistant", content="so"),
    ]
    settings = CallSettings(0.1, 9, True, {"type": "object"}, {"top_k": 5})
    with serving(say("hi")) as (url, server):
        ask(url, messages, settings)
        ask(url, messages[:1], settings, reasoning=True)
    sent, plain = server.requests
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


def test_first_model_of_a_server() -> None:
    with serving(say("hi"), models=[{"id": "served"}, {"id": "other"}]) as (url, server):
        assert ask_spec(f"vllm:{url}").text == "hi"
        assert [request["model"] for request in server.requests] == ["served"]
    with serving(say("hi"), models=[]) as (url, _), pytest.raises(TransientError, match="lists no models; start the"):
        ask_spec(f"llamacpp:{url}")


def test_first_model_of_a_server_without_a_list() -> None:
    with serving(say("hi")) as (url, _), pytest.raises(ModelError, match=r"/models: .*404.*check the URL"):
        ask_spec(f"vllm:{url}")
    with pytest.raises(UnreachableError, match=r"start it with 'llama-server -m FILE\.gguf'"):
        ask_spec(f"llamacpp:{url}")


def test_key_of_the_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("GEMINI_API_KEY", "sk-gemini")
    with serving(say("hi"), say("hi")) as (url, server):
        ask_spec(f"gemini:m@{url}")
        ask_spec(f"ollama:m@{url}")  # a local server needs no key, and gets none of another's
    assert server.keys == ["Bearer sk-gemini", "Bearer none"]


@pytest.mark.parametrize("template", [None, "<user>$prompt<assistant>"])
def test_stream_equals_whole_reply(template: str | None) -> None:
    updates: list[str] = []

    async def call(url: str, on_text: TextCallback | None) -> Reply:
        model = OpenAIModel("m", url, completion_template=template)
        try:
            return await model.complete(HELLO, CallSettings(stop_at_action=True), on_text)
        finally:
            await model.close()

    with serving(say("so: <answer>a1", {"stop_reason": "</answer>"})) as (url, server):
        whole = asyncio.run(call(url, None))
        assert asyncio.run(call(url, updates.append)) == whole
    assert whole == Reply("so: <answer>a1</answer>", usage=Usage(1, 7, 3), is_truncated=True)
    assert updates == ["so:", "so: <a", "so: <answ", "so: <answer>", "so: <answer>a1"]
    assert "stream" not in server.requests[0]
    assert server.requests[1]["stream_options"] == {"include_usage": True}


def test_stream_reasoning_before_text() -> None:
    updates: list[str] = []

    async def call(url: str) -> Reply:
        model = OpenAIModel("m", url)
        try:
            return await model.complete(HELLO, on_text=updates.append)
        finally:
            await model.close()

    with serving(say("hi", reasoning_content="hm")) as (url, _):
        assert asyncio.run(call(url)).reasoning == "hm"
    assert updates == ["hm", "hmhi"]


def test_sampling_fields_sent_only_if_set() -> None:
    with serving(say("hi")) as (url, server):
        ask(url)
        ask(url, settings=CallSettings(top_p=0.9, top_k=-1, repetition_penalty=1.0))
        ask(url, settings=CallSettings(top_k=-1, extra_body={"top_k": 5}), completion_template="$prompt")
    plain, sent, override = server.requests
    assert not {"top_p", "top_k", "repetition_penalty"} & set(plain)
    assert (sent["top_p"], sent["top_k"], sent["repetition_penalty"]) == (0.9, -1, 1.0)
    assert override["top_k"] == 5


def test_sampling_field_refused(caplog: pytest.LogCaptureFixture) -> None:
    for refusal in (
        status(422, "Extra inputs are not permitted: top_k"),
        detail(422, "Unexpected fields in the request: {'top_k'}"),
    ):
        caplog.clear()
        with serving(refusal, say("hi")) as (url, server):
            assert ask(url, settings=CallSettings(top_p=1.0, top_k=20)).text == "hi"
        assert "top_k" not in server.requests[1]
        assert server.requests[1]["top_p"] == 1.0
        assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_error_detail_shown() -> None:
    refusal = detail(400, "prompt must be a string.")
    with serving(refusal) as (url, _), pytest.raises(ModelError, match=r"HTTP 400, prompt must be a string\."):
        ask(url)


def test_hidden_reasoning_cut_is_not_retried() -> None:
    async def call(url: str, on_text: TextCallback | None) -> Reply:
        model = RetryingModel(OpenAIModel("m", url))
        try:
            return await model.complete(HELLO, CallSettings(max_tokens=1024), on_text)
        finally:
            await model.close()

    for on_text in (None, lambda _: None):
        with serving(say("", {"finish_reason": "length"})) as (url, server):
            with pytest.raises(ModelError, match="cut at 1,024 tokens inside hidden reasoning") as caught:
                asyncio.run(call(url, on_text))
            assert "--max-reply-tokens" in str(caught.value)
            assert not isinstance(caught.value, TransientError)
            assert len(server.requests) == 1


def test_reasoning_cut_is_a_reply_with_warning() -> None:
    cut = {"finish_reason": "length"}
    for answer in (say("", cut, reasoning_content="hm"), say("<think>hm", cut)):
        with serving(answer) as (url, _):
            (warning,) = ask(url).warnings
            assert "cut at 1,024 tokens inside its reasoning; raise --max-reply-tokens" in warning
    for answer in (say("<answer>a1</answer> so", cut), say("so"), say("", reasoning_content="hm")):
        with serving(answer) as (url, _):
            assert ask(url).warnings == ()


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_reply_cut_without_action_is_a_reply_with_warning(reason: str) -> None:
    for text in ("<think>hm</think>so", "so", "<answer>a"):
        with serving(say(text, {"finish_reason": reason})) as (url, _):
            reply = ask(url)
        assert reply.is_truncated
        (warning,) = reply.warnings
        assert "a reply of 'm' was cut at 1,024 tokens; raise --max-reply-tokens" in warning


def test_template_shows_whether_it_opens_a_thought() -> None:
    with serving(say("so <answer>a1</answer> and", {"finish_reason": "length"})) as (url, _):
        assert ask(url, reasoning=True, completion_template="$prompt").text == "so <answer>a1</answer> and"


def test_stop_tag_restored() -> None:
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


def test_reasoning_opened_by_template() -> None:
    thinking, cut = say("hm</think><answer>a1</answer>"), say("is it <answer>a1</answer>?", {"finish_reason": "length"})
    for answer, text in ((thinking, "<think>\nhm</think>"), (cut, "<think>\nis it ")):
        with serving(answer) as (url, _):
            assert ask(url, reasoning=True).text.startswith(text)
            assert not ask(url).text.startswith("<think>")
            continued = [*HELLO, Message(role="assistant", content="<think>so</think>")]
            assert not ask(url, continued, reasoning=True).text.startswith("<think>")


def test_completion_template() -> None:
    template = "<user>$prompt<assistant><think>\n"
    earlier = "<think>\nfirst</think><search>x</search>\n\n<information>y</information>\n\n"
    with serving(say("hm</think><answer>a1</answer>"), say("so</think><answer>a1</answer>")) as (url, server):
        first = ask(url, completion_template=template)
        then = ask(url, [*HELLO, Message(role="assistant", content=earlier)], completion_template=template)
        with pytest.raises(ModelError, match="continuation"):
            ask(url, [*HELLO, *HELLO], completion_template=template)
    assert first.text == "<think>\nhm</think><answer>a1</answer>"
    assert then.text == "so</think><answer>a1</answer>"
    assert server.requests[0]["prompt"] == "<user>hello<assistant><think>\n"
    assert server.requests[1]["prompt"] == f"<user>hello<assistant>{earlier}"


def test_refused_fields_left_out() -> None:
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
    assert len(server.requests) == 5
    for sent in server.requests[3:]:
        assert sent["max_completion_tokens"] == 1024
        assert not {"max_tokens", "temperature", "stop"} & set(sent)


def test_refusal_without_optional_field() -> None:
    with serving(status(400, "unsupported image")) as (url, server), pytest.raises(ModelError, match="image"):
        ask(url)
    assert len(server.requests) == 1


def test_dropped_images_detected() -> None:
    with_image = [Message(role="user", content=("look", Jpeg(b"\xff\xd8jpeg")))]
    with serving(say("a beach", sees=False)) as (url, server), pytest.raises(ModelError, match="ignores images"):
        ask(url, with_image)
    assert server.requests[1]["messages"][0]["content"] == [{"type": "text", "text": "look"}]
    with serving(say("a beach")) as (url, server):
        assert ask(url, with_image).text == "a beach"
    assert len(server.requests) == 1


def test_reply_price() -> None:
    with serving(say("hi")) as (url, _):
        assert ask(url, price=TokenPrice(prompt_usd_per_mtok=1e6, completion_usd_per_mtok=2e6)).usage.usd == 7 + 2 * 3


def test_key_from_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-123")
    with serving(status(401)) as (url, server), pytest.raises(ModelError) as caught:
        ask(url, api_key_env="MY_KEY")
    assert server.keys == ["Bearer secret-123"]
    assert "MY_KEY" in str(caught.value)
    assert "secret-123" not in str(caught.value)


def test_continued_reply_refused() -> None:
    refusal = "Unexpected fields in the request: {'add_generation_prompt', 'continue_final_message'}"
    messages = [Message(role="user", content="look"), Message(role="assistant", content="so")]
    fix = "use a server with vLLM's continue_final_message, or a preset with a completion template"
    with serving(detail(422, refusal)) as (url, _), pytest.raises(ModelError, match=f"{re.escape(refusal)}; {fix}"):
        ask(url, messages)


def test_key_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        ask(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (status(429), ThrottledError, "HTTP 429"),
        (status(408), TransientError, "HTTP 408"),
        (status(500), TransientError, "HTTP 500"),
        (status(503), TransientError, "HTTP 503"),
        (status(400, "This model's maximum context length is 10 tokens"), ContextOverflowError, "maximum context"),
        (status(400, "bad image"), ModelError, "bad image"),
        (status(404), ModelError, "is 'm' served there"),
        (status(403), ModelError, "check what the key"),
        (drop_mid_body, TransientError, "127.0.0.1"),
        (body(b'{"id": "1", "choices": [{"ind'), TransientError, "cannot be read"),
        (body(b'{"choices": []}'), ModelError, "a reply without choices"),
        (body(b'{"choices": null}'), ModelError, "a reply without choices"),
        (body(b"[]"), ModelError, "a reply without choices"),
        (body(b"null"), ModelError, "a reply without choices"),
        (body(b"<html>busy</html>", "text/html"), ModelError, "a web page (busy) instead of a reply"),
        (body("{\"choices\": [\"é\"]}".encode("latin-1")), TransientError, "127.0.0.1"),
        (say(""), TransientError, "empty reply"),
        (say(None), TransientError, "empty reply"),
        (say("x" * 40_000_000), ModelError, "ignores max_tokens"),
    ],
)  # fmt: skip
def test_server_fault(fault: Fault, kind: type[ModelError], message: str) -> None:
    with serving(fault) as (url, _), pytest.raises(ModelError) as caught:
        ask(url)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_server_unreachable_or_hanging() -> None:
    with serving(hang) as (url, _), pytest.raises(TransientError, match=r"no reply within 0 s"):
        ask(url, timeout_s=0.3)
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9.*[Cc]onnect"):
        ask("http://127.0.0.1:9/v1")


def test_retry_after_header() -> None:
    with serving(status(429, **{"Retry-After": "7"})) as (url, _), pytest.raises(ThrottledError) as caught:
        ask(url)
    assert caught.value.retry_after_s == 7.0
    with serving(status(429, **{"Retry-After": "soon"})) as (url, _), pytest.raises(ThrottledError) as caught:
        ask(url)
    assert caught.value.retry_after_s is None


def test_server_too_slow() -> None:
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(40):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    with serving(dribble) as (url, _), pytest.raises(TransientError, match="no reply within"):
        ask(url, timeout_s=0.3)


def test_stream_broken_off() -> None:
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


def test_reply_half_characters() -> None:
    broken = b'{"choices": [{"message": {"content": "half \\ud83d"}}]}'
    with serving(body(broken)) as (url, _):
        assert ask(url).text == "half ?"


# --- memory --------------------------------------------------------------------------------------
