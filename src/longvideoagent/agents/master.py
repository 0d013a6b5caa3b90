"""The master with a chat model, which replies to the trace rendered as messages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from longvideoagent.agents.evidence import answer_evidence
from longvideoagent.agents.prompts import default_layout, master_messages
from longvideoagent.agents.subsample import complete_within_context, subsample_trace
from longvideoagent.core.actions import PAPER_LOOK_TAG, Answer
from longvideoagent.core.context import Style
from longvideoagent.core.layout import PromptLayout
from longvideoagent.core.protocol import parse
from longvideoagent.core.stop_texts import stop_texts
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Reply
from longvideoagent.models.base import CallSettings, Model, TextCallback

MASTER_SETTINGS = CallSettings(stop_at_action=True)


@dataclass(frozen=True, slots=True)
class ModelMaster:
    """A master that calls a chat model."""

    model: Model
    style: Style = Style.TURNS
    layout: PromptLayout | None = None
    """The wording; None: the default layout."""
    look_tag: str = PAPER_LOOK_TAG
    """The spelling of the look action that the prompt offers."""
    settings: CallSettings = MASTER_SETTINGS
    on_text: TextCallback | None = None
    """Called with each reply as it grows."""

    async def reply(self, trace: Trace) -> Reply:
        """Return the model's next reply; an answer has its evidence. Raises ModelError without a reply."""

        anywhere = self.settings.actions_anywhere
        layout = self.layout or default_layout()
        stops = stop_texts(layout, self.look_tag, trace.settings, actions_anywhere=anywhere)
        settings = replace(self.settings, stop_texts=stops if self.settings.stop_at_action else ())

        async def complete(fraction: float) -> Reply:
            chat = master_messages(subsample_trace(trace, fraction), self.style, layout, self.look_tag)
            return await self.model.complete(chat, settings, self.on_text)

        reply = await complete_within_context("master", complete)
        parsed = parse(reply.text, reply.reasoning, is_truncated=reply.is_truncated, anywhere=anywhere)
        evidence = None
        if isinstance(parsed.action, Answer) and parsed.action.text:
            evidence = answer_evidence(trace, parsed.thought, parsed.action.text)
        return replace(reply, actions_anywhere=anywhere, evidence=evidence)
