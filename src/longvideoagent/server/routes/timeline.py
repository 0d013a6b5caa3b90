"""The API of what is known about a video: its clips and lines, a search over them, its chapters."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from longvideoagent.core.types import Timeline
from longvideoagent.index.query import MAX_QUERY_CHARS
from longvideoagent.server.routes.videos import TimeS
from longvideoagent.server.runs import clips_to_dicts
from longvideoagent.server.state import app_state
from longvideoagent.server.suggestions import suggestions
from longvideoagent.server.timeline_response import chapters_to_dicts, lines_to_dicts, search_lines

router = APIRouter(prefix="/api", tags=["timeline"])
TIMELINE_WAIT_S = 0.25
"""How long a timeline request waits before it replies 202; most videos are ready sooner."""
Words = Annotated[
    str,
    Query(min_length=1, max_length=MAX_QUERY_CHARS, description='Words in any inflection, or a phrase "in quotes".'),
]


@router.get("/videos/{video}/timeline", responses={202: {"description": "It is not ready yet."}})
async def get_timeline(request: Request, video: str) -> JSONResponse:
    """Clips, subtitle lines and suggested questions. The first request may have to wait, for minutes if text is read
    off the screen; until then the status is 202, with the stage and the fraction of it that is done."""
    state = app_state(request)
    item = await asyncio.to_thread(state.library.get_video, video)
    load = state.video_cache.load(item)
    if not await load.is_done_within(TIMELINE_WAIT_S):
        return JSONResponse({"stage": load.stage, "fraction": load.fraction}, 202)
    opened_video = await load.video()
    timeline = opened_video.timeline
    return JSONResponse(
        {
            "duration_s": timeline.duration_s,
            "text_source": opened_video.text_source,
            "warnings": list(opened_video.warnings),
            "clips": clips_to_dicts(timeline.clips),
            "subtitles": lines_to_dicts(timeline),
            "suggestions": await asyncio.to_thread(suggestions, item.path, opened_video),
        }
    )


@router.get("/videos/{video}/search")
async def search_video(
    request: Request, video: str, words: Words, start_s: TimeS = 0.0, end_s: TimeS | None = None
) -> dict[str, Any]:
    """The lines that have all the words: subtitles, speech or text on screen. Waits until the video is open."""
    timeline = await _timeline(request, video)
    return await asyncio.to_thread(search_lines, timeline, words, start_s, end_s)


@router.get("/videos/{video}/chapters")
async def get_chapters(request: Request, video: str) -> dict[str, Any]:
    """The parts of a video by what its lines are about. Waits until the video is open."""
    timeline = await _timeline(request, video)
    return {"chapters": await asyncio.to_thread(chapters_to_dicts, timeline)}


async def _timeline(request: Request, video: str) -> Timeline:
    state = app_state(request)
    item = await asyncio.to_thread(state.library.get_video, video)
    return (await state.video_cache.video(item)).timeline
