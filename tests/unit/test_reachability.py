"""Which servers run on this machine, by what they list."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from longvideoagent.models.backends import BACKENDS, Backend
from longvideoagent.models.reachability import find_local_servers

OLLAMA = next(row for row in BACKENDS if row.prefix == "ollama")


@contextmanager
def listing(body: bytes, status: int = 200, location: str = "") -> Iterator[Backend]:
    """A server with this list of models, or that redirects to a location, as the row of a back end."""
    paths = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            assert "Authorization" not in self.headers
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield replace(OLLAMA, default_url=f"http://127.0.0.1:{server.server_port}/v1")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert set(paths) <= {"/v1/models"}


def test_server_with_models() -> None:
    with listing(b'{"object": "list", "data": [{"id": "qwen2.5vl:7b"}, {"id": "qwen3\\n"}, {"name": "x"}, 3]}') as row:
        (found,) = find_local_servers([row])
    assert (found.row, found.model_names) == (row, ["qwen2.5vl:7b", "qwen3"])


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"<html>Jenkins</html>", 200), (b"", 500), (b'{"data": null}', 200), (b"[1]", 200), (b"[" * 10_000, 200)],
)
def test_another_program_at_the_port(body: bytes, status: int) -> None:
    with listing(body, status) as row:
        (found,) = find_local_servers([row])
    assert found.model_names == []


def test_redirect_not_followed() -> None:
    with listing(b'{"data": [{"id": "m"}]}') as other, listing(b"", 302, f"{other.default_url}/models") as row:
        (found,) = find_local_servers([row])
    assert found.model_names == []


def test_nothing_runs() -> None:
    unused = replace(OLLAMA, default_url="http://127.0.0.1:9/v1")  # the port of the discard service
    provider = next(row for row in BACKENDS if row.prefix == "openai")
    assert find_local_servers([unused, provider]) == []
