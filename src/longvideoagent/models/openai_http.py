"""What the client of ``models.openai`` carries: responses in pieces or whole, and failures of the connection."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import openai

from longvideoagent.errors import ModelError, one_line
from longvideoagent.models.openai_reply import Completion, GrowthCallback, ReplyFormat


async def read_response(
    stream: openai.AsyncStream[object], reply_format: ReplyFormat, on_growth: GrowthCallback
) -> Completion:
    """The reply to a request for a stream; some servers send it, or a page, in one piece."""
    content_type = stream.response.headers.get("content-type", "")
    if not content_type.startswith(("application/json", "text/html", "text/plain")):
        return await reply_format.read_stream(stream, on_growth)
    try:
        text = (await stream.response.aread()).decode()
    except httpx2.RequestError as error:
        raise openai.APIConnectionError(request=stream.response.request) from error
    completion = reply_format.read(json.loads(text) if "json" in content_type else text)
    if not completion.is_empty:
        on_growth(completion)
    return completion


MAX_RESPONSE_BYTES = 8_000_000
"""Of a response that is not a stream; the text of a stream is bounded by ``MAX_REPLY_CHARS``."""


class _BoundedStream(httpx2.AsyncByteStream):
    """The bytes of a response, which raises ModelError in place of those that are too many."""

    def __init__(self, stream: httpx2.AsyncByteStream, host: str) -> None:
        self._stream, self._host = stream, host

    async def __aiter__(self) -> AsyncIterator[bytes]:
        num_bytes = 0
        async for part in self._stream:
            num_bytes += len(part)
            if num_bytes > MAX_RESPONSE_BYTES:
                size = f"{MAX_RESPONSE_BYTES / 1e6:g} MB"
                raise ModelError(f"{self._host}: a reply of more than {size}; it ignores max_tokens, or is not a model")
            yield part

    async def aclose(self) -> None:
        """See httpx."""
        await self._stream.aclose()


async def bound_response(response: httpx2.Response) -> None:
    """An event hook of the client: limit the size of a response that is read as a whole."""
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    if not is_stream and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _BoundedStream(response.stream, response.request.url.host)


def too_large(error: BaseException | None) -> ModelError | None:
    """The error of a response that is too large, if it caused this error, else None."""
    while error is not None and not isinstance(error, ModelError):
        error = error.__cause__
    return error


def is_unreached(error: BaseException) -> bool:
    """Whether no connection could be opened. The client's errors differ by what carries the request."""
    cause = error.__cause__
    return cause is not None and ("Connect" in type(cause).__name__ or is_unreached(cause))


def cause(error: BaseException) -> str:
    """The innermost reason, on one line and not too long."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error) or type(error).__name__
