"""The master played by a chat model: the trace is rendered into messages, the model replies."""

from __future__ import annotations

from dataclasses import dataclass

from longvideoagent.context import Style, messages
from longvideoagent.models.base import DEFAULTS, CallSettings, Model
from longvideoagent.protocol import LOOK_TAGS
from longvideoagent.trace import Trace
from longvideoagent.types import Reply


@dataclass(frozen=True, slots=True)
class ModelMaster:
    """``prompt`` replaces the shipped wording; ``look_tag`` is the spelling the prompt teaches."""

    model: Model
    style: Style = Style.TURNS
    prompt: str | None = None
    look_tag: str = LOOK_TAGS[0]
    settings: CallSettings = DEFAULTS

    async def reply(self, trace: Trace) -> Reply:
        """The model's next utterance. Raises ModelError when the model is down."""
        return await self.model.complete(messages(trace, self.style, self.prompt, self.look_tag), self.settings)
