"""A back end in a package of its own: ``echo:TEXT`` replies with TEXT to everything.

    pip install ./examples/backend_package
    lva ask talk.mp4 "Who is late?" -o Mira -o Otto --master "echo:<answer>a1</answer>"

The entry point ``echo`` in pyproject.toml names ``BACKEND``, the row of the table; the row names the loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.models.backends import Backend
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, ModelOptions, TextCallback
from longvideoagent.models.spec import ModelSpec

BACKEND = Backend("echo", "echo:TEXT", "echo_backend:load_model")


def load_model(spec: ModelSpec, options: ModelOptions) -> EchoModel:  # noqa: ARG001 (no option applies)
    """The model of ``echo:TEXT``."""
    return EchoModel(spec.name)


@dataclass
class EchoModel:
    """Implements ``longvideoagent.models.base.Model``."""

    text: str

    async def complete(
        self,
        messages: Sequence[Message],  # noqa: ARG002
        settings: CallSettings = DEFAULT_CALL_SETTINGS,  # noqa: ARG002
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The text, at the cost of one call."""
        if on_text is not None:
            on_text(self.text)
        return Reply(self.text, usage=Usage(calls=1))

    async def close(self) -> None:
        """Nothing to close."""
