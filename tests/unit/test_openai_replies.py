"""Replies and errors as servers with OpenAI's API really send them, each from a real server on this machine."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ContextOverflowError, ModelError, ThrottledError, TransientError
from longvideoagent.models.base import CallSettings, TextCallback, TokenPrice, failed_usage
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.retry import RetryingModel, RetryPolicy
from tests.fakes.faulty_server import Fault, as_json, body, completion, events, say, serving, status

HELLO = [Message(role="user", content="hello")]


def ask(url: str, settings: CallSettings | None = None, on_text: TextCallback | None = None) -> Reply:
    async def call() -> Reply:
        model = OpenAIModel("m", url)
        try:
            return await model.complete(HELLO, settings or CallSettings(), on_text)
        finally:
            await model.close()

    return asyncio.run(call())


def message(content: object, finish: str = "stop", **fields: Any) -> Fault:
    """A whole reply, also to a request for a stream."""
    reply = {"role": "assistant", "content": content, **fields}
    return as_json(completion("chat.completion", message=reply, finish_reason=finish))


def piece(content: object = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return completion("chat.completion.chunk", delta={"content": content, **fields}, finish_reason=finish)


def for_chat(accepts: Any, refusal: Fault, reply: Fault) -> Fault:
    """A server that gives the reply to requests which it accepts, else the refusal."""

    async def answer(request: web.Request) -> web.StreamResponse:
        fields = json.loads(await request.read())
        result: web.StreamResponse = await (reply if accepts(fields) else refusal)(request)
        return result

    return answer


# --- forms of a reply ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ([{"type": "text", "text": "a "}, {"type": "text", "text": "kite"}], "a kite", ""),
        (["a ", "kite"], "a kite", ""),
        ({"type": "text", "text": "a kite"}, "a kite", ""),
        ([{"type": "output_text", "text": "a kite"}, {"type": "image_url", "image_url": {"url": "x"}}], "a kite", ""),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, "a"], "a", "hm"),
        ([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "a"}], "a", "hm"),
        ([{"type": "reasoning", "summary": [{"text": "hm"}]}, {"type": "text", "text": "a"}], "a", "hm"),
        ([{"type": "redacted_thinking", "data": "s"}, {"type": "text", "text": "a"}], "a", ""),
    ],
)  # fmt: skip
def test_content_of_parts(content: object, text: str, reasoning: str) -> None:
    for answer in (message(content), events(piece(content), piece(finish="stop"))):
        with serving(answer) as (url, _):
            reply = ask(url, on_text=lambda _: None)
        assert (reply.text, reply.reasoning) == (text, reasoning)


def test_reasoning_details_of_openrouter() -> None:
    details = [{"type": "reasoning.text", "text": "hm"}, {"type": "reasoning.encrypted", "data": "x"}]
    with serving(message("a", reasoning_details=details)) as (url, _):
        assert ask(url).reasoning == "hm"


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/plain"])
def test_stream_not_asked_for(content_type: str) -> None:
    answer = events(piece("a "), piece("kite", "stop"), content_type=content_type)
    with serving(answer) as (url, _):
        assert ask(url).text == "a kite"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
def test_response_too_large(content_type: str, streams: bool) -> None:
    """The rest is not read, and the request is not repeated."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(1000):
                await response.write(b" " * 1_000_000)
        return response

    with (
        serving(endless) as (url, _),
        pytest.raises(ModelError, match="a reply of more than 8 MB") as caught,
    ):
        ask(url, on_text=(lambda _: None) if streams else None)
    assert not isinstance(caught.value, TransientError)


def test_whole_reply_to_request_for_stream() -> None:
    updates: list[str] = []
    with serving(message("a kite")) as (url, _):
        assert ask(url, on_text=updates.append).text == "a kite"
    assert updates == ["a kite"]


# --- no text, and why ----------------------------------------------------------------------------

