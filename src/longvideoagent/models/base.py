"""What the system needs of a chat model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import pydantic.dataclasses
from pydantic import Field

from longvideoagent.core.types import Message, Reply, Usage

TextCallback = Callable[[str], None]
"""Told the whole of a reply so far, thought and all, each time it has grown. A reply that is asked for
again starts over."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How a model is to reply. Defaults are the public code's for the master."""

    temperature: float = 0.6
    max_tokens: int = 1024
    stop_at_action: bool = False
    """Whether nothing is wanted after the reply's first action (``protocol.parse``). What comes all the
    same is cut by whoever parses it."""
    schema: Mapping[str, Any] | None = None
    """A JSON schema that the reply shall follow, where a server can guide its model."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Fields a particular server or engine understands, handed on as they are."""


DEFAULTS = CallSettings()


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config={"extra": "forbid"})
class TokenPrice:
    """What a model costs, in US dollars per million tokens. Pictures count as the tokens they are."""

    prompt: Annotated[float, Field(ge=0)]
    completion: Annotated[float, Field(ge=0)]

    def usd(self, usage: Usage) -> float:
        """The cost of a call or a sum of calls."""
        return (usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion) / 1e6


class Model(Protocol):
    """A chat model. Where the last message is the assistant's, the reply continues it."""

    async def complete(
        self, messages: Sequence[Message], settings: CallSettings = DEFAULTS, on_text: TextCallback | None = None
    ) -> Reply:
        """The model's next words, never empty. Raises ModelError where it gives none."""

    async def close(self) -> None:
        """Let go of connections. They are made anew when the model is asked again, also by another
        event loop."""
