"""The agents as an assistant's tools, asked by the protocol's own client."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.server.mcp import create_server, http_app
from longvideoagent.server.server import open_library
from tests.plugins.cli import LVA
from tests.plugins.web_jobs import LINES, BrokenVision
from tests.plugins.web_server import running

Do = Callable[[Client], Coroutine[Any, Any, None]]


def within(library: Path, do: Do, team: Team | None = None) -> None:
    """Ask a server in this process."""

    async def go() -> None:
        async with Client(create_server(open_library(library, None), team or load_team())) as client:
            await do(client)

    asyncio.run(go())


async def call(client: Client, tool: str, **given: Any) -> Any:
    """What a tool returns, as values."""
    told = await client.call_tool(tool, given)
    assert not told.is_error, told.content
    return told.structured_content["result"] if "result" in (told.structured_content or {}) else told.structured_content


async def fault(client: Client, tool: str, **given: Any) -> str:
    """What a tool says where it cannot."""
    told = await client.call_tool(tool, given)
    assert told.is_error
    (said,) = told.content
    assert isinstance(said, TextContent)
    return said.text


def test_the_tools_are_told_with_what_they_take(library: Path) -> None:
    async def do(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"ask_video", "locate", "look", "list_videos", "transcript"}
        assert all(tool.description for tool in tools.values())
        assert set(tools["ask_video"].input_schema["required"]) == {"video", "question"}
        assert "ctx" not in tools["ask_video"].input_schema["properties"]

    within(library, do)


def test_a_question_is_answered_with_evidence_and_progress(library: Path) -> None:
    told: list[float] = []

    async def on_text(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001
        told.append(progress)

    async def do(client: Client) -> None:
        (video,) = await call(client, "list_videos")
        assert video["name"] == "a.mp4"
        given = {"video": "a.mp4", "question": "Where is the kettle?", "options": ["in the lake", "on the roof"]}
        answer = (await client.call_tool("ask_video", given, progress_callback=on_text)).structured_content
        assert answer is not None
        assert (answer["answer"], answer["outcome"], answer["option"]) == ("on the roof", "answered", "a1")
        assert answer["evidence"][0]["text"] == LINES[0]
        assert told == sorted(told)
        assert told

    within(library, do)


def test_the_parts_can_be_asked_alone(library: Path) -> None:
    async def do(client: Client) -> None:
        found = await call(client, "locate", video="a.mp4", request="Who says that the lamp is torn?")
        assert any("lamp" in line["text"] for line in found["lines"])
        assert 0 <= found["start_s"] < found["end_s"] <= 10.1
        text = await call(client, "transcript", video="a.mp4", start_s=2.5, end_s=5)
        assert LINES[1] in text
        assert LINES[0] not in text
        assert "no lines between 9 and" in await call(client, "transcript", video="a.mp4", start_s=9)
        seen = await call(client, "look", video="a.mp4", start_s=1, end_s=4, query="the wall")
        assert seen["text"]
        assert all(1 <= each["time_s"] <= 4 for each in seen["evidence"])

    within(library, do)


@pytest.mark.parametrize(
    ("tool", "given", "told"),
    [
        ("transcript", {"video": "b.mp4"}, "no such video in the library; it holds: a.mp4"),
        ("transcript", {"video": "../a.mp4"}, "no such video"),
        ("ask_video", {"video": "a.mp4", "question": " "}, "the question is empty"),
        ("ask_video", {"video": "a.mp4", "question": "x", "max_rounds": 0}, "max_rounds"),
        ("look", {"video": "a.mp4", "start_s": 5, "end_s": 5, "query": "x"}, "no span of this video"),
        ("look", {"video": "a.mp4", "start_s": 50, "end_s": 60, "query": "x"}, "no span of this video"),
        ("look", {"video": "a.mp4", "start_s": 0, "end_s": 9e9, "query": "x"}, "too long to be looked at"),
        ("look", {"video": "a.mp4", "start_s": -1, "end_s": 5, "query": "x"}, "start_s"),
    ],
)
def test_what_cannot_be_is_told_in_words(tool: str, given: dict[str, Any], told: str, library: Path) -> None:
    async def do(client: Client) -> None:
        assert told in await fault(client, tool, **given)

    within(library, do)


def test_an_outage_is_no_answer(library: Path) -> None:
    async def do(client: Client) -> None:
        assert "does not answer" in await fault(client, "look", video="a.mp4", start_s=1, end_s=4, query="x")

    within(library, do, replace(load_team(), vision=BrokenVision()))


def test_it_speaks_over_standard_input_and_output(library: Path) -> None:
    async def go() -> None:
        server = StdioServerParameters(command=str(LVA), args=["mcp", "--library", str(library)], env=dict(os.environ))
        async with Client(server) as client:
            assert LINES[2] in await call(client, "transcript", video="a.mp4")

    asyncio.run(go())


def test_it_speaks_over_http_and_is_guarded_as_the_page_is(library: Path) -> None:
    app = http_app(create_server(open_library(library, None), load_team()), None)
    with running(app) as app_state:

        async def go() -> None:
            async with Client(f"{app_state.url}/mcp") as client:
                assert LINES[2] in await call(client, "transcript", video="a.mp4")

        asyncio.run(go())
        foreign = httpx.post(f"{app_state.url}/mcp", json={}, headers={"Origin": "http://evil.example"})
        renamed = httpx.post(f"{app_state.url}/mcp", json={}, headers={"Host": "evil.example"})
        assert (foreign.status_code, renamed.status_code) == (403, 403)
    with running(http_app(create_server(open_library(library, None), load_team()), "a long token")) as app_state:
        assert httpx.post(f"{app_state.url}/mcp", json={}).status_code == 401
    shutil.rmtree(library)