TOOL_CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (message(None, refusal="I cannot identify people."), "refuses (I cannot identify people.); ask in other"),
        (message([{"type": "refusal", "refusal": "No."}]), "refuses (No.)"),
        (events(piece(refusal="I can"), piece(refusal="not.", finish="stop")), "refuses (I cannot.)"),
        (message("", "content_filter"), "content filter withheld"),
        (message(None, "content_filter: SAFETY"), "content filter withheld"),
        (message(None, "tool_calls", tool_calls=[TOOL_CALL]), "calls the tool 'look', which was not offered"),
        (message(None, "function_call", function_call={"name": "look"}), "calls the tool 'look'"),
        (events(piece(tool_calls=[TOOL_CALL]), piece(finish="tool_calls")), "calls the tool 'look'"),
        (as_json({"choices": [], "usage": {"prompt_tokens": 9}}), "a reply without choices"),
        (body(b"<!DOCTYPE html><title>Sign\nin</title>x", "text/html"), "a web page (Sign in) instead of a reply"),
        (body(b"<html><p>Sign in</p>"), "a web page (Sign in) instead of a reply; check the URL"),
        (body(b"no healthy upstream", "text/plain"), "a reply that is not JSON (no healthy upstream)"),
    ],
)
def test_no_text_stated_and_not_retried(answer: Fault, cause: str) -> None:
    for on_text in (None, lambda _: None):
        with serving(answer) as (url, server), pytest.raises(ModelError) as caught:
            asyncio.run(_retrying(url, on_text))
        assert cause in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(server.requests) == 1


@pytest.mark.parametrize("text", [b"[" + b"1" * 5000 + b"]", b"[" * 100_000], ids=["digits", "nesting"])
def test_reply_without_end_is_not_read(text: bytes) -> None:
    with serving(body(text)) as (url, _), pytest.raises(ModelError, match="a reply that cannot be read") as caught:
        asyncio.run(_retrying(url))
    assert "\n" not in str(caught.value)


async def _retrying(url: str, on_text: TextCallback | None = None) -> Reply:
    model = RetryingModel(OpenAIModel("m", url), RetryPolicy(max_tries=2, first_wait_s=0.01))
    try:
        return await model.complete(HELLO, on_text=on_text)
    finally:
        await model.close()


def test_text_next_to_tool_call_or_filter() -> None:
    with serving(message("so", "tool_calls", tool_calls=[TOOL_CALL])) as (url, _):
        reply = ask(url)
    assert (reply.text, reply.warnings) == ("so", ("'m' calls the tool 'look', which was not offered; ignored",))
    with serving(message("so", "content_filter")) as (url, _):
        reply = ask(url)
    assert reply.is_truncated
    assert "content filter has cut a reply of 'm'" in reply.warnings[0]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (as_json({"error": {"message": "more credits", "code": 402}}), ModelError, "error 402, more credits"),
        (as_json({"choices": None, "error": {"message": "busy", "code": 429}}), ThrottledError, "error 429, busy"),
        (as_json({"error": {"message": "slow", "code": "rate_limit_exceeded"}}), ThrottledError, "error 429, slow"),
        (as_json({"error": {"message": "full", "type": "overloaded_error"}}), TransientError, "error 503, full"),
        (as_json({"error": {"message": "oh", "status": "UNAVAILABLE"}}), TransientError, "error 503, oh"),
        (as_json({"error": "Unexpected endpoint"}), ModelError, "Unexpected endpoint"),
        (as_json({"error": {"code": 500}}), TransientError, "error 500"),
        (as_json({"object": "error", "message": "bad", "code": 40001}), ModelError, "bad"),
        (as_json([{"error": {"code": 503, "message": "later"}}]), TransientError, "error 503, later"),
        (as_json(completion("x", message={}, finish_reason="error", error={"code": 502, "message": "died"})),
         TransientError, "error 502, died"),
        (as_json(completion("x", message={"content": "half"}, finish_reason="abort")), TransientError, "breaks off"),
        (events(piece("ha"), {**piece(), "error": {"code": 502, "message": "x"}}), TransientError, "error 502, x"),
        (events(piece("ha"), {**piece(), "error": {"code": 500}}), TransientError, "error 500"),
        (events(piece("ha"), {"error": {"code": 402, "message": "credits"}}), ModelError, "error 402, credits"),
        (as_json([{"error": {"code": 400, "message": "bad image"}}], 400), ModelError, "HTTP 400, bad image"),
        (as_json({"error": {"message": "pay", "code": "insufficient_quota"}}, 429), ModelError, "HTTP 429, pay"),
        (body(b"<html><title>502 Bad\nGateway</title>"), ModelError, "502 Bad Gateway"),
        (as_json({"error": {"message": "Provider returned error", "code": 400,
                            "metadata": {"raw": '{"error": {"message": "bad image"}}', "provider_name": "X"}}}, 400),
         ModelError, "Provider returned error: bad image"),
    ],
)  # fmt: skip
def test_error_forms(answer: Fault, kind: type[ModelError], text: str) -> None:
    for on_text in (None, lambda _: None):
        with serving(answer) as (url, _), pytest.raises(ModelError) as caught:
            ask(url, on_text=on_text)
        assert type(caught.value) is kind
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)


