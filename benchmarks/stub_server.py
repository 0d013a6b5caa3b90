"""A chat completions server with a fixed latency, in a process of its own so that its CPU time does not count as the
client's. Prints its URL: ``stub_server.py LATENCY_MS``.

The model ``m`` answers in its third turn, ``caller`` relocates before that: by tool calls if the request has tools.
``master`` looks, relocates and answers; ``grounding`` names the sixth clip
of its prompt, and the seventh if some were visited; ``vision`` reports a lantern.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from aiohttp import web

TALK, ANSWER = "<think>not yet</think> hm", "<answer>a0</answer>"
LOOK, RELOCATE = "<visual_query>what is held?</visual_query>", "<request_grounding>the lantern</request_grounding>"
TIMED_LINE = "12.0 s: a lantern"
_MODEL = re.compile(rb'"model":\s*"(\w+)"')
_LABEL = re.compile(rb"\[(s\d+e\d+_seg\d+_clip_\d+)\]")


CALLS = {
    RELOCATE: ("request_grounding", {"reason": "not yet", "request": "the lantern"}),
    ANSWER: ("answer", {"reason": "so", "text": "a0"}),
}


def completion(text: str, images: int, *, is_call: bool = False) -> bytes:
    """A completion as long as an ordinary server's."""
    message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None}
    if is_call:
        name, arguments = CALLS[text]
        function = {"name": name, "arguments": json.dumps(arguments)}
        message |= {"content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    prompt_tokens = 700 + 1000 * images
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 9, "total_tokens": prompt_tokens + 9}
    fields = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(fields).encode()


def reply_text(body: bytes) -> str:
    """The reply of the request's model to its messages."""
    match = _MODEL.search(body)
    model, turns = match[1] if match else b"m", body.count(b'"role":')
    if model == b"grounding":
        labels = _LABEL.findall(body)
        return f"<clip>{labels[6 if b'have been visited' in body else 5].decode()}</clip> it is there"
    if model == b"vision":
        return TIMED_LINE
    if turns >= 5:
        return ANSWER
    if model == b"caller":
        return RELOCATE
    return TALK if model == b"m" else LOOK if turns == 1 else RELOCATE


async def serve(latency_s: float) -> None:
    """Serve until the process ends."""

    async def complete(request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(latency_s)
        return web.Response(
            body=completion(reply_text(body), body.count(b'"type":"image_url"'), is_call=b'"tools":' in body),
            content_type="application/json",
        )

    app = web.Application(client_max_size=50_000_000)
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000))
