"""What the client of ``models.openai`` carries: responses in pieces or whole, and failures of the connection."""

from __future__ import annotations

import json

import httpx2
import openai

from longvideoagent.errors import one_line
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


def is_unreached(error: BaseException) -> bool:
    """Whether no connection could be opened. The client's errors differ by what carries the request."""
    cause = error.__cause__
    return cause is not None and ("Connect" in type(cause).__name__ or is_unreached(cause))


def cause(error: BaseException) -> str:
    """The innermost reason, on one line and not too long."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error) or type(error).__name__
