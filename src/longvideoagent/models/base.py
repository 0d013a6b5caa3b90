"""What the system needs of a chat model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from longvideoagent.types import Message, Reply


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How a model is to reply. Defaults are the public code's for the master."""

    temperature: float = 0.6
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    """Texts to stop at, where a server can; what is cut is never relied on."""
    choices: tuple[str, ...] = ()
    """The only replies allowed, where a server can guide its model; empty allows any."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Fields a particular server understands, sent as they are."""


DEFAULTS = CallSettings()


class Model(Protocol):
    """A chat model. Where the last message is the assistant's, the reply continues it."""

    async def complete(self, messages: Sequence[Message], settings: CallSettings = DEFAULTS) -> Reply:
        """The model's next words, never empty. Raises ModelError where it gives none."""

    async def close(self) -> None:
        """Let go of connections. They are made anew when the model is asked again, also by another
        event loop."""
