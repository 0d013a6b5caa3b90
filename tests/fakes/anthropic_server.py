"""Replies in Anthropic's messages API, in the shapes of its public reference, for ``faulty_server.serving``."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKENS_PER_IMAGE = 1000
USAGE = {"input_tokens": 7, "output_tokens": 3}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def thinking(value: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": value, "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}


def tool_use(name: str, **arguments: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_01D7FLrfh4GYq7yT1ULFeyMV", "name": name, "input": arguments}


def message(*blocks: dict[str, Any], stop_reason: str = "end_turn", **fields: Any) -> dict[str, Any]:
    """A whole message; a call ends it unless a stop reason is given."""
    is_call = any(block["type"] == "tool_use" for block in blocks)
    stop_reason = "tool_use" if is_call and stop_reason == "end_turn" else stop_reason
    head = {"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": "m"}
    end = {"stop_reason": stop_reason, "stop_sequence": None, "usage": USAGE}
    return {**head, "content": list(blocks), **end, **fields}


def reply(*blocks: dict[str, Any], stop_reason: str = "end_turn", **fields: Any) -> Answer:
    """A message, whole or streamed, as it is requested; images of the request count as prompt tokens."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        whole = message(*blocks, stop_reason=stop_reason, **fields)
        images = body.count(b'"media_type":"image/jpeg"')
        whole["usage"] = {**whole["usage"], "input_tokens": whole["usage"]["input_tokens"] + TOKENS_PER_IMAGE * images}
        return await send(request, whole) if json.loads(body).get("stream") else web.json_response(whole)

    return answer


def error(code: int, kind: str, detail: str, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        body = {
            "type": "error",
            "error": {"type": kind, "message": detail},
            "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
        }
        return web.json_response(body, status=code, headers={name.replace("_", "-"): v for name, v in headers.items()})

    return answer


def events_of(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a streamed message, its texts in pieces of three characters."""
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        field = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}[block["type"]]
        kind = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}[block["type"]]
        empty = {**block, "input": {}} if block["type"] == "tool_use" else {**block, field: ""}
        value = json.dumps(block["input"]) if block["type"] == "tool_use" else block[field]
        yield {"type": "content_block_start", "index": index, "content_block": {**empty, "signature": ""}}
        for piece in re.findall(".{1,3}", value, re.DOTALL):
            yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}}
        if "signature" in block:
            delta = {"type": "signature_delta", "signature": block["signature"]}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {name: whole.get(name) for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": whole["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


async def send(request: web.Request, whole: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for event in events_of(whole):
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    return response


def send_events(*events: dict[str, Any]) -> Answer:
    """A stream of these events, whatever was asked for."""

    async def answer(_: web.Request) -> web.Response:
        data = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return web.Response(body=data.encode(), headers={"Content-Type": "text/event-stream; charset=utf-8"})

    return answer


class PromptCache:
    """The prompt cache of the API: an entry ends at a mark, holds all before it, and is read if a later request repeats
    it to a block's end. A character counts as a token."""

    def __init__(self) -> None:
        self.entries: set[str] = set()
        self.usages: list[dict[str, int]] = []

    def reply(self, *blocks: dict[str, Any], **fields: Any) -> Answer:
        """A message whose usage says what was read and written."""

        async def answer(request: web.Request) -> web.StreamResponse:
            usage = self._usage(json.loads(await request.read()))
            self.usages.append(usage)
            return await reply(*blocks, usage=usage, **fields)(request)

        return answer

    def _usage(self, body: dict[str, Any]) -> dict[str, int]:
        blocks = [{"output_config": body.get("output_config"), "tool_choice": body.get("tool_choice")}]
        blocks += body.get("tools", [])
        blocks += [{"role": each["role"], **block} for each in body["messages"] for block in each["content"]]
        prompt, read, marked = "", 0, 0
        for block in blocks:
            plain = {name: value for name, value in block.items() if name != "cache_control"}
            prompt += json.dumps(plain)
            read = len(prompt) if prompt in self.entries else read
            if "cache_control" in block:
                assert block["cache_control"] == {"type": "ephemeral"}
                self.entries.add(prompt)
                marked = len(prompt)
        assert sum("cache_control" in block for block in blocks) <= 4
        written = max(0, marked - read)
        return {
            "input_tokens": len(prompt) - read - written,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "output_tokens": 3,
        }
