"""Access control: host names, sites, tokens, and the headers that restrict a browser."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longvideoagent.agents.build import load_team
from longvideoagent.errors import UsageError
from longvideoagent.server.access import AccessMiddleware, is_loopback
from longvideoagent.server.app import create_app
from longvideoagent.server.routes.page import STATIC
from longvideoagent.server.server import listen, open_library
from longvideoagent.server.sessions import MAX_SESSIONS, Sessions, WrongTokens
from tests.plugins.cli import lva
from tests.plugins.hostile import HOSTILE
from tests.plugins.web_server import TIMEOUT_S, RunningServer, running, serving

TOKEN = "correct horse battery"


def test_host_name_not_loopback(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "localhost"):
            assert server.client.get("/api/health", headers={"Host": host}).status_code == 200, host
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "[",
        ):
            response = server.client.get("/api/health", headers={"Host": host})
            assert response.status_code in (400, 403), host
            assert "version" not in response.text


def test_cross_site_requests(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        body = {"video_id": "x", "question": "y"}
        for site in ("cross-site", "same-site"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
            assert server.client.get("/api/videos", headers=headers).status_code == 403
            assert server.client.post("/api/jobs", json=body, headers=headers).status_code == 403
        for origin in ("http://evil.example", "http://[", "null", server.url.replace("http:", "ftp:") + "1"):
            for path in ("/api/jobs", "/api/videos?name=a.mp4", "/api/jobs/0/stop"):
                assert server.client.post(path, headers={"Origin": origin}, content=b"{}").status_code == 403, origin
        own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
        assert server.client.post("/api/jobs", json=body, headers=own).status_code == 404  # allowed, but no such video
        form = server.client.post(
            "/api/jobs", content=b'{"video_id":"x","question":"y"}', headers={"Content-Type": "text/plain"}
        )
        assert form.status_code == 422  # a form of another site cannot send JSON
        visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert server.client.get("/", headers=visit).status_code == 200  # a link to the page


def test_token_required(tmp_path: Path) -> None:
    cookie = AccessMiddleware(FastAPI(), TOKEN).cookie
    with serving(tmp_path, token=TOKEN) as server:
        for path in ("/", "/api/health", "/api/videos", "/static/style.css", "/api/openapi.json", "/nothing"):
            response = server.client.get(path)
            assert (response.status_code, "token" in response.json()["detail"]) == (401, True), path
        for headers in (
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": f"{cookie}={TOKEN}"},
            {"Cookie": f"{cookie}="},
            {"Cookie": "=;;{"},
        ):
            assert server.client.get("/api/health", headers=headers).status_code == 401, headers
        assert server.client.get("/", params={"token": TOKEN + "x"}).status_code == 401
        assert server.client.get("/api/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        redirect = server.client.get("/", params={"token": TOKEN})
        assert (redirect.status_code, redirect.headers["location"]) == (303, "/")
        set_cookie = redirect.headers["set-cookie"].lower()
        assert "httponly" in set_cookie
        assert "samesite=strict" in set_cookie
        assert TOKEN not in set_cookie
        assert server.client.get("/api/health").status_code == 200  # the client keeps the cookie
        cookie_value = server.client.cookies[cookie]
        headers = {"Cookie": f'theme={{"a":1}}; x=a b; {cookie}={cookie_value}'}
        assert httpx.get(f"{server.url}/api/health", headers=headers).status_code == 200
        form = httpx.get(server.url, headers={"Accept": "text/html"})
        assert (form.status_code, 'name="token"' in form.text) == (401, True)
        renamed = server.client.get("/api/health", headers={"Host": "videos.example"})
        assert renamed.status_code == 200  # with a token, any host name is allowed


def test_token_session_random_and_forged(tmp_path: Path) -> None:
    with serving(tmp_path, token=TOKEN) as server:
        keys = set()
        for _ in range(2):
            redirect = httpx.get(server.url, params={"token": TOKEN})
            (cookie,) = redirect.cookies.jar
            keys.add(cookie.value)
            assert cookie.value
            assert httpx.get(f"{server.url}/api/health", cookies={cookie.name: cookie.value}).status_code == 200
            forged = {cookie.name: cookie.value[:-1] + ("A" if cookie.value[-1] != "A" else "B")}
            assert httpx.get(f"{server.url}/api/health", cookies=forged).status_code == 401
        assert len(keys) == 2


def test_sessions_bounded() -> None:
    sessions = Sessions()
    first = sessions.start()
    assert sessions.has(first)
    later = [sessions.start() for _ in range(MAX_SESSIONS)]
    assert not sessions.has(first)
    assert sessions.has(later[0])
    assert not sessions.has("")


def test_wrong_tokens_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer each time, whatever else the address presents at the same time; other addresses do not wait."""
    delays_s: list[float] = []

    async def sleep(seconds: float) -> None:
        delays_s.append(seconds)

    async def go() -> None:
        wrong_tokens = WrongTokens()
        for _ in range(7):
            assert not await wrong_tokens.check("192.0.2.1", is_right=False)
        assert await wrong_tokens.check("192.0.2.2", is_right=True)
        assert delays_s == [0.5, 1, 2, 4, 8, 10, 10]
        assert await wrong_tokens.check("192.0.2.1", is_right=True)
        assert not await wrong_tokens.check("192.0.2.1", is_right=False)
        assert delays_s[-1] == 0.5

    monkeypatch.setattr("longvideoagent.server.sessions.asyncio.sleep", sleep)
    asyncio.run(go())


