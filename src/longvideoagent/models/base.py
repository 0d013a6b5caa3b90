"""What the system needs of a chat model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from longvideoagent.types import Message, Reply


class Model(Protocol):
    """A chat model. Where the last message is the assistant's, the reply continues it."""

    async def complete(self, messages: Sequence[Message]) -> Reply:
        """The model's next words. Raises ModelError where it gives none."""
