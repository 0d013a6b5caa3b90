"""Who may ask the server, and what it lets a browser do."""

from __future__ import annotations

import re
import socket
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
from tests.plugins.cli import lva
from tests.plugins.hostile import HOSTILE
from tests.plugins.web_server import running, serving

TOKEN = "correct horse battery"


def test_another_name_than_the_loopback_is_not_answered_to(tmp_path: Path) -> None:
    with serving(tmp_path) as app_state:
        port = app_state.url.rpartition(":")[2]
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "localhost"):
            assert app_state.client.get("/api/health", headers={"Host": host}).status_code == 200, host
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "[",
        ):
            told = app_state.client.get("/api/health", headers={"Host": host})
            assert told.status_code in (400, 403), host
            assert "version" not in told.text


def test_another_site_can_ask_nothing_and_change_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as app_state:
        asked = {"video_id": "x", "question": "y"}
        for site in ("cross-site", "same-site"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
            assert app_state.client.get("/api/videos", headers=headers).status_code == 403
            assert app_state.client.post("/api/jobs", json=asked, headers=headers).status_code == 403
        for origin in ("http://evil.example", "http://[", "null", app_state.url.replace("http:", "ftp:") + "1"):
            for path in ("/api/jobs", "/api/videos?name=a.mp4", "/api/jobs/0/stop"):
                assert app_state.client.post(path, headers={"Origin": origin}, content=b"{}").status_code == 403, origin
        own = {"Origin": app_state.url, "Sec-Fetch-Site": "same-origin"}
        assert (
            app_state.client.post("/api/jobs", json=asked, headers=own).status_code == 404
        )  # asked, and no such video
        form = app_state.client.post(
            "/api/jobs", content=b'{"video_id":"x","question":"y"}', headers={"Content-Type": "text/plain"}
        )
        assert form.status_code == 422  # what a form of another site could send is no question
        visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert app_state.client.get("/", headers=visit).status_code == 200  # a link to the page


def test_with_a_token_nobody_gets_anything_without_it(tmp_path: Path) -> None:
    cookie = AccessMiddleware(FastAPI(), TOKEN).cookie
    with serving(tmp_path, token=TOKEN) as app_state:
        for path in ("/", "/api/health", "/api/videos", "/static/style.css", "/api/openapi.json", "/nothing"):
            told = app_state.client.get(path)
            assert (told.status_code, "token" in told.json()["detail"]) == (401, True), path
        for headers in (
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": f"{cookie}={TOKEN}"},
            {"Cookie": f"{cookie}="},
            {"Cookie": "=;;{"},
        ):
            assert app_state.client.get("/api/health", headers=headers).status_code == 401, headers
        assert app_state.client.get("/", params={"token": TOKEN + "x"}).status_code == 401
        assert app_state.client.get("/api/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        welcome = app_state.client.get("/", params={"token": TOKEN})
        assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
        set_cookie = welcome.headers["set-cookie"].lower()
        assert "httponly" in set_cookie
        assert "samesite=strict" in set_cookie
        assert TOKEN not in set_cookie
        assert app_state.client.get("/api/health").status_code == 200  # the client keeps the cookie
        kept = app_state.client.cookies[cookie]
        beside = {"Cookie": f'theme={{"a":1}}; x=a b; {cookie}={kept}'}
        assert httpx.get(f"{app_state.url}/api/health", headers=beside).status_code == 200
        form = httpx.get(app_state.url, headers={"Accept": "text/html"})
        assert (form.status_code, 'name="token"' in form.text) == (401, True)
        renamed = app_state.client.get("/api/health", headers={"Host": "videos.example"})
        assert renamed.status_code == 200  # under any name, since the token is asked for


def test_the_page_may_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    with serving(tmp_path) as app_state:
        for path in ("/", "/api/docs", "/api/health", "/static/style.css", "/nothing"):
            headers = app_state.client.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"], path
            assert "script-src 'self'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
        docs = app_state.client.get("/api/docs").text
    files = {path.name: path.read_text() for path in STATIC.iterdir()}
    for name, text in (*files.items(), ("docs", docs)):
        addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, name
        assert "innerHTML" not in text or name == "docs", name
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", files["index.html"])


def test_hostile_names_come_back_as_text(tmp_path: Path, short_video: Path) -> None:
    name = HOSTILE.replace("/", "").replace('"', "'") + ".mp4"
    (tmp_path / name).write_bytes(short_video.read_bytes())
    with serving(tmp_path) as app_state:
        told = app_state.client.get("/api/videos")
        assert told.headers["content-type"] == "application/json"
        assert told.json()["videos"][0]["name"] == name
        video = app_state.video(name)
        assert app_state.client.get(f"/api/videos/{video}/file").headers["content-type"] == "video/mp4"
        ended = app_state.ended(app_state.ask(video, HOSTILE, options=[HOSTILE, "b"]))
        assert ended["question"] == HOSTILE
        page = app_state.client.get(f"/api/jobs/{ended['id']}/page").text
        assert "<script>" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize(
    ("host", "token", "told"),
    [
        ("0.0.0.0", None, "--token"),
        ("::", None, "--token"),
        ("192.0.2.1", None, "--token"),
        ("127.0.0.1", "short", "characters"),
        ("192.0.2.1", TOKEN, "cannot be listened on"),
    ],
)
def test_an_address_that_others_reach_needs_a_token(host: str, token: str | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        listen(host, 0, token, lambda _: None)


def test_who_listens_to_others_is_warned() -> None:
    said: list[str] = []
    listen("0.0.0.0", 0, TOKEN, said.append).close()
    assert "not encrypted" in said[0]


@given(st.one_of(st.text(max_size=40), st.ip_addresses().map(str)))
def test_only_this_machine_is_the_loopback(host: str) -> None:
    is_plain = host.lower().rstrip(".") == "localhost" or host.startswith("127.") or host == "::1"
    assert not is_loopback(host) or is_plain or host.startswith(("::ffff:", "0:", "::"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--library", "nowhere"], "nowhere: no such folder"),
        (["--host", "0.0.0.0"], "--token"),
        (["--team", "nobody"], "no team is called 'nobody'"),
        (["--port", "taken"], "Invalid value"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = lva("serve", *arguments, cwd=tmp_path)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = lva("serve", "--library", tmp_path, "--port", port)
    assert (done.returncode, "give another --port" in done.stderr) == (2, True), done.stderr


def test_what_the_description_says_holds(tmp_path: Path, short_video: Path) -> None:
    """Whatever is sent, the answer is one that the OpenAPI description names, and the server stays up."""
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    app = create_app(open_library(tmp_path, None), {"offline": load_team()}, max_upload_bytes=10_000)
    with running(app) as app_state:
        known = {"video": app_state.video("a.mp4"), "job": app_state.ask(app_state.video("a.mp4"), "What?")}
        app_state.ended(known["job"])
        schema = schemathesis.openapi.from_dict(app.openapi())
        for operation in schema.get_all_operations():
            told: Any = operation.ok()  # type: ignore[union-attr]

            @given(case=told.as_strategy(), is_known=st.booleans())
            @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
            def holds(case: Any, is_known: bool) -> None:
                if is_known:
                    case.path_parameters.update({k: v for k, v in known.items() if k in case.path_parameters})
                answer = case.call(base_url=app_state.url)
                assert answer.status_code < 500, (case.method, case.formatted_path, answer.text)
                if answer.status_code >= 400:
                    assert isinstance(answer.json()["detail"], str)
                else:
                    case.validate_response(answer)

            holds()
        assert httpx.get(f"{app_state.url}/api/health").status_code == 200
