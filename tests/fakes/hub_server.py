"""A local HTTP server with the part of the Hugging Face hub's protocol that downloads a data set. It can close the
connection in the middle of a file once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiohttp import web

COMMIT = "0" * 39 + "1"


class Hub:
    """Serves the files of one data set; ``requests`` lists the downloaded files with their range headers."""

    def __init__(self, repository: str, files: Mapping[str, bytes], interrupts: str = "", tree: str = "") -> None:
        self.repository, self.files, self.interrupts = repository, dict(files), interrupts
        self.tree = tree
        """Sent as the list of files, instead of the true one."""
        self.corrupt_name, self.corrupt_data = "", b""
        """A file that is sent with other bytes of the same length."""
        self.requests: list[tuple[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith(f"/api/datasets/{self.repository}/tree"):
            entries = json.dumps([self._entry(name) for name in self.files])
            return web.json_response(text=self.tree or entries)
        if path.startswith(f"/api/datasets/{self.repository}"):
            siblings = [{"rfilename": name} for name in self.files]
            return web.json_response({"id": self.repository, "sha": COMMIT, "siblings": siblings, "private": False})
        head = f"/datasets/{self.repository}/resolve/{COMMIT}/"
        if path.startswith(head) and path.removeprefix(head) in self.files:
            return await self._send_file(request, path.removeprefix(head))
        return web.json_response(
            {"error": "Repository not found"}, status=404, headers={"X-Error-Code": "RepoNotFound"}
        )

    def _entry(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        entry = {"type": "file", "path": name, "size": len(data), "oid": self._etag(name)}
        if name.endswith((".bin", ".tar", ".gz")):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def _etag(self, name: str) -> str:
        return hashlib.sha1(f"blob {len(self.files[name])}\0".encode() + self.files[name]).hexdigest()

    async def _send_file(self, request: web.Request, name: str) -> web.StreamResponse:
        data = self.corrupt_data if name == self.corrupt_name and self.corrupt_data else self.files[name]
        headers = {"ETag": f'"{self._etag(name)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(data))})
        range_header = request.headers.get("Range", "")
        self.requests.append((name, range_header))
        start = int(range_header.removeprefix("bytes=").partition("-")[0] or 0) if range_header else 0
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(data) - start
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        if name == self.interrupts:
            self.interrupts = ""
            await response.write(data[start : start + len(data) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(data[start:])
        return response


@contextmanager
def serve(hub: Hub) -> Iterator[str]:
    """Serve on a free local port; yields the endpoint."""
    ready, stop = threading.Event(), asyncio.Event()
    server: dict[str, Any] = {}

    async def run() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", hub.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server["url"], server["loop"] = f"http://127.0.0.1:{runner.addresses[0][1]}", asyncio.get_running_loop()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server["url"]
    finally:
        server["loop"].call_soon_threadsafe(stop.set)
        thread.join(10)
