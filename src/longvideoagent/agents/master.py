"""The master played by a chat model: the trace is rendered into messages, the model replies."""

from __future__ import annotations

from dataclasses import dataclass

from longvideoagent.agents.subsample import ask_shortened, shorten
from longvideoagent.core.context import Style, messages
from longvideoagent.core.protocol import LOOK_TAGS
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Reply
from longvideoagent.models.base import CallSettings, Model, TextCallback

SETTINGS = CallSettings(stop_at_action=True)


@dataclass(frozen=True, slots=True)
class ModelMaster:
    """``prompt`` replaces the shipped wording; ``look_tag`` is the spelling the prompt teaches."""

    model: Model
    style: Style = Style.TURNS
    prompt: str | None = None
    look_tag: str = LOOK_TAGS[0]
    settings: CallSettings = SETTINGS
    on_text: TextCallback | None = None
    """Told each reply as it grows."""

    async def reply(self, trace: Trace) -> Reply:
        """The model's next utterance. Raises ModelError when the model is down."""

        async def ask(share: float) -> Reply:
            told = messages(shorten(trace, share), self.style, self.prompt, self.look_tag)
            return await self.model.complete(told, self.settings, self.on_text)

        return await ask_shortened("master", ask)
