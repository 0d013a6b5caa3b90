"""Streams to viewers, who come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field

from anyio import CancelScope, CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from longvideoagent.errors import DataError

AT_ONCE = 4
"""Streams that a piece is made of at the same time. The pieces are short and those who wait take turns; threads of
their own leave the others to the page."""
MOST_OPEN = 16
"""Streams that are open at the same time, most of them paused: one more ends the oldest."""


@dataclass
class _Room:
    """The streams of one event loop."""

    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))
    open: list[CancelScope] = field(default_factory=list)
    """The oldest first."""


_ROOM: RunVar[_Room] = RunVar("_ROOM")


class StreamedResponse(StreamingResponse):
    """Sends a stream while it is made, and lets go of its file as soon as the viewer leaves."""

    def __init__(self, source: Generator[bytes], first: bytes) -> None:
        self._source, self._first = source, first
        super().__init__(self._pieces(), media_type="video/mp4")

    async def _pieces(self) -> AsyncIterator[bytes]:
        piece: bytes | None = self._first
        while piece is not None:
            if piece:
                yield piece
            try:
                piece = await _next(self._source)
            except (DataError, OSError):  # what was there at first is gone or damaged: the stream ends early
                return

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it to the end, until the viewer leaves, or until too many others have come."""
        room = _room()
        with CancelScope() as until:
            room.open.append(until)
            for oldest in room.open[:-MOST_OPEN]:
                oldest.cancel()
            try:
                await super().__call__(scope, receive, send)
            finally:
                room.open.remove(until)
                # No piece is being made any more: a thread that makes one is waited for, even when cancelled.
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._source.close)


async def streamed(source: Generator[bytes]) -> StreamedResponse:
    """The response that sends a stream. Raises what the stream raises at its beginning, while there can still be an
    answer in words."""
    return StreamedResponse(source, await _next(source) or b"")


async def _next(source: Generator[bytes]) -> bytes | None:
    return await to_thread.run_sync(next, source, None, limiter=_room().threads)


def _room() -> _Room:
    found = _ROOM.get(None)
    if found is None:
        found = _Room()
        _ROOM.set(found)
    return found
