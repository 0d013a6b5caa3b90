"""The API of jobs: submit, watch, stop, download."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from longvideoagent.core.actions import ACTIONS
from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.run import MAX_QUESTION_CHARS, make_question
from longvideoagent.server.jobs import Job
from longvideoagent.server.library import Library, NotFoundError
from longvideoagent.server.limits import MAX_NAME_CHARS, MAX_OPTIONS, MAX_ROUNDS
from longvideoagent.server.state import app_state
from longvideoagent.server.trace_response import trace_fields
from longvideoagent.views.html.page import render_page
from longvideoagent.views.trace_dict import trace_to_dict

router = APIRouter(prefix="/api", tags=["jobs"])
Option = Annotated[str, Field(min_length=1, max_length=1000)]


async def _get_job(request: Request, job: str) -> Job:
    return app_state(request).job_queue.get(job)


PathJob = Annotated[Job, Depends(_get_job)]
"""The job that the path names; a dependency, so that an unknown id is refused before an event stream starts."""


class JobRequest(BaseModel):
    """A question to a video of the library."""

    model_config = ConfigDict(extra="forbid")

    video_id: str
    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARS)]
    options: Annotated[list[Option], Field(max_length=MAX_OPTIONS)] = []
    team: str | None = None
    """Default: the server's first team."""
    max_rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = DEFAULT_MAX_ROUNDS


class JobTitle(BaseModel):
    """The title under which a job is listed; empty: its question."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=MAX_NAME_CHARS)]


@router.get("/teams")
async def list_teams(request: Request) -> dict[str, Any]:
    """The teams that can be asked; the first is the default."""
    teams = app_state(request).team_descriptions
    return {"teams": [{"name": name, "description": description} for name, description in teams.items()]}


@router.get("/actions")
async def list_actions() -> dict[str, Any]:
    """The actions of the master: how the page shows each, and which agent performs it (null for none)."""
    return {
        "actions": [
            {
                "name": spec.name,
                "label": spec.label,
                "icon": spec.icon,
                "agent": spec.agent,
                "is_final": spec.is_final,
                "is_error": spec.is_error,
            }
            for spec in ACTIONS
        ]
    }


@router.post("/jobs", status_code=201)
async def create_job(request: Request, fields: JobRequest) -> dict[str, Any]:
    """Put a question into the queue."""
    state = app_state(request)
    item = await asyncio.to_thread(state.library.get_video, fields.video_id)
    question, _ = make_question(fields.question, fields.options)
    team = fields.team if fields.team is not None else next(iter(state.team_descriptions))
    job = state.job_queue.submit(item, question, team, RolloutSettings(fields.max_rounds))
    return _job_to_dict(job, state.library)


@router.get("/jobs")
async def list_jobs(request: Request, limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> dict[str, Any]:
    """The jobs, newest first."""
    return {"jobs": app_state(request).job_queue.summaries(limit)}


@router.get("/jobs/{job}")
async def get_job(request: Request, path_job: PathJob) -> dict[str, Any]:
    """One job with its trace so far."""
    return _job_to_dict(path_job, app_state(request).library)


@router.patch("/jobs/{job}")
async def rename_job(request: Request, job: str, fields: JobTitle) -> dict[str, Any]:
    """Change the title of a job; its question stays."""
    state = app_state(request)
    return _job_to_dict(await state.job_queue.rename(job, fields.title), state.library)


@router.delete("/jobs/{job}", status_code=204)
async def delete_job(request: Request, job: str) -> None:
    """Delete an ended job with its trace."""
    await app_state(request).job_queue.delete(job)


@router.get("/jobs/{job}/events", response_class=EventSourceResponse)
async def watch_job(request: Request, path_job: PathJob) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: ``job`` with the whole job, now and after each change; ``end`` when it has ended."""
    state = app_state(request)
    async for job in state.job_queue.watch(path_job):
        yield ServerSentEvent(event="job", data=_job_to_dict(job, state.library))
    yield ServerSentEvent(event="end", raw_data="null")


@router.post("/jobs/{job}/stop", status_code=202)
async def stop_job(request: Request, job: str) -> dict[str, Any]:
    """Stop a job; its trace so far is kept."""
    app_state(request).job_queue.stop(job)
    return {}


@router.get("/jobs/{job}/trace")
async def download_trace(path_job: PathJob) -> JSONResponse:
    """The trace as ``lva ask --json`` prints it, as a download."""
    headers = {"Content-Disposition": f'attachment; filename="lva-{path_job.id}.json"'}
    return JSONResponse(trace_to_dict(_ended_trace(path_job)), headers=headers)


@router.get("/jobs/{job}/page", response_class=HTMLResponse)
async def download_page(request: Request, path_job: PathJob) -> HTMLResponse:
    """The trace with its frames as one HTML file, as a download."""
    state = app_state(request)
    trace = _ended_trace(path_job)
    item = await asyncio.to_thread(state.library.get_video, path_job.video_id)
    video = await state.video_cache.video(item)
    html = await asyncio.to_thread(render_page, f"A question to {path_job.video_name}", video, [trace])
    return HTMLResponse(html, headers={"Content-Disposition": f'attachment; filename="lva-{path_job.id}.html"'})


def _ended_trace(job: Job) -> Trace:
    if job.is_active or job.trace is None:
        raise NotFoundError("this job has no result; wait until it ends")
    return job.trace


def _job_to_dict(job: Job, library: Library) -> dict[str, Any]:
    return {
        **job.summary(),
        "queue_position": job.queue_position,
        "stage": job.stage,
        "fraction": job.fraction,
        "cause": job.cause,
        "team": job.team,
        "max_rounds": job.settings.max_rounds,
        "options": list(job.question.options),
        "is_playable": library.has_video(job.video_id),
        **trace_fields(job.trace),
    }
