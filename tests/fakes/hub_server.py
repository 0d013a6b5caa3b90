"""A real HTTP server on this machine that speaks as much of the Hugging Face hub's protocol as fetching a data
set takes. It can break off in the middle of a file once."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiohttp import web

COMMIT = "0" * 39 + "1"


class Hub:
    """Serves the files of one data set; ``asked`` holds what was fetched, with its range."""

    def __init__(self, repository: str, files: Mapping[str, bytes], breaks_off_in: str = "") -> None:
        self.repository, self.files, self.breaks_off_in = repository, dict(files), breaks_off_in
        self.spoils, self.invalid_fields = "", b""
        """A file that is given with other bytes, as many of them."""
        self.asked: list[tuple[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith(f"/api/datasets/{self.repository}/tree"):
            return web.json_response([self._entry(name) for name in self.files])
        if path.startswith(f"/api/datasets/{self.repository}"):
            siblings = [{"rfilename": name} for name in self.files]
            return web.json_response({"id": self.repository, "sha": COMMIT, "siblings": siblings, "private": False})
        head = f"/datasets/{self.repository}/resolve/{COMMIT}/"
        if path.startswith(head) and path.removeprefix(head) in self.files:
            return await self._give(request, path.removeprefix(head))
        return web.json_response(
            {"error": "Repository not found"}, status=404, headers={"X-Error-Code": "RepoNotFound"}
        )

    def _entry(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        told = {"type": "file", "path": name, "size": len(data), "oid": self._etag(name)}
        if name.endswith(".bin"):
            told["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return told

    def _etag(self, name: str) -> str:
        return hashlib.sha1(f"blob {len(self.files[name])}\0".encode() + self.files[name]).hexdigest()

    async def _give(self, request: web.Request, name: str) -> web.StreamResponse:
        data = self.invalid_fields if name == self.spoils and self.invalid_fields else self.files[name]
        headers = {"ETag": f'"{self._etag(name)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(data))})
        wanted = request.headers.get("Range", "")
        self.asked.append((name, wanted))
        start = int(wanted.removeprefix("bytes=").partition("-")[0] or 0) if wanted else 0
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(data) - start
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        if name == self.breaks_off_in:
            self.breaks_off_in = ""
            await response.write(data[start : start + len(data) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(data[start:])
        return response


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Serve on a free port of this machine; gives the endpoint."""
    ready, stop = threading.Event(), asyncio.Event()
    place: dict[str, Any] = {}

    async def run() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", hub.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        place["url"], place["loop"] = f"http://127.0.0.1:{runner.addresses[0][1]}", asyncio.get_running_loop()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield place["url"]
    finally:
        place["loop"].call_soon_threadsafe(stop.set)
        thread.join(10)
