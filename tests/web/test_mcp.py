"""The agents as tools of the Model Context Protocol, called by the protocol's own client."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import ImageContent, TextContent

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.server.mcp import create_server, http_app
from longvideoagent.server.server import open_library
from tests.plugins.cli import LVA
from tests.plugins.web_jobs import LINES, BrokenVision
from tests.plugins.web_server import running

Check = Callable[[Client], Coroutine[Any, Any, None]]


def run_check(library: Path, check: Check, team: Team | None = None) -> None:
    """Run a check with a client of a server in this process."""

    async def go() -> None:
        async with Client(create_server(open_library(library, None), team or load_team())) as client:
            await check(client)

    asyncio.run(go())


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """The values that a tool returns."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return (result.structured_content or {}).get("result", result.structured_content)


async def call_error(client: Client, tool: str, **arguments: Any) -> str:
    """The message of a tool call that fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def test_mcp_tool_list(library: Path) -> None:
    async def check(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {
            "ask_video",
            "locate_clip",
            "look",
            "list_videos",
            "get_transcript",
            "search",
            "query_timeline",
            "chapters",
        }
        assert all(tool.description for tool in tools.values())
        assert set(tools["ask_video"].input_schema["required"]) == {"video", "question"}
        assert "ctx" not in tools["ask_video"].input_schema["properties"]

    run_check(library, check)


def test_mcp_ask_video(library: Path) -> None:
    progress_values: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001
        progress_values.append(progress)

    async def check(client: Client) -> None:
        (video,) = await call(client, "list_videos")
        assert video["name"] == "a.mp4"
        arguments = {"video": "a.mp4", "question": "Where is the kettle?", "options": ["in the lake", "on the roof"]}
        result = await client.call_tool("ask_video", arguments, progress_callback=on_progress)
        answer = result.structured_content
        assert answer is not None
        assert (answer["answer"], answer["outcome"], answer["option_index"]) == ("on the roof", "answered", 1)
        assert answer["evidence"][0]["text"] == LINES[0]
        assert progress_values == sorted(progress_values)
        assert progress_values
        guess = await call(client, "ask_video", video="a.mp4", question="How do zebras sleep?")
        assert "it knows no objects" in guess["hint"]

    run_check(library, check)


def test_mcp_single_agents(library: Path) -> None:
    async def check(client: Client) -> None:
        clip = await call(client, "locate_clip", video="a.mp4", request="Who says that the lamp is torn?")
        assert any("lamp" in line["text"] for line in clip["subtitles"])
        assert clip["label"].startswith("c")
        assert 0 <= clip["start_s"] < clip["end_s"] <= 10.1
        text = await call(client, "get_transcript", video="a.mp4", start_s=2.5, end_s=5)
        assert LINES[1] in text
        assert LINES[0] not in text
        assert "no lines between 9 and" in await call(client, "get_transcript", video="a.mp4", start_s=9)
        seen = await call(client, "look", video="a.mp4", start_s=1, end_s=4, query="the wall")
        assert seen["text"]
        assert all(1 <= evidence["time_s"] <= 4 for evidence in seen["evidence"])
        result = await client.call_tool("look", {"video": "a.mp4", "start_s": 1, "end_s": 4, "query": "the wall"})
        text, *images = result.content
        assert isinstance(text, TextContent)
        assert json.loads(text.text) == seen
        assert len(images) == len(seen["picture_times_s"]) > 0
        for image in images:
            assert isinstance(image, ImageContent)
            assert image.mime_type == "image/jpeg"
            assert base64.b64decode(image.data).startswith(b"\xff\xd8")
        assert all(0.9 <= time_s <= 4 for time_s in seen["picture_times_s"])

    run_check(library, check)


def test_mcp_lines_of_whole_video(library: Path) -> None:
    async def check(client: Client) -> None:
        found = await call(client, "search", video="a.mp4", words="lamps")
        assert (found["num_lines"], found["lines"][0]["text"], found["lines"][0]["start_s"]) == (1, LINES[1], 3.0)
        assert (await call(client, "search", video="a.mp4", words="the", start_s=5.5))["num_lines"] == 1
        result = await call(client, "query_timeline", video="a.mp4", query="count the by Mira")
        assert (result["value"], [each["start_s"] for each in result["occurrences"]]) == ("3 times", [0.0, 6.0])
        assert not (await call(client, "query_timeline", video="a.mp4", query="zebras"))["is_found"]
        (chapter,) = await call(client, "chapters", video="a.mp4")
        assert chapter["start_s"] == 0
        assert {line["text"] for line in chapter["key_lines"]} <= set(LINES)

    run_check(library, check)


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("get_transcript", {"video": "b.mp4"}, "not a video of the library; it has: a.mp4"),
        ("get_transcript", {"video": "../a.mp4"}, "not a video of the library"),
        ("ask_video", {"video": "a.mp4", "question": " "}, "the question is empty"),
        ("ask_video", {"video": "a.mp4", "question": "x", "max_rounds": 0}, "max_rounds"),
        ("look", {"video": "a.mp4", "start_s": 5, "end_s": 5, "query": "x"}, "not a span of this video"),
        ("look", {"video": "a.mp4", "start_s": 50, "end_s": 60, "query": "x"}, "not a span of this video"),
        ("look", {"video": "a.mp4", "start_s": 0, "end_s": 9e9, "query": "x"}, "too long for one look"),
        ("look", {"video": "a.mp4", "start_s": -1, "end_s": 5, "query": "x"}, "start_s: input should be greater"),
        ("look", {"video": "a.mp4", "start_s": "?", "end_s": None}, "query: field required; correct this"),
        ("look", {"start_s": "?", "end_s": None}, ", and 1 more; correct this"),
        ("look", {"video": "a.mp4", "start_s": 1, "end_s": 4, "query": "x", "fps": 3}, "fps: not an argument of this"),
        ("list_videos", {"folder": "/"}, "folder: not an argument of this tool; it has none"),
        ("watch", {}, "'watch': not a tool; use one of ask_video"),
        ("search", {"video": "a.mp4", "words": " "}, "words: there are none to search for"),
        ("search", {"video": "a.mp4", "words": "x" * 501}, "words: string should have at most 500"),
        ("search", {"video": "a.mp4", "words": "x", "start_s": 50}, "not a span of this video"),
    ],
)
def test_mcp_arguments_invalid(tool: str, arguments: dict[str, Any], message: str, library: Path) -> None:
    async def check(client: Client) -> None:
        error = await call_error(client, tool, **arguments)
        assert message in error
        assert "\n" not in error

    run_check(library, check)


def test_mcp_agent_down(library: Path) -> None:
    async def check(client: Client) -> None:
        assert "does not answer" in await call_error(client, "look", video="a.mp4", start_s=1, end_s=4, query="x")

    run_check(library, check, replace(load_team(), vision=BrokenVision()))


def test_mcp_stdio(library: Path) -> None:
    async def go() -> None:
        server = StdioServerParameters(command=str(LVA), args=["mcp", "--library", str(library)], env=dict(os.environ))
        async with Client(server) as client:
            assert LINES[2] in await call(client, "get_transcript", video="a.mp4")

    asyncio.run(go())


def test_mcp_http_access(library: Path) -> None:
    app = http_app(create_server(open_library(library, None), load_team()), None)
    with running(app) as server:

        async def go() -> None:
            async with Client(f"{server.url}/mcp") as client:
                assert LINES[2] in await call(client, "get_transcript", video="a.mp4")

        asyncio.run(go())
        foreign = httpx.post(f"{server.url}/mcp", json={}, headers={"Origin": "http://evil.example"})
        renamed = httpx.post(f"{server.url}/mcp", json={}, headers={"Host": "evil.example"})
        assert (foreign.status_code, renamed.status_code) == (403, 403)
    with running(http_app(create_server(open_library(library, None), load_team()), "a long token")) as server:
        assert httpx.post(f"{server.url}/mcp", json={}).status_code == 401
