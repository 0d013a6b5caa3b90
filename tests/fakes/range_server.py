"""A local HTTP server of files that answers ranges, and can be as unreliable as servers are."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class RangeServer:
    """What is served, by path, and how. ``requests`` has the path and the range of each request."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self.break_after: list[int] = []
        """For each of the next requests, after how many bytes the connection is closed."""
        self.ignores_ranges = False
        self.has_no_length = False
        self.wrong_range = False
        """Whether parts begin elsewhere than they were asked for."""
        self.status = 0
        """Answered to all requests, instead of a file."""


@contextmanager
def serve_ranges(server: RangeServer) -> Iterator[RangeServer]:
    """Serve on a free local port, which ``server.url`` then has."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            server.requests.append((self.path, wanted))
            data = server.files.get(self.path)
            if server.status or data is None:
                self.send_error(server.status or 404)
                return
            match = re.fullmatch(r"bytes=(\d+)-", wanted)
            start = int(match[1]) if match and not server.ignores_ranges else 0
            if start >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                stated = start + server.wrong_range
                self.send_header("Content-Range", f"bytes {stated}-{len(data) - 1}/{len(data)}")
            if not server.has_no_length:
                self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            count = server.break_after.pop(0) if server.break_after else len(data)
            self.wfile.write(data[start : start + count])

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http_server.server_port}"
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http_server.shutdown()
        thread.join()
        http_server.server_close()
