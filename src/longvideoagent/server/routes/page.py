"""The page itself, the description of the API, and whether the server is well."""

from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from longvideoagent.server.jobs import State
from longvideoagent.server.state import app_state
from longvideoagent.views.html.page import render

router = APIRouter()
STATIC = Path(str(resources.files("longvideoagent.server").joinpath("static")))


@router.get("/", include_in_schema=False)
async def send_page() -> FileResponse:
    """The one page."""
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/api/health", tags=["server"])
async def tell_health(request: Request) -> dict[str, Any]:
    """That the server answers, and how much it has to do."""
    asks = app_state(request).asks
    told = {
        "running": asks.count(State.RUNNING),
        "queued": asks.count(State.QUEUED),
        "max_concurrency": asks.max_concurrency,
    }
    return {"version": metadata.version("longvideoagent"), **told}


@router.get("/api/docs", include_in_schema=False)
async def send_docs(request: Request) -> HTMLResponse:
    """The API for people; unlike FastAPI's own, this page loads nothing from elsewhere."""
    return HTMLResponse(render("longvideoagent.server", "docs.html.j2", paths=request.app.openapi()["paths"]))
