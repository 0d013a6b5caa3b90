"""The server behind the page: one static page, and the API that it and anybody else may use.

What can be asked stands at ``/api/docs``. Everything is told as JSON; where something cannot be had, ``detail`` says in
one sentence what and how to mend it.
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
from longvideoagent.agents.config import OFFLINE
from longvideoagent.errors import LongVideoAgentError
from longvideoagent.server.access import AccessMiddleware
from longvideoagent.server.jobs import JobQueue
from longvideoagent.server.library import Library, NotHereError
from longvideoagent.server.routes import jobs, page, runs, videos
from longvideoagent.server.runs import Runs
from longvideoagent.server.state import AppState, app_state
from longvideoagent.server.uploads import TooLargeError
from longvideoagent.server.video_cache import VideoCache

MOST_BYTES = 8_000_000_000
ABOUT_OFFLINE = "The embedded agents: they search lines and look for text, colours and motion. No language model."
STATUS: Mapping[type[Exception], int] = {NotHereError: 404, TooLargeError: 413, LongVideoAgentError: 422}


def create_app(
    library: Library,
    teams: Mapping[str, Team],
    max_concurrency: int = 2,
    max_upload_bytes: int = MOST_BYTES,
    token: str | None = None,
) -> FastAPI:
    """The server's application: so many questions at once, uploads of at most so many bytes. ``token`` is asked of
    everybody; without one only the loopback name is answered to."""
    library.videos()  # look through it once before anybody asks
    video_cache = VideoCache(library)
    asks = JobQueue(video_cache, teams, library.keep / "asks", max_concurrency)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asks.close()
        video_cache.close()

    app = FastAPI(
        title="longvideoagent", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.version = metadata.version("longvideoagent")
    names = {name: ABOUT_OFFLINE if team.name == OFFLINE else team.name for name, team in teams.items()}
    app.state.app_state = AppState(library, video_cache, asks, Runs(library), names, max_upload_bytes)
    app.add_middleware(AccessMiddleware, token=token)
    app.add_exception_handler(LongVideoAgentError, _tell_error)
    app.add_exception_handler(OSError, _tell_os_error)
    app.add_exception_handler(ClientDisconnect, _tell_nobody)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    for routes in (page, videos, jobs, runs):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=page.STATIC))
    return app


async def _tell_error(request: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))  # the narrower kinds come first
    return JSONResponse({"detail": app_state(request).library.redact_paths(str(error))}, status)


async def _tell_nobody(_: Request, __: Exception) -> Response:
    """Who uploaded has left."""
    return Response(status_code=400)


async def _tell_os_error(_: Request, error: Exception) -> JSONResponse:
    """A file that has gone since it was listed, a full disk, a drive that fails."""
    assert isinstance(error, OSError)
    status = 404 if isinstance(error, FileNotFoundError) else 507 if error.errno == errno.ENOSPC else 500
    return JSONResponse({"detail": f"a file cannot be used ({error.strerror}); reload the list"}, status)


async def _tell_invalid(_: Request, error: Exception) -> JSONResponse:
    """The first thing wrong with a request."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return JSONResponse({"detail": "the body is no JSON; send an object as /api/docs describes it"}, 422)
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return JSONResponse({"detail": f"{where}: {first['msg']}; mend that field"}, 422)
