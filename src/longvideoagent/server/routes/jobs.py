"""The API of asks: put, watched, stopped, taken home."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.run import LONGEST_QUESTION, make_question
from longvideoagent.server.jobs import ACTIVE, Job
from longvideoagent.server.library import Library, NotHereError
from longvideoagent.server.state import app_state
from longvideoagent.views.html.page import render_page
from longvideoagent.views.html.trajectory import trajectory
from longvideoagent.views.trace_dict import trace_to_dict

router = APIRouter(prefix="/api", tags=["jobs"])
MOST_ROUNDS = 20
MOST_OPTIONS = 26
Option = Annotated[str, Field(min_length=1, max_length=1000)]


async def _found(request: Request, job: str) -> Job:
    """The ask that the address names, before anything is sent."""
    return app_state(request).asks.get(job)


FoundAsk = Annotated[Job, Depends(_found)]


class Asked(BaseModel):
    """What is asked of which video."""

    model_config = ConfigDict(extra="forbid")

    video_id: str
    question: Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)]
    options: Annotated[list[Option], Field(max_length=MOST_OPTIONS)] = []
    team: str | None = None
    """The server's first, unless told otherwise."""
    max_rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] = 5


@router.get("/teams")
async def list_teams(request: Request) -> dict[str, Any]:
    """The teams that can be asked; the first is asked unless another is named."""
    return {"teams": [{"name": name, "description": about} for name, about in app_state(request).teams.items()]}


@router.post("/jobs", status_code=201)
async def ask(request: Request, asked: Asked) -> dict[str, Any]:
    """Put a question into the queue."""
    here = app_state(request)
    item = await asyncio.to_thread(here.library.video, asked.video_id)
    question, _ = make_question(asked.question, asked.options)
    team = asked.team if asked.team is not None else next(iter(here.teams))
    return _whole(here.asks.add(item, question, team, RolloutSettings(asked.max_rounds)), here.library)


@router.get("/jobs")
async def list_asks(request: Request, limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> dict[str, Any]:
    """What was asked, the newest first."""
    return {"jobs": app_state(request).asks.lines(limit)}


@router.get("/jobs/{job}")
async def tell_ask(request: Request, found: FoundAsk) -> dict[str, Any]:
    """One ask with all that has happened so far."""
    return _whole(found, app_state(request).library)


@router.get("/jobs/{job}/events", response_class=EventSourceResponse)
async def watch_ask(request: Request, streamed: FoundAsk) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: ``job`` with the whole ask, now and whenever something has happened; then ``end``."""
    here = app_state(request)
    async for _ in streamed.changes():
        yield ServerSentEvent(event="job", data=_whole(streamed, here.library))
    yield ServerSentEvent(event="end", raw_data="null")


@router.post("/jobs/{job}/stop", status_code=202)
async def stop_ask(request: Request, job: str) -> dict[str, Any]:
    """End it; what was found out so far is kept."""
    app_state(request).asks.stop(job)
    return {}


@router.get("/jobs/{job}/trace")
async def download_trace(found: FoundAsk) -> JSONResponse:
    """What ``lva ask --json`` prints, to be saved."""
    headers = {"Content-Disposition": f'attachment; filename="lva-{found.id}.json"'}
    return JSONResponse(trace_to_dict(_ended(found)), headers=headers)


@router.get("/jobs/{job}/page", response_class=HTMLResponse)
async def download_page(request: Request, found: FoundAsk) -> HTMLResponse:
    """The trajectory with its frames as one HTML file, to be saved."""
    here = app_state(request)
    trace = _ended(found)
    item = await asyncio.to_thread(here.library.video, found.video)
    episode = await here.video_cache.episode(item)
    text = await asyncio.to_thread(render_page, f"What {found.video_name} was asked", episode, [trace])
    return HTMLResponse(text, headers={"Content-Disposition": f'attachment; filename="lva-{found.id}.html"'})


def _ended(found: Job) -> Trace:
    if found.state in ACTIVE or found.trace is None:
        raise NotHereError("nothing has come of this ask; wait for its end")
    return found.trace


def _whole(ask: Job, library: Library) -> dict[str, Any]:
    return {
        **ask.line(),
        "queue_position": ask.place,
        "stage": ask.doing,
        "fraction": ask.share,
        "cause": ask.cause,
        "team": ask.team,
        "max_rounds": ask.settings.max_rounds,
        "options": list(ask.question.options),
        "is_playable": library.holds(ask.video),
        "trace": None if ask.trace is None else trajectory(ask.trace),
    }
