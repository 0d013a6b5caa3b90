"""A chat completions server that answers every request alike after a fixed time, in a process of its own so
that its work is not counted as the client's. Prints its address: ``stub_server.py LATENCY_MS``."""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web

REPLIES = ("<think>not yet</think> hm", "<answer>a0</answer>")


def reply(text: str) -> bytes:
    """A completion of an ordinary server's length."""
    message = {"role": "assistant", "content": text, "refusal": None}
    chosen = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    used = {"prompt_tokens": 700, "completion_tokens": 9, "total_tokens": 709}
    told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [chosen], "usage": used}
    return json.dumps(told).encode()


async def serve(latency_s: float) -> None:
    """Answer for ever: the third turn of a chat with the answer, those before it with talk."""
    talk, answer = (reply(text) for text in REPLIES)

    async def complete(request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(latency_s)
        said = answer if body.count(b'"role":') >= 5 else talk
        return web.Response(body=said, content_type="application/json")

    app = web.Application(client_max_size=50_000_000)
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000))
