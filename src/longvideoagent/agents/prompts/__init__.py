"""The shipped prompts, one file each; a run can name others."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import assert_never

from longvideoagent.core.actions import PAPER_LOOK_TAG
from longvideoagent.core.context import Style, messages
from longvideoagent.core.trace import Agents, Trace
from longvideoagent.core.types import Message


@cache
def shipped_prompt(file: str) -> str:
    """Return the text of a shipped prompt file, a ``string.Template``."""
    return resources.files(__name__).joinpath(file).read_text(encoding="utf-8")


def master_prompt(agents: Agents) -> str:
    """Return the shipped prompt of a master that can call these agents."""
    match agents:
        case Agents.NONE:
            return shipped_prompt("master_without_agents.txt")
        case Agents.GROUNDING:
            return shipped_prompt("master_without_vision.txt")
        case Agents.GROUNDING_VISION:
            return shipped_prompt("master.txt")
        case _:
            assert_never(agents)


def master_messages(
    trace: Trace, style: Style = Style.TURNS, prompt: str | None = None, look_tag: str = PAPER_LOOK_TAG
) -> list[Message]:
    """Return the master's context before its next reply, with the shipped prompt unless ``prompt`` is given.

    See ``core.context.messages``.
    """
    return messages(trace, master_prompt(trace.settings.agents) if prompt is None else prompt, style, look_tag)