def test_error_repeats_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-123")
    for answer in (
        status(401, "Incorrect key secret-123"),
        as_json({"error": {"message": "secret-123?", "code": 403}}),
    ):
        with serving(answer) as (url, _), pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
            ask(url)
        assert "secret-123" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "is_key", "advice"),
    [
        (status(401), True, "export another"),
        (as_json([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}], 400), True,
         "export another"),  # Gemini
        (as_json({"error": "Incorrect API key provided: x. Get an API key at https://console.x.ai."}, 400), True,
         "export another"),  # xAI
        (status(403, "Your input was flagged by moderation"), False, ""),  # OpenRouter
        (status(403, "Country, region, or territory not supported"), False, ""),
        (status(403, "Project p does not have access to model m"), False, "check what the key in OPENAI_API_KEY"),
        (status(400, "Unsupported value: 'image' is not valid"), False, ""),
        (as_json({"error": {"message": "pay", "code": "insufficient_quota"}}, 429), False, "add credit"),
        (status(402, "Insufficient Balance"), False, "add credit"),
    ],
)  # fmt: skip
def test_key_and_account_problems(answer: Fault, is_key: bool, advice: str) -> None:
    with serving(answer) as (url, _), pytest.raises(ModelError) as caught:
        ask(url)
    assert ("OPENAI_API_KEY was refused" in str(caught.value)) == is_key
    assert advice in str(caught.value)


def test_url_without_its_path() -> None:
    with serving(status(404, "page not found")) as (url, _):
        with pytest.raises(ModelError, match="add /v1 to the URL"):
            ask(url.removesuffix("/v1"))
        with pytest.raises(ModelError, match="is 'm' served there"):
            ask(url)


def test_thoughts_that_only_the_total_counts() -> None:
    reply = completion("x", message={"content": "a kite"})
    reply["usage"] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 110}
    with serving(as_json(reply)) as (url, _):
        assert ask(url).usage.completion_tokens == 103


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("Please retry in 36.5s.", 36.5), ("try again in 200ms", 0.2), ("Try again after 2m", 120.0), ("retry", None)],
)
def test_wait_in_the_message(text: str, wait_s: float | None) -> None:
    for answer in (status(429, text), as_json({"error": {"message": text, "code": 429}})):
        with serving(answer) as (url, _), pytest.raises(ThrottledError) as caught:
            ask(url)
        assert caught.value.retry_after_s == wait_s


def test_error_nested_deeply() -> None:
    for depth, kind in ((3, ModelError), (500, ModelError), (100_000, TransientError)):
        deep = b'{"error": ' * depth + b'"no"' + b"}" * depth
        with serving(body(deep)) as (url, _), pytest.raises(ModelError) as caught:
            ask(url)
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),  # OpenAI, vLLM
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),  # vLLM
        (400, "'max_tokens' is too large: 900. This model's maximum context length is 4096 tokens"),  # vLLM
        (400, "The input (61709 tokens) is longer than the model's context length (40960 tokens)."),  # SGLang
        (400, "Input length (160 tokens) exceeds the maximum allowed length (59 tokens)."),  # SGLang
        (400, "the request exceeds the available context size, try increasing it"),  # llama.cpp
        (500, "context size has been exceeded"),  # llama.cpp
        (400, "request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it"),  # Ollama
        (400, "the input length exceeds the context length"),  # Ollama
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),  # Gemini
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),  # Anthropic
        (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),  # Anthropic
        (413, "Request exceeds the maximum size"),  # Anthropic
        (400, "the prompt contains 9000 tokens but the limit is 8192"),
        (400, "Total number of tokens in input (9000) exceeds 8192"),
        (400, "Range of input length should be [1, 30720]"),  # DashScope
        (400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),  # xAI
        (400, "Invalid request: Your request exceeded model token limit: 131072"),  # Kimi
        (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),  # Mistral
        (400, "The model has a context length of 4096 tokens, which is not enough"),  # LM Studio
        (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000."),  # OpenAI
    ],
)
def test_full_context(code: int, text: str) -> None:
    for answer in (status(code, text), as_json([{"error": {"code": code, "message": text}}])):
        with serving(answer) as (url, server), pytest.raises(ContextOverflowError):
            ask(url)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (429, "Rate limit reached: reduce your input tokens per minute"),
        (400, "max_tokens is too large: 9. This model supports at most 8 completion tokens"),
        (400, "the image is too large"),
        (401, "context length"),
    ],
)
def test_other_error_is_not_a_full_context(code: int, text: str) -> None:
    with serving(status(code, text)) as (url, _), pytest.raises(ModelError) as caught:
        ask(url)
    assert not isinstance(caught.value, ContextOverflowError)