def test_body_too_large(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    with serving(tmp_path) as server:
        for content in (b" " * 1_000_001, parts()):
            response = server.client.post("/api/jobs", content=content)
            assert (response.status_code, "larger than 1 MB" in response.json()["detail"]) == (413, True)
        response = server.client.post("/api/jobs", content=b" " * 999_999)
        assert response.status_code == 422
        upload = server.client.post("/api/videos", params={"name": "a.mp4"}, content=b"x" * 2_000_000)
        assert "not a readable video" in upload.json()["detail"]  # it was read to its end


def test_body_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longvideoagent.server.bodies.IDLE_TIMEOUT_S", 0.2)
    with serving(tmp_path) as server, connect(server) as client:
        client.sendall(b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_headers_never_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longvideoagent.server.connections.HEADERS_TIMEOUT_S", 0.5)
    with serving(tmp_path) as server:
        with connect(server) as client:
            client.sendall(b"GET /api/health HTTP/1.1\r\nHost: local")
            assert client.recv(100) == b""  # closed
        with connect(server) as client:  # the same after a complete request
            client.sendall(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api")
            received = b""
            while part := client.recv(1000):
                received += part
            assert received.startswith(b"HTTP/1.1 200")


def test_connections_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longvideoagent.server.connections.MAX_CONNECTIONS_PER_ADDRESS", 3)
    with serving(tmp_path) as server:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(connect(server)).sendall(b"GET")
            with connect(server) as refused:
                assert refused.recv(100).startswith(b"HTTP/1.1 503")

        def status() -> int:
            try:
                return httpx.get(f"{server.url}/api/health").status_code
            except httpx.ReadError:  # refused, and closed before all of the request was read
                return 0

        server.until(status, lambda code: code == 200)


def connect(server: RunningServer) -> socket.socket:
    """A plain connection to a server."""
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)


def test_security_headers(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for path in ("/", "/api/docs", "/api/health", "/static/style.css", "/nothing"):
            headers = server.client.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"], path
            assert "script-src 'self'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
        docs = server.client.get("/api/docs").text
    files = {path.name: path.read_text() for path in STATIC.iterdir()}
    for name, text in (*files.items(), ("docs", docs)):
        addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, name
        assert "innerHTML" not in text or name == "docs", name
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", files["index.html"])


def test_hostile_names(tmp_path: Path, short_video: Path) -> None:
    name = HOSTILE.replace("/", "").replace('"', "'") + ".mp4"
    (tmp_path / name).write_bytes(short_video.read_bytes())
    with serving(tmp_path) as server:
        response = server.client.get("/api/videos")
        assert response.headers["content-type"] == "application/json"
        assert response.json()["videos"][0]["name"] == name
        video = server.video(name)
        assert server.client.get(f"/api/videos/{video}/file").headers["content-type"] == "video/mp4"
        ended = server.ended(server.ask(video, HOSTILE, options=[HOSTILE, "b"]))
        assert ended["question"] == HOSTILE
        page = server.client.get(f"/api/jobs/{ended['id']}/page").text
        assert "<script>" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize(
    ("host", "token", "message"),
    [
        ("0.0.0.0", None, "--token"),
        ("::", None, "--token"),
        ("192.0.2.1", None, "--token"),
        ("127.0.0.1", "short", "characters or more"),
        ("192.0.2.1", TOKEN, "cannot be listened on"),
    ],
)
def test_listen_refused(host: str, token: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        listen(host, 0, token, lambda _: None)


def test_listen_warning() -> None:
    warnings: list[str] = []
    listen("0.0.0.0", 0, TOKEN, warnings.append).close()
    assert "without encryption" in warnings[0]


@given(st.one_of(st.text(max_size=40), st.ip_addresses().map(str)))
def test_is_loopback_any_text(host: str) -> None:
    is_plain = host.lower().rstrip(".") == "localhost" or host.startswith("127.") or host == "::1"
    assert not is_loopback(host) or is_plain or host.startswith(("::ffff:", "0:", "::"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--library", "nowhere"], "nowhere: not a folder"),
        (["--host", "0.0.0.0"], "--token"),
        (["--team", "nobody"], "no team is called 'nobody'"),
        (["--port", "taken"], "Invalid value"),
    ],
)
def test_serve_refused(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = lva("serve", *arguments, cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_serve_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = lva("serve", "--library", tmp_path, "--port", port)
    assert (done.returncode, "give another --port" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("num_examples", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_openapi_description_holds(num_examples: int, tmp_path: Path, short_video: Path) -> None:
    """For any request, the response is one that the OpenAPI description names, and the server stays up."""
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    app = create_app(open_library(tmp_path, None), {"offline": load_team()}, max_upload_bytes=10_000)
    with running(app) as server:
        known = {"video": server.video("a.mp4"), "job": server.ask(server.video("a.mp4"), "What?")}
        server.ended(known["job"])
        schema = schemathesis.openapi.from_dict(app.openapi())
        for operation in schema.get_all_operations():
            tested: Any = operation.ok()  # type: ignore[union-attr]

            @given(case=tested.as_strategy(), is_known=st.booleans())
            @settings(max_examples=num_examples, deadline=None, suppress_health_check=list(HealthCheck))
            def holds(case: Any, is_known: bool) -> None:
                if is_known:
                    case.path_parameters.update({k: v for k, v in known.items() if k in case.path_parameters})
                response = case.call(base_url=server.url)
                assert response.status_code < 500, (case.method, case.formatted_path, response.text)
                if response.status_code >= 400:
                    assert isinstance(response.json()["detail"], str)
                else:
                    case.validate_response(response)

            holds()
        assert httpx.get(f"{server.url}/api/health").status_code == 200
