"""The agents as tools of the Model Context Protocol (https://modelcontextprotocol.io)."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, TextContent
from pydantic import Field
from starlette.types import ASGIApp

from longvideoagent.agents.base import Team, require_result
from longvideoagent.core.actions import Look
from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.core.rollout import GroundingRequest, VisionRequest
from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Clip, GroundingResult, Result, Subtitle, Timeline, VisionResult
from longvideoagent.errors import LongVideoAgentError, UsageError
from longvideoagent.index.query import HELP, MAX_QUERY_CHARS
from longvideoagent.media.video import Video
from longvideoagent.run import finish, make_question
from longvideoagent.server.access import AccessMiddleware
from longvideoagent.server.bodies import MAX_JSON_BYTES, BodyMiddleware
from longvideoagent.server.library import Library
from longvideoagent.server.limits import MAX_ROUNDS
from longvideoagent.server.mcp_errors import OneLineErrorServer
from longvideoagent.server.timeline_response import chapters_to_dicts, check_span, perform_query, search_lines
from longvideoagent.server.video_cache import VideoCache
from longvideoagent.views.summary import summarize_trace
from longvideoagent.views.trace_view import frame_times

MAX_TRANSCRIPT_LINES = 400
"""Lines that one call of ``get_transcript`` returns."""
MAX_LOOK_S = 300.0
SESSION_IDLE_S = 1800.0
"""How long a session over HTTP without any request is kept."""
MAX_SESSIONS = 200
MAX_PICTURES = 4
"""Frames that one call of ``look`` returns."""
PICTURE_SIDE_PX = 640
INSTRUCTIONS = (
    "Answers questions about long videos and gives evidence with times. ask_video runs the whole team of agents; "
    "locate_clip and look use its parts; search, query_timeline, chapters and get_transcript read all lines of a video "
    "exactly and at once. Times are seconds from the start of the video."
)

P = ParamSpec("P")
R = TypeVar("R")
VideoName = Annotated[str, Field(description="A name or an id from list_videos.")]
StartS = Annotated[float, Field(ge=0, allow_inf_nan=False, description="Start of the span, in seconds.")]
EndS = Annotated[float, Field(ge=0, allow_inf_nan=False, description="End of the span, in seconds.")]
Options = Annotated[list[str] | None, Field(description="Answer options; leave out for an open question.")]
Words = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUERY_CHARS,
        description='Words in any inflection, or a phrase "in quotes"; "by NAME" at the end keeps one speaker.',
    ),
]
TimelineQuery = Annotated[
    str, Field(min_length=1, max_length=MAX_QUERY_CHARS, description=f"One query: {HELP.removeprefix('write ')}.")
]
MaxRounds = Annotated[int, Field(ge=1, le=MAX_ROUNDS, description="Maximum number of the master agent's replies.")]


def create_server(library: Library, team: Team, concurrency: int = 2) -> MCPServer:
    """Create the server with its tools, for any transport. At most ``concurrency`` calls use agents at a time."""
    video_cache = VideoCache(library)
    tools = Tools(library, video_cache, team, concurrency)

    @asynccontextmanager
    async def lifespan(_: MCPServer) -> AsyncIterator[None]:
        yield
        video_cache.close()
        await team.close()

    version = metadata.version("longvideoagent")
    server = OneLineErrorServer(
        "longvideoagent", version=version, instructions=INSTRUCTIONS, lifespan=lifespan, log_level="WARNING"
    )
    for tool in (
        tools.ask_video,
        tools.locate_clip,
        tools.look,
        tools.list_videos,
        tools.get_transcript,
        tools.search,
        tools.query_timeline,
        tools.chapters,
    ):
        server.add_tool(_with_tool_errors(tool, library))
    return server


def _with_tool_errors(tool: Callable[P, Awaitable[R]], library: Library) -> Callable[P, Awaitable[R]]:
    """Raise this package's errors as tool errors, which the protocol sends to the assistant."""

    @functools.wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await tool(*args, **kwargs)
        except LongVideoAgentError as error:
            raise ToolError(library.redact_paths(str(error))) from error
        except OSError as error:
            raise ToolError(f"a file cannot be used ({error.strerror}); list the videos again") from error

    return call