# --- requests in the form that a server accepts --------------------------------------------------


@pytest.mark.parametrize(
    ("text", "extra", "left"),
    [
        ("parameter.enable_thinking is not supported", {"enable_thinking": False, "seed": 7}, {"seed": 7}),
        ("enable_thinking: Extra inputs are not permitted", {"chat_template_kwargs": {"enable_thinking": False}}, {}),
        (
            "chat_template_kwargs: unknown field 'enable_thinking'",
            {"chat_template_kwargs": {"enable_thinking": False, "style": "x"}},
            {"chat_template_kwargs": {"style": "x"}},
        ),
        ("Unknown parameter: 'chat_template_kwargs'.", {"chat_template_kwargs": {"enable_thinking": False}}, {}),
        ("Unknown name \"reasoning_effort\": Cannot find field.", {"reasoning_effort": "low"}, {}),
    ],
)  # fmt: skip
def test_extra_field_refused(
    text: str, extra: dict[str, Any], left: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(status(400, text), say("hi")) as (url, server):
        assert ask(url, CallSettings(extra_body=extra)).text == "hi"
    known = {"model", "messages", "temperature", "max_tokens"}
    assert {name: value for name, value in server.requests[1].items() if name not in known} == left
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("field", "error"),
    [
        ("temperature", {"message": "invalid temperature: only 1 is allowed for this model"}),  # Kimi
        ("temperature", {"message": "`temperature` is deprecated for this model."}),  # Anthropic
        ("temperature", {"message": "Value has no effect.", "param": "temperature"}),
        ("response_format", {"message": "This response_format type is unavailable now"}),  # DeepSeek
        ("response_format", {"message": "Failed to parse grammar"}),  # llama.cpp
    ],
)
def test_optional_field_refused(field: str, error: dict[str, Any]) -> None:
    settings = CallSettings(json_schema={"type": "object"})
    for answer in (as_json({"error": error}, 400), as_json({"error": {**error, "code": 400}})):
        with serving(answer, say("hi")) as (url, server):
            assert ask(url, settings).text == "hi"
        assert field in server.requests[0]
        assert field not in server.requests[1]


@pytest.mark.parametrize(
    "text",
    [
        "please stop: bad image",
        "prompt is invalid",
        "model is unknown",
        "messages[0].content: must be a string",
        "max_tokens must be at least 16",
        "max_tokens was reached; please try again with higher max_tokens",
    ],
)
def test_error_names_no_optional_field(text: str) -> None:
    with serving(status(400, text)) as (url, server), pytest.raises(ModelError, match="HTTP 400"):
        ask(url, CallSettings(extra_body={"seed": 7}))
    assert len(server.requests) == 1


def test_two_names_of_max_tokens_keep_a_limit() -> None:
    refusals = status(400, "Unsupported parameter: 'max_tokens'"), status(400, "unknown max_completion_tokens")
    with serving(*refusals) as (url, server), pytest.raises(ModelError, match="max_completion_tokens"):
        ask(url)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens is too large: 9000. This model supports at most 4096 completion tokens, you gave 9000.",  # OpenAI
        "max_tokens: 9000 > 4096, which is the maximum allowed number of output tokens for claude-3-5",  # Anthropic
        "Range of max_tokens should be [1, 4096]",  # DashScope
        "`max_tokens` must be less than or equal to `4096`, less than the `context_window` of this model",  # Groq
    ],
)
def test_max_tokens_lowered_to_the_server_limit(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving(status(400, text), say("hi")) as (url, server):
        assert ask(url, CallSettings(max_tokens=9000)).text == "hi"
    assert server.requests[1]["max_tokens"] == 4096
    assert "allows replies of 4,096 tokens at most" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "This model only supports streaming.",
        "This model only support stream mode, please enable the stream parameter.",
        "parameter.enable_thinking must be set to false for non-streaming calls",
        "Stream must be set to true",
    ],
)
def test_stream_only_model(text: str) -> None:
    async def calls(url: str) -> list[str]:
        model = OpenAIModel("m", url)
        try:
            return [(await model.complete(HELLO)).text for _ in range(2)]
        finally:
            await model.close()

    dashscope = for_chat(lambda fields: fields.get("stream"), status(400, text), say("hi"))
    with serving(dashscope) as (url, server):
        assert asyncio.run(calls(url)) == ["hi", "hi"]
    assert [bool(request.get("stream")) for request in server.requests] == [False, True, True]


def test_stream_only_model_that_refuses_thinking() -> None:
    text = "parameter.enable_thinking must be set to false for non-streaming calls"
    answer = for_chat(lambda fields: "enable_thinking" not in fields, status(400, text), message("hi"))
    with serving(answer) as (url, _):
        assert ask(url, CallSettings(extra_body={"enable_thinking": True})).text == "hi"


