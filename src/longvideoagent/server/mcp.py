"""The agents as tools for an assistant, by the Model Context Protocol (https://modelcontextprotocol.io)."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field
from starlette.types import ASGIApp

from longvideoagent.agents.base import Team
from longvideoagent.core.protocol import format_timestamp
from longvideoagent.core.rollout import GroundingRequest, VisionRequest
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import (
    AgentFailure,
    Clip,
    GroundingResult,
    Question,
    Result,
    Subtitle,
    Timeline,
    VisionResult,
)
from longvideoagent.errors import LongVideoAgentError, ModelError, UsageError
from longvideoagent.media.video import Video
from longvideoagent.run import make_question, steps
from longvideoagent.server.access import AccessMiddleware
from longvideoagent.server.library import Library
from longvideoagent.server.video_cache import VideoCache
from longvideoagent.views.html.trajectory import span
from longvideoagent.views.summary import summarize_trace

MOST_LINES = 400
"""Of a transcript that are told at once."""
LONGEST_LOOK_S = 300.0
INSTRUCTIONS = (
    "Answers questions about long videos, with evidence one can seek to. ask_video lets the whole team work; locate, "
    "look and transcript ask its parts. Times are seconds in the video."
)

P = ParamSpec("P")
R = TypeVar("R")
VideoName = Annotated[str, Field(description="A name or an id that list_videos tells.")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rounds = Annotated[int, Field(ge=1, le=20, description="Replies that the master may give.")]


def create_server(library: Library, team: Team, max_concurrency: int = 2) -> MCPServer:
    """The server with its tools, for any transport; so many of them work at once."""
    video_cache = VideoCache(library)
    tools = Tools(library, video_cache, team, max_concurrency)

    @asynccontextmanager
    async def lifespan(_: MCPServer) -> AsyncIterator[None]:
        yield
        video_cache.close()
        await team.close()

    version = metadata.version("longvideoagent")
    server = MCPServer(
        "longvideoagent", version=version, instructions=INSTRUCTIONS, lifespan=lifespan, log_level="WARNING"
    )
    for tool in (tools.ask_video, tools.locate, tools.look, tools.list_videos, tools.transcript):
        server.add_tool(_in_words(tool, library))
    return server


def _in_words(tool: Callable[P, Awaitable[R]], library: Library) -> Callable[P, Awaitable[R]]:
    """The tool with this package's errors as the protocol's, which the assistant is told."""

    @functools.wraps(tool)
    async def called(*given: P.args, **named: P.kwargs) -> R:
        try:
            return await tool(*given, **named)
        except LongVideoAgentError as error:
            raise ToolError(library.redact_paths(str(error))) from error
        except OSError as error:
            raise ToolError(f"a file cannot be used ({error.strerror}); list the videos again") from error

    return called


def http_app(server: MCPServer, token: str | None) -> ASGIApp:
    """The server over streamable HTTP at ``/mcp``, guarded as the page is."""
    guarded_here = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return AccessMiddleware(server.streamable_http_app(transport_security=guarded_here), token)


class Tools:
    """What an assistant can have done. Whatever cannot be is told as the tool's error, in one sentence."""

    def __init__(self, library: Library, video_cache: VideoCache, team: Team, max_concurrency: int) -> None:
        self._library, self._shelf, self._team = library, video_cache, team
        self._places = asyncio.Semaphore(max_concurrency)

    async def list_videos(self) -> list[dict[str, Any]]:
        """The videos that can be asked."""
        return [
            {"id": each.id, "name": each.name, "kind": str(each.kind)}
            for each in await asyncio.to_thread(self._library.videos)
        ]

    async def transcript(self, video: VideoName, start_s: Seconds = 0.0, end_s: Seconds | None = None) -> str:
        """What is said, or read off the screen, within a span of a video: a line each, with its time."""
        episode = await self._episode(video)
        last_s = episode.timeline.duration_s if end_s is None else end_s
        _check_span(episode, start_s, last_s)
        lines = _between(episode.timeline, start_s, last_s)
        told = [f"[{line.start_s:.1f} s, {format_timestamp(line.start_s)}] {line.text}" for line in lines[:MOST_LINES]]
        if len(lines) > MOST_LINES:
            told.append(f"({len(lines) - MOST_LINES} more lines; ask from {lines[MOST_LINES].start_s:.1f} s on)")
        return "\n".join(told) or f"no lines between {start_s:g} and {last_s:g} s (text from {episode.text_source})"

    async def locate(self, video: VideoName, request: str, options: list[str] | None = None) -> dict[str, Any]:
        """Find the clip of a video that a question or description is about, by its lines."""
        episode = await self._episode(video)
        question, _ = make_question(request, options or [])
        asked = GroundingRequest("", episode.timeline, Trace(question, RolloutSettings()))
        found = await self._perform(asked, episode)
        assert isinstance(found, GroundingResult | AgentFailure)
        if isinstance(found, AgentFailure):
            raise ModelError(f"{found.agent}: {found.cause}")
        clip = episode.timeline.find(found.label) if found.label is not None else None
        if clip is None:
            return {"clip": None, "reason": found.reason or "nothing in the video matches"}
        others = [episode.timeline.find(each.label) for each in found.candidates]
        return {
            **span(clip, "clip"),
            "reason": found.reason,
            "lines": [{"time_s": line.start_s, "text": line.text} for line in clip.subtitles],
            "others": [span(other, "clip") for other in others if other is not None],
        }

    async def look(self, video: VideoName, start_s: Seconds, end_s: Seconds, query: str) -> dict[str, Any]:
        """Say what the frames of a span of a video show; the shorter the span, the finer."""
        episode = await self._episode(video)
        clip = _clip(episode, start_s, end_s)
        seen = await self._perform(VisionRequest(query, (clip,)), episode)
        assert isinstance(seen, VisionResult | AgentFailure)
        if isinstance(seen, AgentFailure):
            raise ModelError(f"{seen.agent}: {seen.cause}")
        told = [{"time_s": each.time_s, "text": each.text} for each in seen.evidence]
        return {"text": seen.text, "shows_it": seen.is_found, "evidence": told}

    async def ask_video(
        self, ctx: Context, video: VideoName, question: str, options: list[str] | None = None, max_rounds: Rounds = 5
    ) -> dict[str, Any]:
        """Ask a video a question, with answer choices or without, and get the answer, how sure it is, and evidence with
        times. The outcome ``failed`` means that a model was down, and is no answer."""
        asked, _ = make_question(question, options or [])
        episode = await self._episode(video)
        return await self._asked(ctx, asked, episode, max_rounds)

    async def _asked(self, ctx: Context, asked: Question, episode: Video, max_rounds: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        async with self._places:
            async for trace in steps(asked, episode, self._team, RolloutSettings(max_rounds)):
                await ctx.report_progress(len(trace.rounds), max_rounds)
                told = summarize_trace(trace)
        return told

    async def _perform(self, request: GroundingRequest | VisionRequest, episode: Video) -> Result:
        async with self._places:
            return await self._team.perform(request, episode.video)

    async def _episode(self, name: str) -> Video:
        return await self._shelf.episode(await asyncio.to_thread(self._library.named, name))


def _between(timeline: Timeline, start_s: float, end_s: float) -> list[Subtitle]:
    return [line for line in timeline.subtitles if line.end_s > start_s and line.start_s <= end_s]


def _check_span(episode: Video, start_s: float, end_s: float) -> None:
    """Raises UsageError where it lies outside of the video."""
    duration_s = episode.timeline.duration_s
    if not start_s < end_s or start_s >= duration_s:
        raise UsageError(f"{start_s:g} to {end_s:g} s is no span of this video; it has {duration_s:.1f} s")


def _clip(episode: Video, start_s: float, end_s: float) -> Clip:
    """The span as a clip. Raises UsageError where it lies outside of the video, or is too long to be looked at."""
    _check_span(episode, start_s, end_s)
    if end_s - start_s > LONGEST_LOOK_S:
        raise UsageError(f"{end_s - start_s:g} s are too long to be looked at; ask for {LONGEST_LOOK_S:g} s or fewer")
    end_s = min(end_s, episode.timeline.duration_s)
    return Clip(
        f"{format_timestamp(start_s)}-{format_timestamp(end_s)}",
        start_s,
        end_s,
        tuple(_between(episode.timeline, start_s, end_s)),
    )