def http_app(server: MCPServer, token: str | None) -> ASGIApp:
    """The server over streamable HTTP at ``/mcp``, with the same access control as the page."""
    settings = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # AccessMiddleware does this
    app = server.streamable_http_app(
        transport_security=settings,
        max_request_body_size=MAX_JSON_BYTES,
        session_idle_timeout=SESSION_IDLE_S,
        max_sessions=MAX_SESSIONS,
    )
    return AccessMiddleware(BodyMiddleware(app, has_own_limit=lambda _: False), token)


class Tools:
    """The tools. Every failure is a tool error of one sentence."""

    def __init__(self, library: Library, video_cache: VideoCache, team: Team, concurrency: int) -> None:
        self._library, self._video_cache, self._team = library, video_cache, team
        self._slots = asyncio.Semaphore(concurrency)

    async def list_videos(self) -> list[dict[str, Any]]:
        """List the videos of the library."""
        return [
            {"id": item.id, "name": item.name, "kind": str(item.kind)}
            for item in await asyncio.to_thread(self._library.videos)
        ]

    async def get_transcript(self, video: VideoName, start_s: StartS = 0.0, end_s: EndS | None = None) -> str:
        """Get the subtitles, the speech or the text on screen within a span of a video, one line each with its time."""
        opened_video = await self._open(video)
        _, last_s = check_span(opened_video.timeline, start_s, end_s)
        lines = _lines_between(opened_video.timeline, start_s, last_s)
        texts = [
            f"[{line.start_s:.1f} s, {format_timestamp(line.start_s)}] {line.text}"
            for line in lines[:MAX_TRANSCRIPT_LINES]
        ]
        if len(lines) > MAX_TRANSCRIPT_LINES:
            next_line = lines[MAX_TRANSCRIPT_LINES]
            num_more = len(lines) - MAX_TRANSCRIPT_LINES
            texts.append(f"({num_more} more {plural('line', num_more)}; continue from {next_line.start_s:.1f} s)")
        return "\n".join(texts) or f"no lines between {start_s:g} and {last_s:g} s ({opened_video.text_origin})"

    async def search(
        self, video: VideoName, words: Words, start_s: StartS = 0.0, end_s: EndS | None = None
    ) -> dict[str, Any]:
        """Find the lines of a video that have all of the words, with their times: subtitles, speech, and text on
        screen. Exact and without a model."""
        timeline = (await self._open(video)).timeline
        return await asyncio.to_thread(search_lines, timeline, words, start_s, end_s)

    async def query_timeline(self, video: VideoName, query: TimelineQuery) -> dict[str, Any]:
        """Answer how often, first or last, in which order, who, at or between times, exactly and without a model:
        every occurrence with its time."""
        timeline = (await self._open(video)).timeline
        return await asyncio.to_thread(perform_query, timeline, query)

    async def chapters(self, video: VideoName) -> list[dict[str, Any]]:
        """List the parts of a video: their times, the words that distinguish each, and the lines that say most of
        it."""
        return await asyncio.to_thread(chapters_to_dicts, (await self._open(video)).timeline)

    async def locate_clip(self, video: VideoName, request: str, options: Options = None) -> dict[str, Any]:
        """Find the clip of a video that a question or a description is about, by its subtitles."""
        opened_video = await self._open(video)
        question, _ = make_question(request, options or [])
        grounding_request = GroundingRequest("", opened_video.timeline, Trace(question, RolloutSettings()))
        result = require_result(await self._perform(grounding_request, opened_video), GroundingResult)
        clip = opened_video.timeline.find_clip(result.label) if result.label is not None else None
        if clip is None:
            return {"label": None, "reason": result.reason or "nothing in the video matches"}
        candidates = [opened_video.timeline.find_clip(candidate.label) for candidate in result.candidates]
        return {
            **_clip_to_dict(clip),
            "reason": result.reason,
            "subtitles": [{"start_s": line.start_s, "text": line.text} for line in clip.subtitles],
            "candidates": [_clip_to_dict(candidate) for candidate in candidates if candidate is not None],
        }

    async def look(
        self, video: VideoName, start_s: StartS, end_s: EndS, query: str
    ) -> Annotated[CallToolResult, dict[str, Any]]:
        """Describe what the frames of a span of a video show about a query, and return some of these frames; shorter
        spans are seen in more detail."""
        opened_video = await self._open(video)
        clip = _span_clip(opened_video, start_s, end_s)
        result = require_result(await self._perform(VisionRequest(Look(query), (clip,)), opened_video), VisionResult)
        times_s = _picture_times_s(frame_times(result), clip)
        frames = await asyncio.to_thread(opened_video.reader.frames, times_s, PICTURE_SIDE_PX)
        pictures = [frame for frame in frames if frame.is_readable()]
        value = {
            "text": result.text,
            "is_found": result.is_found,
            "evidence": [{"time_s": quote.time_s, "text": quote.text} for quote in result.evidence],
            "picture_times_s": [round(frame.time_s, 2) for frame in pictures],
        }
        images = [Image(data=frame.jpeg(), format="jpeg").to_image_content() for frame in pictures]
        text = TextContent(type="text", text=json.dumps(value, ensure_ascii=False, indent=2))
        return CallToolResult(content=[text, *images], structured_content=value)

    async def ask_video(
        self,
        ctx: Context,
        video: VideoName,
        question: str,
        options: Options = None,
        max_rounds: MaxRounds = DEFAULT_MAX_ROUNDS,
    ) -> dict[str, Any]:
        """Ask a question about a video; returns the answer, its confidence, and evidence with times. The outcome
        ``failed`` means that a model was not available; it is not an answer."""
        asked_question, _ = make_question(question, options or [])
        opened_video = await self._open(video)

        async def report(trace: Trace) -> None:
            await ctx.report_progress(len(trace.rounds), max_rounds)

        async with self._slots:
            settings = RolloutSettings(max_rounds, timeline_tools=self._team.timeline_tools)
            trace = await finish(asked_question, opened_video, self._team, settings, report)
        return summarize_trace(trace)

    async def _perform(self, request: GroundingRequest | VisionRequest, opened_video: Video) -> Result:
        async with self._slots:
            return await self._team.perform(request, opened_video.reader)

    async def _open(self, name: str) -> Video:
        return await self._video_cache.video(await asyncio.to_thread(self._library.find_video, name))


