"""The page's server, running in a thread of the tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import uvicorn
from starlette.types import ASGIApp

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.server.app import create_app
from longvideoagent.server.connections import LimitedProtocol
from longvideoagent.server.server import listen, open_library

TIMEOUT_S = 300
"""Only reached by a failing test, however busy the machine is."""
T = TypeVar("T")


class Event(NamedTuple):
    """A server-sent event."""

    name: str
    data: Any


@dataclass
class RunningServer:
    """A running server and a client of it."""

    url: str
    client: httpx.Client

    def get(self, path: str, **kwargs: Any) -> Any:
        """The JSON at a path. Asserts that the request succeeds."""
        response = self.client.get(path, **kwargs)
        assert response.status_code == 200, (path, response.status_code, response.text)
        return response.json()

    def video(self, name: str) -> str:
        """A video's id."""
        return next(str(video["id"]) for video in self.get("/api/videos")["videos"] if video["name"] == name)

    def timeline(self, video_id: str) -> dict[str, Any]:
        """A video's timeline, when it is ready."""
        path = f"/api/videos/{video_id}/timeline"
        response = self.until(lambda: self.client.get(path), lambda response: response.status_code != 202)
        assert response.status_code == 200, response.text
        timeline: dict[str, Any] = response.json()
        return timeline

    def ask(self, video_id: str, question: str, **fields: Any) -> str:
        """Submit a job; its id."""
        response = self.client.post("/api/jobs", json={"video_id": video_id, "question": question, **fields})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def ended(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has ended; the job."""
        job: dict[str, Any] = self.until(
            lambda: self.get(f"/api/jobs/{job_id}"), lambda job: job["state"] not in ("queued", "running")
        )
        return job

    def events(self, job_id: str) -> list[Event]:
        """All server-sent events of a job until its end."""
        with self.client.stream("GET", f"/api/jobs/{job_id}/events", timeout=TIMEOUT_S) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line.partition(": ")[::2] for line in response.iter_lines() if line and not line.startswith(":")]
        names = [value for name, value in lines if name == "event"]
        data = [json.loads(value) for name, value in lines if name == "data"]
        return [Event(*pair) for pair in zip(names, data, strict=True)]

    def until(self, request: Callable[[], T], is_done: Callable[[T], object]) -> T:
        """Repeat a request until its result is as wanted; the result."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not is_done(result := request()):
            assert time.monotonic() < deadline_s, result
            time.sleep(0.05)
        return result


@contextmanager
def running(app: ASGIApp) -> Iterator[RunningServer]:
    """The application behind a real server on a free port of this machine."""
    listener = listen("127.0.0.1", 0, None, warn=lambda _: None)
    config = uvicorn.Config(app, http=LimitedProtocol, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            yield RunningServer(url, client)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)
        listener.close()


@contextmanager
def serving(
    library: Path, teams: Mapping[str, Team] | None = None, *, encoding: str | None = None, **kwargs: Any
) -> Iterator[RunningServer]:
    """A server of a library with subtitle files in ``encoding``; ``kwargs`` are those of ``create_app``."""
    app = create_app(open_library(library, None, encoding), teams or {"offline": load_team()}, **kwargs)
    with running(app) as server:
        yield server
