"""The protocol of a chat model, and how it is called."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypeVar

import pydantic.dataclasses
from pydantic import Field

from longvideoagent.core.actions import Tool
from longvideoagent.core.protocol import ACTION_ENDS, has_action, is_inside_reasoning
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ModelError

E = TypeVar("E", bound=ModelError)
T = TypeVar("T")
TextCallback = Callable[[str], None]
"""Called with the whole reply so far, reasoning included, each time it has grown. A reply that is retried starts
over."""


Count = Annotated[int, Field(ge=1, strict=True)]
"""A whole number from 1 on; ``true``, which pydantic otherwise reads as 1, is not one."""
SAMPLING_FIELDS = ("top_p", "top_k", "repetition_penalty")
"""Sampling options that are sent only if they are set, by their names in vLLM and most servers."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How a model replies. Defaults are the public code's for the master."""

    temperature: float = 0.6
    max_tokens: int = 1024
    stop_at_action: bool = False
    """Whether the reply may end at its first action (``protocol.parse``), and at its first stop text. Text after an
    action is cut by the parser."""
    json_schema: Mapping[str, Any] | None = None
    """A JSON schema that the reply must follow, if the server supports structured output."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Fields for a particular server or engine, passed on unchanged."""
    top_p: float | None = None
    """Probability mass of the tokens to sample from; 1 is all. None: the model's or server's own default."""
    top_k: int | None = None
    """How many of the likeliest tokens to sample from; -1 is all. None: the model's or server's own default."""
    repetition_penalty: float | None = None
    """Penalty of tokens that have occurred; 1 is none. None: the model's or server's own default."""
    actions_anywhere: bool = False
    """Whether an action inside reasoning counts, too (``core.types.Reply``)."""
    tools: tuple[Tool, ...] = ()
    """Tools that the model is to act by. Its calls, and the actions of earlier replies, are tags in ``messages`` and
    in the reply; only the server sees calls. A server that refuses tools gives ToolsRefusedError."""
    top_logprobs: int = 0
    """How many of the likeliest tokens to list with each token of the reply. A model that lists them replies with a
    ``logprobs.ScoredReply``, others as to any request; a server that refuses gives LogprobsMissingError."""
    stop_texts: tuple[str, ...] = ACTION_ENDS
    """Where a server stops a reply that may end at its action: ends of actions, and beginnings of what only the loop
    writes (``core.stop_texts``)."""

    @property
    def sampling(self) -> dict[str, float | int]:
        """Those of ``SAMPLING_FIELDS`` that are set."""
        values = {name: getattr(self, name) for name in SAMPLING_FIELDS}
        return {name: value for name, value in values.items() if value is not None}


DEFAULT_CALL_SETTINGS = CallSettings()


def cut_warning(name: str, settings: CallSettings, inside: str = "") -> str:
    """The message for a reply that its limit has cut before it holds an action; ``inside`` names the thought that it
    was cut in."""
    where = f" inside {inside}" if inside else ""
    problem = f"a reply of {name!r} was cut at {settings.max_tokens:,} tokens{where}"
    return f"{problem}; raise --max-reply-tokens, or max_tokens in the team file"


def cut_warnings(name: str, text: str, settings: CallSettings) -> tuple[str, ...]:
    """The warning of a reply that its limit has cut, unless it holds an action, since what follows one is dropped, or
    is asked for only to score its tokens. All of it may be a thought in a field of its own."""
    if settings.top_logprobs or has_action(text, anywhere=settings.actions_anywhere):
        return ()
    is_thought = not text.strip() or is_inside_reasoning(text)
    return (cut_warning(name, settings, "its reasoning" if is_thought else ""),)


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config={"extra": "forbid", "allow_inf_nan": False})
class TokenPrice:
    """The price of a model's tokens. Images count as the tokens they are."""

    prompt_usd_per_mtok: Annotated[float, Field(ge=0)]
    """Per million prompt tokens."""
    completion_usd_per_mtok: Annotated[float, Field(ge=0)]
    """Per million completion tokens."""
    date: datetime.date | None = None
    """The day for which the price is known."""
    source: str | None = None
    """Where it was read."""
    tokens_per_image: Count | None = None
    """Tokens that the model counts for a frame, for forecasts. None: assumed, as for most models."""
    cache_read_usd_per_mtok: Annotated[float, Field(ge=0)] | None = None
    """Per million prompt tokens that the server reads from its prompt cache. None: as other prompt tokens."""
    cache_write_usd_per_mtok: Annotated[float, Field(ge=0)] | None = None
    """Per million prompt tokens that the server writes to its prompt cache. None: as other prompt tokens."""

    def usd(self, usage: Usage, *, cache_read_tokens: int = 0, cache_write_tokens: int = 0) -> float:
        """The cost of a call or a sum of calls; the cached tokens are some of its prompt tokens."""
        prompt_usd = usage.prompt_tokens * self.prompt_usd_per_mtok
        cached = (
            (cache_read_tokens, self.cache_read_usd_per_mtok),
            (cache_write_tokens, self.cache_write_usd_per_mtok),
        )
        prompt_usd += sum(count * (usd - self.prompt_usd_per_mtok) for count, usd in cached if usd is not None)
        return (prompt_usd + usage.completion_tokens * self.completion_usd_per_mtok) / 1e6

    @property
    def unrecorded_fields(self) -> set[str]:
        """Fields that do not belong to a run's settings: one that is for forecasts only, and prices of cached tokens
        that are not given. Runs from before there were such fields resume."""
        cached = ("cache_read_usd_per_mtok", "cache_write_usd_per_mtok")
        return {"tokens_per_image", *(name for name in cached if getattr(self, name) is None)}

    def max_usd(self, usage: Usage) -> float:
        """The most that calls with this usage may cost: all of their prompts may be written to the cache."""
        is_dearer = (self.cache_write_usd_per_mtok or 0) > self.prompt_usd_per_mtok
        return self.usd(usage, cache_write_tokens=usage.prompt_tokens if is_dearer else 0)


def charge(error: E, usage: Usage) -> E:
    """Add the usage of a reply that could not be used to the error that says so; returns the error."""
    error.prompt_tokens += usage.prompt_tokens
    error.completion_tokens += usage.completion_tokens
    error.usd += usage.usd
    return error


async def with_charge(call: Awaitable[T], usage: Usage) -> T:
    """The result of a call that follows others; an error holds their usage, too."""
    try:
        return await call
    except ModelError as error:
        charge(error, usage)
        raise


def failed_usage(error: ModelError) -> Usage:
    """What the calls that ended in an error cost, without their number."""
    return Usage(0, error.prompt_tokens, error.completion_tokens, usd=error.usd)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is loaded, besides its spec. A back end uses the options that apply to it."""

    api_key_env: str | None = None
    """The environment variable that holds the key; None: the back end's own."""
    timeout_s: float = 120.0
    max_concurrency: int | None = None
    """Calls in flight at once; in this process, replies in one batch. None: the back end's default."""
    requests_per_minute: int | None = None
    max_context_tokens: int | None = None
    """The longest prompt and reply together; None: the model's own limit."""
    reasoning: bool = False
    """Whether the model thinks before it answers."""
    completion_template: str | None = None
    """The chat template written out, with ``$prompt``; for a server's text completions."""
    price: TokenPrice | None = None


class Model(Protocol):
    """A chat model. If the last message is the assistant's, the reply continues it."""

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The model's reply, never empty. Raises ModelError."""

    async def close(self) -> None:
        """Close connections. The next call opens them again, also in another event loop."""