def _picture_times_s(evidence_s: Sequence[float], clip: Clip) -> list[float]:
    """Times of the frames to return: those of the evidence, and others spread evenly over the clip."""
    step_s = (clip.end_s - clip.start_s) / MAX_PICTURES
    times_s = list(evidence_s[:MAX_PICTURES])
    for index in range(MAX_PICTURES):
        start_s = clip.start_s + index * step_s
        if len(times_s) < MAX_PICTURES and not any(start_s <= time_s < start_s + step_s for time_s in times_s):
            times_s.append(start_s + step_s / 2)
    return sorted(times_s)


def _clip_to_dict(clip: Clip) -> dict[str, Any]:
    return {"label": clip.label, "start_s": clip.start_s, "end_s": clip.end_s}


def _lines_between(timeline: Timeline, start_s: float, end_s: float) -> list[Subtitle]:
    return [line for line in timeline.subtitles if line.end_s > start_s and line.start_s <= end_s]


def _span_clip(opened_video: Video, start_s: float, end_s: float) -> Clip:
    """The span as a clip. Raises UsageError if it is outside of the video or too long."""
    check_span(opened_video.timeline, start_s, end_s)
    if end_s - start_s > MAX_LOOK_S:
        raise UsageError(f"{end_s - start_s:g} s: too long for one look; use {MAX_LOOK_S:g} s or less")
    end_s = min(end_s, opened_video.timeline.duration_s)
    return Clip(
        f"{format_timestamp(start_s)}-{format_timestamp(end_s)}",
        start_s,
        end_s,
        tuple(_lines_between(opened_video.timeline, start_s, end_s)),
    )
