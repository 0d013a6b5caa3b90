"""The page itself, the description of the API, and the state of the server."""

from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.run import MAX_QUESTION_CHARS
from longvideoagent.server.job_record import JobState
from longvideoagent.server.limits import MAX_OPTIONS, MAX_ROUNDS
from longvideoagent.server.state import app_state
from longvideoagent.views.html.page import render

router = APIRouter()
STATIC = Path(str(resources.files("longvideoagent.server").joinpath("static")))


@router.get("/", include_in_schema=False)
async def get_page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/api/health", tags=["server"])
async def get_health(request: Request) -> dict[str, Any]:
    """The version, and the numbers of running and queued jobs."""
    jobs = app_state(request).job_queue
    return {
        "version": metadata.version("longvideoagent"),
        "num_running": jobs.count(JobState.RUNNING),
        "num_queued": jobs.count(JobState.QUEUED),
        "concurrency": jobs.concurrency,
    }


@router.get("/api/limits", tags=["server"])
async def get_limits() -> dict[str, int]:
    """The limits of a question, and the default of ``max_rounds``."""
    return {
        "default_max_rounds": DEFAULT_MAX_ROUNDS,
        "max_rounds": MAX_ROUNDS,
        "max_options": MAX_OPTIONS,
        "max_question_chars": MAX_QUESTION_CHARS,
    }


@router.get("/api/docs", include_in_schema=False)
async def get_docs(request: Request) -> HTMLResponse:
    """The API for people; unlike FastAPI's own documentation, this page loads nothing from other hosts."""
    return HTMLResponse(render("longvideoagent.server", "docs.html.j2", paths=request.app.openapi()["paths"]))
