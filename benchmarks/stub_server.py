"""A chat completions server that answers after a fixed time, in a process of its own so that its work is not
counted as the client's. Prints its address: ``stub_server.py LATENCY_MS``.

The model ``m`` talks and answers in its third turn. ``master`` looks, relocates and answers; ``grounding``
names the sixth clip it is told of, and the seventh where some were visited; ``vision`` sees a lantern.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from aiohttp import web

TALK, ANSWER = "<think>not yet</think> hm", "<answer>a0</answer>"
LOOK, RELOCATE = "<visual_query>what is held?</visual_query>", "<request_grounding>the lantern</request_grounding>"
SIGHTING = "12.0 s: a lantern"
_MODEL = re.compile(rb'"model":\s*"(\w+)"')
_LABEL = re.compile(rb"\[(s\d+e\d+_seg\d+_clip_\d+)\]")


def reply(text: str, pictures: int) -> bytes:
    """A completion of an ordinary server's length."""
    message = {"role": "assistant", "content": text, "refusal": None}
    chosen = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    prompt = 700 + 1000 * pictures
    used = {"prompt_tokens": prompt, "completion_tokens": 9, "total_tokens": prompt + 9}
    told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [chosen], "usage": used}
    return json.dumps(told).encode()


def said(body: bytes) -> str:
    """What the model that is asked says to these messages."""
    found = _MODEL.search(body)
    model, turns = found[1] if found else b"m", body.count(b'"role":')
    if model == b"grounding":
        labels = _LABEL.findall(body)
        return f"<clip>{labels[6 if b'have been visited' in body else 5].decode()}</clip> it is there"
    if model == b"vision":
        return SIGHTING
    if turns >= 5:
        return ANSWER
    return TALK if model == b"m" else LOOK if turns == 1 else RELOCATE


async def serve(latency_s: float) -> None:
    """Answer for ever."""

    async def complete(request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(latency_s)
        return web.Response(body=reply(said(body), body.count(b'"type":"image_url"')), content_type="application/json")

    app = web.Application(client_max_size=50_000_000)
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000))