def test_stream_refused() -> None:
    updates: list[str] = []
    error = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
    with serving(as_json({"error": error}, 400), say("hi")) as (url, server):
        assert ask(url, on_text=updates.append).text == "hi"
    assert not {"stream", "stream_options"} & set(server.requests[1])
    assert updates == ["hi"]


# --- prompts that a server has cut ---------------------------------------------------------------

LINE = "[1:01] Mira: The lamp stands next to the window of the room.\n"


def ollama(num_ctx: int, chars_per_token: float = 4.0) -> Fault:
    """A server that drops what is too long for its context without a word, as Ollama does, and counts the rest."""

    async def answer(request: web.Request) -> web.Response:
        fields = json.loads(await request.read())
        num_chars = len(fields.get("prompt", "")) + sum(len(each["content"]) for each in fields.get("messages", []))
        num_tokens = min(num_ctx, int(num_chars / chars_per_token))
        usage = {"prompt_tokens": num_tokens, "completion_tokens": 3}
        choice = {"index": 0, "message": {"content": "hi"}, "text": "hi", "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": usage})

    return answer


@pytest.mark.parametrize(
    ("num_lines", "num_ctx", "chars_per_token", "tokens"),
    [
        (1000, 4096, 4.0, "about 4,000 tokens"),
        (400, 2048, 4.0, "about 2,000 tokens"),
        (400, 300, 4.0, "about 300 tokens"),
        (50, 4096, 4.0, None),
        (1000, 99_999, 4.0, None),
        (1000, 99_999, 5.5, None),
        (1000, 0, 4.0, None),  # a server that counts no tokens
    ],
)
def test_prompt_cut_by_the_server(num_lines: int, num_ctx: int, chars_per_token: float, tokens: str | None) -> None:
    async def call(url: str, template: str | None) -> Reply:
        model = OpenAIModel("m", url, completion_template=template)
        try:
            return await model.complete([Message(role="user", content=LINE * num_lines)])
        finally:
            await model.close()

    for template in (None, "$prompt"):
        with serving(ollama(num_ctx, chars_per_token)) as (url, _):
            warnings = asyncio.run(call(url, template)).warnings
        assert [f"{url} has cut the prompt of 'm' to {tokens}" in warning for warning in warnings] == [True] * bool(
            tokens
        )
        assert all("raise its context length (Ollama: OLLAMA_CONTEXT_LENGTH" in warning for warning in warnings)


def test_cached_tokens_are_not_a_cut() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "cache_read_input_tokens": 12_000}
    answer = as_json({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": usage})

    async def call(url: str) -> Reply:
        model = OpenAIModel("m", url)
        try:
            return await model.complete([Message(role="user", content=LINE * 500)])
        finally:
            await model.close()

    with serving(answer) as (url, _):
        assert asyncio.run(call(url)).warnings == ()


# --- what a reply costs that cannot be used -------------------------------------------------------

PRICE = TokenPrice(prompt_usd_per_mtok=1e6, completion_usd_per_mtok=0.0)


@pytest.mark.parametrize(
    "answer",
    [
        message("", "length"),
        message("", "stop"),
        message(None, "stop", refusal="no"),
        message(None, "content_filter"),
        message(None, "tool_calls", tool_calls=[TOOL_CALL]),
    ],
    ids=["cut", "empty", "refused", "filtered", "tool"],
)
def test_unusable_reply_is_counted(answer: Fault) -> None:
    async def call(url: str) -> None:
        model = OpenAIModel("m", url, price=PRICE)
        try:
            await RetryingModel(model, RetryPolicy(max_tries=2, first_wait_s=0.0)).complete(HELLO)
        finally:
            await model.close()

    with serving(answer) as (url, server), pytest.raises(ModelError) as error:
        asyncio.run(call(url))
    num_replies = len(server.requests)
    assert failed_usage(error.value) == Usage(0, 7 * num_replies, 3 * num_replies, usd=7.0 * num_replies)


def test_unusable_reply_counts_with_the_next_one() -> None:
    async def call(url: str) -> Reply:
        model = OpenAIModel("m", url, price=PRICE)
        try:
            return await RetryingModel(model, RetryPolicy(max_tries=2, first_wait_s=0.0)).complete(HELLO)
        finally:
            await model.close()

    with serving(message("", "stop"), message("a kite")) as (url, _):
        assert asyncio.run(call(url)).usage == Usage(2, 14, 6, usd=14.0)
