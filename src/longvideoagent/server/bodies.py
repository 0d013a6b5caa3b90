"""Limits of request bodies: their size, unless a route has a limit of its own, and how long a client may be idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_JSON_BYTES = 1_000_000
IDLE_TIMEOUT_S = 60.0
"""How long a client may take for the next part of a body."""
TOO_LARGE = f"the body is larger than {MAX_JSON_BYTES / 1e6:g} MB; send less"
IDLE = f"nothing of the body has arrived for {IDLE_TIMEOUT_S:g} s; send it again"


def _has_own_limit(scope: Scope) -> bool:
    """Whether the request is an upload, whose route limits it."""
    path = str(scope["path"])
    return scope["method"] == "POST" and (
        path == "/api/videos" or (path.startswith("/api/videos/") and path.endswith("/subtitles"))
    )


class BodyMiddleware:
    """Passes requests on to ``app`` with bodies that end within the limits, or with HTTPException in their place.

    Args:
        app: The application.
        has_own_limit: Whether a route limits the size of this request's body itself.
    """

    def __init__(self, app: ASGIApp, has_own_limit: Callable[[Scope], bool] = _has_own_limit) -> None:
        self._app, self._has_own_limit = app, has_own_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = None if self._has_own_limit(scope) else MAX_JSON_BYTES
        length = dict(scope["headers"]).get(b"content-length", b"")
        if max_bytes is not None and length.isdigit() and int(length) > max_bytes:
            headers = {"Connection": "close"}  # the body is not read
            await JSONResponse({"detail": TOO_LARGE}, 413, headers)(scope, receive, send)
            return
        await self._app(scope, _limited(receive, max_bytes), send)


def _limited(receive: Receive, max_bytes: int | None) -> Receive:
    num_bytes, is_complete = 0, False

    async def receive_limited() -> Message:
        nonlocal num_bytes, is_complete
        if is_complete:  # what follows is the end of the connection, which may take as long as the response
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), IDLE_TIMEOUT_S)
        except TimeoutError:
            raise HTTPException(408, IDLE, {"Connection": "close"}) from None
        num_bytes += len(message.get("body", b""))
        if max_bytes is not None and num_bytes > max_bytes:
            raise HTTPException(413, TOO_LARGE, {"Connection": "close"})
        is_complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return receive_limited
