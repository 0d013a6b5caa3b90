"""Streaming responses to viewers, who may leave at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field

from anyio import CancelScope, CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from longvideoagent.errors import DataError

MAX_THREADS = 4
"""Threads that produce chunks. Chunks are short and streams take turns; separate threads leave the others to the
page."""
MAX_OPEN_STREAMS = 16
"""Open streams, most of them paused: one more ends the oldest."""


@dataclass
class _OpenStreams:
    """The streams of one event loop."""

    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAX_THREADS))
    scopes: list[CancelScope] = field(default_factory=list)
    """The oldest first."""


_OPEN_STREAMS: RunVar[_OpenStreams] = RunVar("_OPEN_STREAMS")


class GeneratedVideoResponse(StreamingResponse):
    """Sends a stream while it is produced, and closes its file as soon as the viewer disconnects."""

    def __init__(self, source: Generator[bytes], first_chunk: bytes) -> None:
        self._source, self._first_chunk = source, first_chunk
        super().__init__(self._chunks(), media_type="video/mp4")

    async def _chunks(self) -> AsyncIterator[bytes]:
        chunk: bytes | None = self._first_chunk
        while chunk is not None:
            if chunk:
                yield chunk
            try:
                chunk = await _next_chunk(self._source)
            except (DataError, OSError):  # the file was removed or is damaged: the stream ends early
                return

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it to the end, until the viewer disconnects, or until too many newer streams are open."""
        scopes = _open_streams().scopes
        with CancelScope() as cancel_scope:
            scopes.append(cancel_scope)
            for oldest in scopes[:-MAX_OPEN_STREAMS]:
                oldest.cancel()
            try:
                await super().__call__(scope, receive, send)
            finally:
                scopes.remove(cancel_scope)
                # No thread uses the source now: cancellation waits for a thread that produces a chunk.
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._source.close)


async def start_response(source: Generator[bytes]) -> GeneratedVideoResponse:
    """The response that sends a stream. Raises what the stream raises at its first chunk, when the status of the
    response can still be an error."""
    return GeneratedVideoResponse(source, await _next_chunk(source) or b"")


async def _next_chunk(source: Generator[bytes]) -> bytes | None:
    return await to_thread.run_sync(next, source, None, limiter=_open_streams().threads)


def _open_streams() -> _OpenStreams:
    streams = _OPEN_STREAMS.get(None)
    if streams is None:
        streams = _OpenStreams()
        _OPEN_STREAMS.set(streams)
    return streams
