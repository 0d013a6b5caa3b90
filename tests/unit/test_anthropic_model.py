"""Models on a server with Anthropic's messages API: requests, replies, streams and errors."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import pairwise
from typing import Any

import pytest

from longvideoagent.core.actions import offered_tools
from longvideoagent.core.types import Jpeg, Message, Reply
from longvideoagent.errors import (
    ContextOverflowError,
    ContinuationRefusedError,
    ImagesRefusedError,
    ModelError,
    ThrottledError,
    ToolsRefusedError,
    TransientError,
    UnreachableError,
    UsageError,
)
from longvideoagent.models.anthropic import AnthropicModel
from longvideoagent.models.base import (
    DEFAULT_CALL_SETTINGS,
    CallSettings,
    Model,
    ModelOptions,
    TextCallback,
    TokenPrice,
)
from longvideoagent.models.retry import RetryingModel, RetryPolicy
from longvideoagent.models.spec import ModelSpec, load_model
from tests.fakes.anthropic_server import Answer, error, events_of, message, reply, send_events, text, thinking, tool_use
from tests.fakes.faulty_server import body as raw_body
from tests.fakes.faulty_server import serving, status

HELLO = [Message(role="user", content="hello")]
TOOLS = offered_tools(frozenset({"grounding", "vision"}), "aX")
MARK = {"cache_control": {"type": "ephemeral"}}
SCHEMA = {"type": "object", "properties": {"clip": {"type": "string", "enum": ["c1", "c2"]}}, "required": ["clip"]}


def complete(model: Model, messages: list[Message], settings: CallSettings, on_text: TextCallback | None) -> Reply:
    async def call() -> Reply:
        try:
            return await model.complete(messages, settings, on_text)
        finally:
            await model.close()

    return asyncio.run(call())


def ask(
    url: str,
    messages: list[Message] = HELLO,
    settings: CallSettings = DEFAULT_CALL_SETTINGS,
    on_text: TextCallback | None = None,
    **options: Any,
) -> Reply:
    return complete(AnthropicModel("m", url, **options), messages, settings, on_text)


def request_of(
    messages: list[Message], settings: CallSettings = DEFAULT_CALL_SETTINGS, **options: Any
) -> dict[str, Any]:
    """What is sent for these messages."""
    with serving(reply(text("hi"))) as (url, server):
        ask(url, messages, settings, **options)
    return server.requests[0]


# --- requests ------------------------------------------------------------------------------------


def test_request_form() -> None:
    request = request_of(HELLO, CallSettings(temperature=0.5, max_tokens=9))
    assert request == {
        "model": "m",
        "max_tokens": 9,
        "temperature": 0.5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello", **MARK}]}],
    }


@pytest.mark.parametrize("ending", ["", "/v1", "/v1/", "/v1/messages"])
def test_url_with_and_without_version(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")
    with serving(reply(text("hi"))) as (url, server):
        spec = ModelSpec.parse(f"anthropic:m@{url.removesuffix('/v1')}{ending}")
        model = load_model(spec, ModelOptions())
        assert complete(model, HELLO, DEFAULT_CALL_SETTINGS, None).text == "hi"
    headers = server.headers[0]
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-ant-1", "2023-06-01")


def test_key_missing_of_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(UsageError, match="ANTHROPIC_API_KEY is not set; export it, or name a server: anthropic:m@URL"):
        load_model(ModelSpec("anthropic", "m"), ModelOptions())


def test_template_refused() -> None:
    with pytest.raises(UsageError, match="anthropic:m@http://h: takes no completion_template and no style raw"):
        load_model(ModelSpec("anthropic", "m", "http://h"), ModelOptions(completion_template="$prompt"))


def test_images_before_text() -> None:
    (message_,) = request_of([Message(role="user", content=(Jpeg(b"\xff\xd8"), "1.0 s:", Jpeg(b"\xff\xd9"), "look"))])[
        "messages"
    ]
    first, label, second, question = message_["content"]
    source = {"type": "base64", "media_type": "image/jpeg", "data": "/9g="}
    assert first == {"type": "image", "source": source}
    assert (label, question) == (text("1.0 s:"), text("look"))
    assert second == {"type": "image", "source": {**source, "data": "/9k="}, **MARK}


def test_consecutive_and_empty_messages_merged() -> None:
    chat = [
        Message(role="user", content="one"),
        Message(role="assistant", content=" \n"),
        Message(role="user", content="two"),
        Message(role="assistant", content="so"),
        Message(role="user", content="three"),
    ]
    sent = request_of(chat)["messages"]
    assert [(each["role"], [block["text"] for block in each["content"]]) for each in sent] == [
        ("user", ["one", "two"]),
        ("assistant", ["so"]),
        ("user", ["three"]),
    ]


def test_last_reply_continued() -> None:
    chat = [*HELLO, Message(role="assistant", content="<think>so</think>\n\n")]
    assert request_of(chat)["messages"][-1] == {"role": "assistant", "content": [text("<think>so</think>")]}


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        (CallSettings(), {"temperature": 0.6}),
        (CallSettings(top_p=1.0, top_k=-1, repetition_penalty=1.0), {"temperature": 0.6}),
        (CallSettings(top_p=0.9, top_k=20), {"temperature": 0.6, "top_p": 0.9, "top_k": 20}),
        (CallSettings(stop_at_action=True), {"temperature": 0.6, "stop_sequences": 0}),
        (CallSettings(extra_body={"metadata": {"user_id": "u"}}), {"temperature": 0.6, "metadata": {"user_id": "u"}}),
    ],
)
def test_optional_fields(settings: CallSettings, sent: dict[str, Any]) -> None:
    request = request_of(HELLO, settings)
    if "stop_sequences" in request:
        assert "</answer>" in request["stop_sequences"]
        assert all(stop.strip() for stop in request["stop_sequences"])
        request["stop_sequences"] = 0
    assert {name: value for name, value in request.items() if name not in ("model", "max_tokens", "messages")} == sent


def test_schema_without_lists_of_values() -> None:
    settings = CallSettings(json_schema=SCHEMA, extra_body={"output_config": {"effort": "low"}})
    schema = {"type": "object", "properties": {"clip": {"type": "string"}}, "required": ["clip"]}
    assert request_of(HELLO, settings)["output_config"] == {
        "format": {"type": "json_schema", "schema": schema},
        "effort": "low",
    }


def test_thoughts_requested_of_reasoning_model() -> None:
    request = request_of(HELLO, CallSettings(stop_at_action=True, top_p=0.9), reasoning=True)
    assert request["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert not {"temperature", "top_p", "stop_sequences"} & request.keys()


# --- replies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_reply_with_thoughts(streams: bool) -> None:
    grown: list[str] = []
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 1000,
        "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    answer = reply(thinking("it is grey"), text("<answer>a1"), text("</answer>"), usage=usage)
    price = TokenPrice(1e6, 0.0, cache_read_usd_per_mtok=1e5, cache_write_usd_per_mtok=1.25e6)
    with serving(answer) as (url, _):
        result = ask(url, on_text=grown.append if streams else None, price=price)
    assert (result.text, result.reasoning) == ("<answer>a1</answer>", "it is grey")
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (1110, 5)
    assert result.usage.usd == pytest.approx(10 + 10 + 1250)
    assert grown[-1:] == (["it is grey<answer>a1</answer>"] if streams else [])
    assert all(later.startswith(earlier) for earlier, later in pairwise(grown))


def test_most_that_cached_prompts_cost() -> None:
    with serving(reply(text("hi"))) as (url, _):
        usage = ask(url).usage
    assert TokenPrice(2e6, 1e6).max_usd(usage) == 2 * 7 + 3
    assert TokenPrice(2e6, 1e6, cache_read_usd_per_mtok=1e5).max_usd(usage) == 2 * 7 + 3
    assert TokenPrice(2e6, 1e6, cache_write_usd_per_mtok=3e6).max_usd(usage) == 3 * 7 + 3


@pytest.mark.parametrize("streams", [False, True])
def test_reply_stopped_at_action(streams: bool) -> None:
    stopped = reply(text("<think>so</think><answer>a1"), stop_reason="stop_sequence", stop_sequence="</answer>")
    with serving(stopped) as (url, _):
        result = ask(url, settings=CallSettings(stop_at_action=True), on_text=(lambda _: None) if streams else None)
    assert (result.text, result.is_truncated) == ("<think>so</think><answer>a1</answer>", True)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("stop_reason", ["max_tokens", "model_context_window_exceeded"])
def test_reply_cut(stop_reason: str, streams: bool) -> None:
    with serving(reply(text("well, "), stop_reason=stop_reason)) as (url, _):
        result = ask(url, on_text=(lambda _: None) if streams else None)
    assert result.is_truncated
    assert "was cut at 1,024 tokens" in result.warnings[0]


def test_reply_cut_inside_hidden_thought() -> None:
    with serving(reply(thinking(""), stop_reason="max_tokens")) as (url, _), pytest.raises(ModelError) as caught:
        ask(url)
    assert "inside hidden reasoning; raise --max-reply-tokens" in str(caught.value)
    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize("streams", [False, True])
def test_refusal(streams: bool) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It asks for harm."}
    with (
        serving(reply(stop_reason="refusal", stop_details=details)) as (url, _),
        pytest.raises(ModelError, match=r"the model refuses \(It asks for harm.\); ask in other words"),
    ):
        ask(url, on_text=(lambda _: None) if streams else None)
    half = reply(text("half an"), stop_reason="refusal", stop_details=details)
    with serving(half) as (url, _), pytest.raises(ModelError, match="It asks for harm") as caught:
        ask(url, on_text=(lambda _: None) if streams else None)
    assert caught.value.completion_tokens == 3
    with serving(reply(text("half an"), stop_reason="refusal")) as (url, _):
        assert "its content filter has cut a reply" in ask(url).warnings[0]


@pytest.mark.parametrize(
    "answer",
    [
        reply(text("let me see"), stop_reason="pause_turn"),
        reply(),
        reply(text("well"), stop_reason=""),
        send_events(*list(events_of(message(text("well"))))[:-2]),
        send_events({"type": "message_start", "message": message()}),
    ],
    ids=["paused", "empty", "no stop reason", "stream breaks off", "stream without blocks"],
)
def test_unfinished_reply_is_transient(answer: Answer) -> None:
    with serving(answer) as (url, _), pytest.raises(TransientError, match=r"breaks off|an empty reply"):
        ask(url, on_text=lambda _: None)


def test_unknown_events_and_blocks_passed_over() -> None:
    events = list(events_of(message(text("hi"), text("!"))))
    odd = [
        {"type": "fallback_started", "index": 7},
        {"type": "content_block_start", "index": 9, "content_block": {"type": "redacted_thinking", "data": "Ab=="}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "content_block_delta", "index": 99, "delta": {"type": "text_delta", "text": "lost"}},
    ]
    with serving(send_events(*events[:4], *odd, *events[4:])) as (url, _):
        assert ask(url, on_text=lambda _: None).text == "hi!"


def test_stream_in_one_piece() -> None:
    grown: list[str] = []
    with serving(raw_body(json.dumps(message(text("hi"))).encode())) as (url, _):
        assert ask(url, on_text=grown.append).text == "hi"
    assert grown == ["hi"]


def test_web_page_in_place_of_reply() -> None:
    with (
        serving(raw_body(b"<html><title>Login</title>", "text/html")) as (url, _),
        pytest.raises(ModelError, match=r"a web page \(Login\) instead of a reply"),
    ):
        ask(url)


# --- tools ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_call_read_as_tags(streams: bool) -> None:
    grown: list[str] = []
    call = tool_use("visual_query", reason="I must see it", query="the sign")
    with serving(reply(thinking("hm"), text("Let me look."), call)) as (url, server):
        result = ask(url, settings=CallSettings(tools=TOOLS), on_text=grown.append if streams else None)
    assert result.text == "<think>Let me look.\nI must see it</think><visual_query>the sign</visual_query>"
    assert result.reasoning == "hm"
    assert grown[-1:] == (["hm" + result.text.removesuffix("</visual_query>")] if streams else [])
    request = server.requests[0]
    assert [tool["name"] for tool in request["tools"]] == ["visual_query", "request_grounding", "answer"]
    assert set(request["tools"][0]["input_schema"]["properties"]) == {"reason", "query"}
    assert request["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_conversation_sent_as_calls() -> None:
    chat = [
        *HELLO,
        Message(role="assistant", content="<think>why</think><visual_query>the wall</visual_query>"),
        Message(role="user", content="grey"),
    ]
    with serving(reply(tool_use("answer", text="a1"))) as (url, server):
        ask(url, chat, CallSettings(tools=TOOLS))
    first, call, result = server.requests[0]["messages"]
    (use,) = call["content"]
    assert (use["type"], use["name"], use["input"]) == (
        "tool_use",
        "visual_query",
        {"reason": "why", "query": "the wall"},
    )
    assert result["role"] == "user"
    assert result["content"] == [{"type": "tool_result", "tool_use_id": use["id"], "content": [text("grey")], **MARK}]
    assert first["content"] == [{**text("hello"), **MARK}]


def test_second_call_reported() -> None:
    calls = tool_use("answer", text="a1"), tool_use("answer", text="a2")
    with serving(reply(*calls)) as (url, _):
        result = ask(url, settings=CallSettings(tools=TOOLS))
    assert result.text == "<answer>a1</answer>"
    assert result.warnings == ("'m' calls 2 tools at once; only the first counts",)


def test_call_not_offered() -> None:
    with serving(reply(tool_use("web_search", query="x"))) as (url, _), pytest.raises(ModelError, match="'web_search'"):
        ask(url)


# --- what models refuse --------------------------------------------------------------------------

ADAPTIVE = "adaptive thinking is not supported on this model"


@pytest.mark.parametrize(
    ("detail", "settings", "options", "left_out"),
    [
        ("`temperature` is deprecated for this model.", CallSettings(), {}, "temperature"),
        ("temperature: Extra inputs are not permitted", CallSettings(), {}, "temperature"),
        (
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
            CallSettings(top_p=0.9),
            {},
            "top_p",
        ),
        ("top_k: Extra inputs are not permitted", CallSettings(top_k=5), {}, "top_k"),
        ("repetition_penalty: Extra inputs are not permitted", CallSettings(repetition_penalty=1.1), {}, "repetition"),
        (ADAPTIVE, CallSettings(), {"reasoning": True}, "thinking"),
        ("output_config: Extra inputs are not permitted", CallSettings(json_schema=SCHEMA), {}, "output_config"),
        ("messages.0.content.0.cache_control: Extra inputs are not permitted", CallSettings(), {}, "cache_control"),
    ],
)
def test_refused_field_left_out(
    detail: str, settings: CallSettings, options: dict[str, Any], left_out: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        serving(error(400, "invalid_request_error", detail), reply(text("hi"))) as (url, server),
    ):
        assert ask(url, settings=settings, **options).text == "hi"
    assert [left_out in json.dumps(request) for request in server.requests] == [True, False]
    assert left_out in caplog.text


def test_temperature_kept_where_thinking_is_refused() -> None:
    with serving(error(400, "invalid_request_error", ADAPTIVE), reply(text("hi"))) as (url, server):
        ask(url, reasoning=True)
    assert ["temperature" in request for request in server.requests] == [False, True]


def test_call_that_cannot_be_required() -> None:
    refusal = error(
        400, "invalid_request_error", 'tool_choice: type "tool" and "any" are not supported for this model.'
    )
    with serving(refusal, reply(tool_use("answer", text="a1"))) as (url, server):
        assert ask(url, settings=CallSettings(tools=TOOLS)).text == "<answer>a1</answer>"
    assert [request["tool_choice"]["type"] for request in server.requests] == ["any", "auto"]
    assert server.requests[1]["tool_choice"]["disable_parallel_tool_use"]
    with serving(refusal) as (url, server), pytest.raises(ModelError, match="tool_choice"):
        ask(url, settings=CallSettings(tools=TOOLS))
    assert "tool_choice" not in server.requests[-1]


@pytest.mark.parametrize(
    "detail",
    [
        "tools: Extra inputs are not permitted",
        "'m' does not support tool use.",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` "
        "is enabled, a final `assistant` message must start with a thinking block.",
    ],
)
def test_tools_refused(detail: str) -> None:
    with serving(error(400, "invalid_request_error", detail)) as (url, _), pytest.raises(ToolsRefusedError):
        ask(url, settings=CallSettings(tools=TOOLS))


def test_reply_limit_lowered() -> None:
    detail = "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5"
    with serving(error(400, "invalid_request_error", detail), reply(text("hi"))) as (url, server):
        ask(url, settings=CallSettings(max_tokens=200_000))
    assert [request["max_tokens"] for request in server.requests] == [200_000, 64_000]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "detail", "expected", "part"),
    [
        (401, "authentication_error", "invalid x-api-key", ModelError, "the key in ANTHROPIC_API_KEY was refused"),
        (
            403,
            "permission_error",
            "no access to this model",
            ModelError,
            "check what the key in ANTHROPIC_API_KEY may use",
        ),
        (404, "not_found_error", "model: m", ModelError, "is 'm' served there?"),
        (404, "not_found_error", "Not Found", ModelError, "write openai:m@URL"),
        (413, "request_too_large", "Request exceeds the maximum size", ContextOverflowError, "maximum size"),
        (429, "rate_limit_error", "Number of request tokens has exceeded", ThrottledError, "HTTP 429"),
        (500, "api_error", "Internal server error", TransientError, "HTTP 500"),
        (529, "overloaded_error", "Overloaded", TransientError, "HTTP 529, Overloaded"),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 205000 tokens > 200000 maximum",
            ContextOverflowError,
            "205000 tokens",
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input length or "
            "`max_tokens` and try again",
            ContextOverflowError,
            "context limit",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            ModelError,
            "add credit to the account of ANTHROPIC_API_KEY",
        ),
        (
            403,
            "billing_error",
            "Your organization has no credit",
            ModelError,
            "add credit to the account of ANTHROPIC_API_KEY",
        ),
        (
            400,
            "invalid_request_error",
            "This model does not support assistant message prefill. The conversation must end with a user message.",
            ContinuationRefusedError,
            'set style = "turns" in the team file',
        ),
    ],
)
def test_errors(code: int, kind: str, detail: str, expected: type[ModelError], part: str) -> None:
    with serving(error(code, kind, detail)) as (url, server), pytest.raises(ModelError) as caught:
        ask(url)
    assert type(caught.value) is expected
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"{url}: HTTP {code}, {detail}"[:80])
    assert len(server.requests) == 1


def test_retry_after_honoured() -> None:
    with (
        serving(error(429, "rate_limit_error", "slow down", retry_after="7")) as (url, _),
        pytest.raises(ThrottledError) as caught,
    ):
        ask(url)
    assert caught.value.retry_after_s == 7


def test_retried_after_overload() -> None:
    with serving(error(529, "overloaded_error", "Overloaded"), reply(text("hi"))) as (url, server):
        model = RetryingModel(AnthropicModel("m", url), RetryPolicy(first_wait_s=0.01))
        result = complete(model, HELLO, DEFAULT_CALL_SETTINGS, None)
    assert (result.text, result.usage.calls, len(server.requests)) == ("hi", 2, 2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("overloaded_error", TransientError), ("rate_limit_error", ThrottledError), ("invalid_request_error", ModelError)],
)
def test_error_inside_stream(kind: str, expected: type[ModelError]) -> None:
    events = list(events_of(message(text("hello there"))))[:5]
    stream = send_events(*events, {"type": "error", "error": {"type": kind, "message": "it broke"}})
    with serving(stream) as (url, _), pytest.raises(ModelError, match="it broke") as caught:
        ask(url, on_text=lambda _: None)
    assert type(caught.value) is expected


def test_error_under_status_200() -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with serving(raw_body(json.dumps(body).encode())) as (url, _), pytest.raises(TransientError, match="Overloaded"):
        ask(url)


def test_key_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    with serving(status(401, "bad key sk-ant-secret")) as (url, _), pytest.raises(ModelError) as caught:
        ask(url)
    assert "sk-ant-secret" not in str(caught.value)


def test_server_not_there() -> None:
    with pytest.raises(UnreachableError, match="start the server, or fix its URL"):
        ask("http://127.0.0.1:9/v1")


def test_server_that_drops_images() -> None:
    chat = [Message(role="user", content=("look", Jpeg(b"\xff\xd8")))]

    with serving(raw_body(json.dumps(message(text("a beach"))).encode())) as (url, server):
        with pytest.raises(ImagesRefusedError, match="ignores images"):
            ask(url, chat)
        assert server.requests[1]["messages"] == [{"role": "user", "content": [text("look")]}]
    with serving(reply(text("a beach"))) as (url, server):
        assert ask(url, chat).text == "a beach"
        assert len(server.requests) == 1
