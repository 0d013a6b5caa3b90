"""The server behind the page: one static page, and the API that the page and other programs use.

The API is described at ``/api/docs``. Replies are JSON; the ``detail`` of an error says in one sentence what is wrong
and how to fix it.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from longvideoagent.agents.base import Team
from longvideoagent.errors import LongVideoAgentError
from longvideoagent.media import isolation
from longvideoagent.models.backends import OFFLINE
from longvideoagent.server.access import AccessMiddleware
from longvideoagent.server.bodies import BodyMiddleware
from longvideoagent.server.job_record import JobStore
from longvideoagent.server.jobs import JobQueue
from longvideoagent.server.library import Library, NotFoundError
from longvideoagent.server.routes import jobs, page, runs, timeline, videos
from longvideoagent.server.runs import RunCache
from longvideoagent.server.state import AppState, app_state
from longvideoagent.server.uploads import TooLargeError
from longvideoagent.server.video_cache import VideoCache

MAX_UPLOAD_BYTES = 8_000_000_000
OFFLINE_DESCRIPTION = (
    "The embedded agents: they search subtitle lines and look for text, colours and motion. No language model."
)
STATUS_CODES: Mapping[type[Exception], int] = {NotFoundError: 404, TooLargeError: 413, LongVideoAgentError: 422}
"""Subclasses come before their base class."""


def create_app(
    library: Library,
    teams: Mapping[str, Team],
    concurrency: int = 2,
    max_upload_bytes: int = MAX_UPLOAD_BYTES,
    token: str | None = None,
) -> FastAPI:
    """Create the application. ``concurrency`` jobs run at the same time. Every request must present ``token``;
    without a token, only requests to a loopback host name are answered."""
    library.videos()  # scan it before the first request
    video_cache = VideoCache(library)
    job_queue = JobQueue(video_cache, teams, JobStore(library.data_dir), concurrency)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await job_queue.close()
        video_cache.close()
        isolation.close()

    app = FastAPI(
        title="longvideoagent", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.version = metadata.version("longvideoagent")
    descriptions = {name: OFFLINE_DESCRIPTION if team.name == OFFLINE else team.name for name, team in teams.items()}
    app.state.app_state = AppState(library, video_cache, job_queue, RunCache(library), descriptions, max_upload_bytes)
    app.add_middleware(BodyMiddleware)
    app.add_middleware(AccessMiddleware, token=token)
    app.add_exception_handler(LongVideoAgentError, _on_error)
    app.add_exception_handler(OSError, _on_os_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    for routes in (page, videos, timeline, jobs, runs):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=page.STATIC))
    return app


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    status_code = next(code for kind, code in STATUS_CODES.items() if isinstance(error, kind))
    return JSONResponse({"detail": app_state(request).library.redact_paths(str(error))}, status_code)


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """The client of an upload has disconnected; nobody reads this response."""
    return Response(status_code=400)


async def _on_os_error(_: Request, error: Exception) -> JSONResponse:
    """A file was removed since it was listed, the disk is full, or a drive fails."""
    assert isinstance(error, OSError)
    status_code = 404 if isinstance(error, FileNotFoundError) else 507 if error.errno == errno.ENOSPC else 500
    return JSONResponse({"detail": f"a file cannot be used ({error.strerror}); reload the list"}, status_code)


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Report the first invalid field."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return JSONResponse({"detail": "the body is not JSON; send an object as /api/docs describes it"}, 422)
    field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return JSONResponse({"detail": f"{field}: {first['msg']}; correct this field"}, 422)
