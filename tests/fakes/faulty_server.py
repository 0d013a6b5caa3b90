"""A real HTTP server on this machine with chat completions, whose replies and faults a test chooses."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from tests.fakes import anthropic_server

Fault = Callable[[web.Request], "asyncio.Future[web.StreamResponse] | Any"]


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def completion(kind: str, **choice: Any) -> dict[str, Any]:
    first_choice = {"index": 0, "finish_reason": "stop", **choice}
    return {"id": "1", "object": kind, "created": 1, "model": "m", "choices": [first_choice], "usage": USAGE}


def say(text: str | None, choice: dict[str, Any] | None = None, *, sees: bool = True, **message: Any) -> Fault:
    """A reply in the requested form: chat or text completion, whole or streamed, or a message of Anthropic's API.
    ``choice`` and ``message`` hold fields that some servers add; a server with ``sees=False`` silently drops images."""

    async def answer(request: web.Request) -> web.StreamResponse:
        fields = json.loads(await request.read())
        if request.path.endswith("/messages"):
            return await anthropic_server.reply(anthropic_server.text(text or ""))(request)
        if fields.get("stream"):
            return await _stream(request, text, choice or {}, message)
        if "prompt" in fields:
            return web.json_response(completion("text_completion", text=text, **(choice or {})))
        reply = {"role": "assistant", "content": text, **message}
        result = completion("chat.completion", message=reply, **(choice or {}))
        images = json.dumps(fields).count('"image_url": {') if sees else 0
        result["usage"] = {**USAGE, "prompt_tokens": 7 + 1000 * images}
        return web.json_response(result)

    return answer


async def _stream(
    request: web.Request, text: str | None, choice: dict[str, Any], message: dict[str, Any]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    is_chat = request.path.endswith("/chat/completions")
    pieces = [{name: part} for name, value in message.items() for part in re.findall(".{1,3}", value, re.DOTALL)]
    pieces += [{"content": part} for part in re.findall(".{1,3}", text or "", re.DOTALL)]
    for piece in pieces:
        fields: dict[str, Any] = {"delta": piece} if is_chat else {"text": piece["content"]}
        await _send(response, {**completion("chunk", **fields, finish_reason=None), "usage": None})
    end: dict[str, Any] = {"delta": {}} if is_chat else {"text": ""}
    await _send(response, {**completion("chunk", **end, **choice), "usage": None})
    await _send(response, {**completion("chunk"), "choices": []})
    await response.write(b"data: [DONE]\n\n")
    return response


def call_tool(name: str, arguments: str, choice: dict[str, Any] | None = None, content: str | None = None) -> Fault:
    """A call of a tool, whole or in pieces of three characters, in the form in which it is requested."""

    async def answer(request: web.Request) -> web.StreamResponse:
        end = {"finish_reason": "tool_calls", **(choice or {})}
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
        if not json.loads(await request.read()).get("stream"):
            reply = {"role": "assistant", "content": content, "tool_calls": [call]}
            return web.json_response(completion("chat.completion", message=reply, **end))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        start = {**call, "function": {"name": name, "arguments": ""}}
        deltas: list[dict[str, Any]] = [{"content": content}, {"tool_calls": [start]}]
        parts = re.findall(".{1,3}", arguments, re.DOTALL)
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in parts]
        for delta in deltas:
            await _send(response, {**completion("chunk", delta=delta, finish_reason=None), "usage": None})
        await _send(response, completion("chunk", delta={}, **end))
        await response.write(b"data: [DONE]\n\n")
        return response

    return answer


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


def status(code: int, message: str = "no", **headers: str) -> Fault:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"error": {"message": message}}, status=code, headers=headers)

    return answer


def detail(code: int, message: str) -> Fault:
    """An error in the form of FastAPI, which vLLM, SGLang and ``transformers serve`` are built with."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"detail": message}, status=code)

    return answer


def body(data: bytes, content_type: str = "application/json") -> Fault:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=data, headers={"Content-Type": content_type})

    return answer


def as_json(value: object, code: int = 200) -> Fault:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(value, status=code)

    return answer


def events(*chunks: Mapping[str, Any], content_type: str = "text/event-stream") -> Fault:
    """A reply of server-sent events, whatever was asked for."""
    data = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return body(data.encode(), content_type)


async def drop_mid_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "5000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"id": "1", "choices": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


class Server:
    """Answers each request with the next of its answers, the last one repeatedly, and keeps the requests."""

    def __init__(self, *answers: Fault) -> None:
        self.answers = list(answers)
        self.models: list[dict[str, Any]] | None = None
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.max_concurrency = 0
        self._in_flight = 0

    async def list_models(self, _: web.Request) -> web.Response:
        if self.models is None:
            return web.json_response({"error": {"message": "no"}}, status=404)
        return web.json_response({"object": "list", "data": self.models})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(json.loads(await request.read()))
        self.keys.append(request.headers.get("Authorization", ""))
        self.headers.append(request.headers)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        self._in_flight += 1
        self.max_concurrency = max(self.max_concurrency, self._in_flight)
        try:
            response: web.StreamResponse = await answer(request)
        finally:
            self._in_flight -= 1
        return response


@contextmanager
def serving(*answers: Fault, models: list[dict[str, Any]] | None = None) -> Iterator[tuple[str, Server]]:
    """Serve on a free port of this machine; yields the base URL and the server. ``models`` is what it lists; a server
    without them lists nothing."""
    server = Server(*answers)
    server.models = models
    ready = threading.Event()
    stop = asyncio.Event()
    address: dict[str, Any] = {}

    async def run() -> None:
        app = web.Application(client_max_size=200_000_000)
        app.router.add_post("/v1/chat/completions", server.handle)
        app.router.add_post("/v1/completions", server.handle)
        app.router.add_post("/v1/messages", server.handle)
        app.router.add_get("/v1/models", server.list_models)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address["url"] = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        address["loop"] = asyncio.get_running_loop()
        ready.set()
        await stop.wait()
        await asyncio.sleep(0.02)  # a connection that is being accepted would outlive the server
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield address["url"], server
    finally:
        address["loop"].call_soon_threadsafe(stop.set)
        thread.join(10)
