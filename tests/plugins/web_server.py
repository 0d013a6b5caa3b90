"""The page's server, run for real in a thread of the tests."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.server.app import create_app
from longvideoagent.server.server import open_library

PATIENCE_S = 60


@dataclass
class AppState:
    """A client of a server that runs."""

    url: str
    client: httpx.Client

    def get(self, path: str, **given: Any) -> Any:
        """What the API tells, parsed. Asserts that it was asked well."""
        told = self.client.get(path, **given)
        assert told.status_code == 200, (path, told.status_code, told.text)
        return told.json()

    def video(self, name: str) -> str:
        """A video's id."""
        return next(str(each["id"]) for each in self.get("/api/videos")["videos"] if each["name"] == name)

    def timeline(self, video: str) -> dict[str, Any]:
        """A video's timeline, once it is ready."""
        path = f"/api/videos/{video}/timeline"
        told = self.until(lambda: self.client.get(path), lambda told: told.status_code != 202)
        assert told.status_code == 200, told.text
        timeline: dict[str, Any] = told.json()
        return timeline

    def ask(self, video: str, question: str, **more: Any) -> str:
        """Put a question; its id."""
        told = self.client.post("/api/jobs", json={"video_id": video, "question": question, **more})
        assert told.status_code == 201, told.text
        return str(told.json()["id"])

    def ended(self, ask: str) -> dict[str, Any]:
        """An ask once it has ended."""
        path = f"/api/jobs/{ask}"
        told: dict[str, Any] = self.until(
            lambda: self.get(path), lambda told: told["state"] not in ("queued", "running")
        )
        return told

    def events(self, ask: str) -> list[tuple[str, Any]]:
        """All server-sent events of an ask, to the end."""
        with self.client.stream("GET", f"/api/jobs/{ask}/events", timeout=PATIENCE_S) as told:
            assert told.headers["content-type"].startswith("text/event-stream")
            fields = [line.partition(": ")[::2] for line in told.iter_lines() if line and not line.startswith(":")]
        names = [value for name, value in fields if name == "event"]
        data = [json.loads(value) for name, value in fields if name == "data"]
        return list(zip(names, data, strict=True))

    def until(self, ask: Any, is_enough: Any) -> Any:
        """Ask again until it is enough."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_enough(told := ask()):
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        return told


@contextmanager
def running(app: ASGIApp) -> Iterator[AppState]:
    """The application behind a real server on a free port of this machine."""
    at = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
    thread.start()
    url = f"http://127.0.0.1:{at.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            yield AppState(url, client)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        at.close()


@contextmanager
def serving(library: Path, teams: Mapping[str, Team] | None = None, **given: Any) -> Iterator[AppState]:
    """A library served; ``given`` is told to the application."""
    app = create_app(open_library(library, None), teams or {"offline": load_team()}, **given)
    with running(app) as served:
        yield served
