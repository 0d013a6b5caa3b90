"""How the requests to one server are changed for what it has refused so far."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from longvideoagent.errors import LogprobsMissingError
from longvideoagent.models.openai_errors import ServerError

EXPECTED_FIELDS = (
    *("temperature", "max_tokens", "stop", "response_format", "stream", "stream_options"),
    *("logprobs", "top_logprobs"),  # whoever asks for them says what happens without
    *("stop_sequences", "output_config.format"),  # Anthropic's names of stop and response_format
)
"""Fields that whole kinds of models and servers refuse; nobody needs to be warned of that. Others were asked for."""


class Adaptation(NamedTuple):
    """A change of all further requests, for the log."""

    message: str
    level: int


@dataclass
class RequestAdapter:
    """What a server has refused, and the requests that it accepts."""

    refused_fields: set[str] = field(default_factory=set)
    """Optional fields that are left out; ``a.b`` is field b of field a. max_tokens is sent under its other name."""
    is_stream_only: bool = False
    """Whether every reply is streamed."""
    max_tokens: int | None = None
    """The longest reply that may be asked for; None: any."""
    max_top_logprobs: int | None = None
    """The most log-probabilities of a token that may be asked for; None: any."""

    @property
    def summary(self) -> tuple[str, ...]:
        """What is refused, and what is done about it; one line each."""
        lines = [f"it refuses {name}, which is left out" for name in sorted(self.refused_fields - {"max_tokens"})]
        if self.is_stream_only:
            lines.append("it sends this model's replies as streams only; they are streamed")
        if self.max_tokens is not None:
            lines.append(f"it allows replies of {self.max_tokens:,} tokens at most; longer ones are not asked for")
        if self.max_top_logprobs is not None:
            lines.append(f"it lists {self.max_top_logprobs} log-probabilities of a token at most")
        return tuple(lines)

    def adapt(self, body: Mapping[str, Any], *, streams: bool) -> dict[str, Any]:
        """The body of a request without what the server refuses. ``streams`` asks for the reply in pieces. Raises
        LogprobsMissingError for a request for log-probabilities that are refused."""
        if "logprobs" in self.refused_fields and "top_logprobs" in body:
            raise LogprobsMissingError("the server refuses log-probabilities; name another model")
        adapted = dict(body)
        if streams or self.is_stream_only:
            adapted |= {"stream": True, "stream_options": {"include_usage": True}}
        for name, limit in (("max_tokens", self.max_tokens), ("top_logprobs", self.max_top_logprobs)):
            if limit is not None and name in body:
                adapted[name] = min(limit, body[name])
        if "max_tokens" in self.refused_fields and "max_tokens" in body and "messages" in body:
            adapted["max_completion_tokens"] = adapted["max_tokens"]  # OpenAI's reasoning models
        for path in self.refused_fields:
            _remove(adapted, path)
        if "stream" not in adapted:
            adapted.pop("stream_options", None)
        return adapted

    def learn(self, error: ServerError, sent: Mapping[str, Any]) -> Adaptation | None:
        """Take note of what the server refuses of the request ``sent``. None if nothing in it can be changed."""
        if error.is_overflow:
            return None
        if error.is_stream_only and "stream" not in sent and "stream" not in self.refused_fields:
            self.is_stream_only = True
            return Adaptation("sends this model's replies as streams only; they are streamed from now on", logging.INFO)
        requested = sent.get("max_tokens", sent.get("max_completion_tokens"))
        limit = error.max_reply_tokens(requested) if isinstance(requested, int) else None
        if limit is not None:
            self.max_tokens = limit
            return Adaptation(f"allows replies of {limit:,} tokens at most, fewer than asked for", logging.WARNING)
        requested = sent.get("top_logprobs")
        limit = error.max_top_logprobs(requested) if isinstance(requested, int) else None
        if limit is not None:
            self.max_top_logprobs = limit
            return Adaptation(f"lists {limit} log-probabilities of a token at most", logging.INFO)
        refused = error.refused_field(sent)
        if refused is None or (refused == "stream" and self.is_stream_only):
            return None
        self.refused_fields.add(refused)
        level = logging.INFO if refused in EXPECTED_FIELDS else logging.WARNING
        return Adaptation(f"refuses {refused}; sent without it from now on", level)


def _remove(body: dict[str, Any], path: str) -> None:
    """Leave a field out of a body; ``a.b`` is field b of field a, which goes with its last field."""
    outer, _, name = path.rpartition(".")
    if not outer:
        body.pop(name, None)
    elif isinstance(body.get(outer), dict):
        body[outer] = {key: value for key, value in body[outer].items() if key != name}
        if not body[outer]:
            del body[outer]
