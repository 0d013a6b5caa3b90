"""From a trace to the messages a chat model reads, in the three styles the public code uses.

- ``turns``: ordinary chat; a reply is an assistant message, an observation the next user message.
- ``continuation``: one user message, then one assistant message that grows by reply, observation,
  reply, …; the released checkpoints were trained this way. Its last message is to be continued.
- ``accumulated``: one user message that grows by observations; the master never sees its replies.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from importlib import resources
from string import Template

from longvideoagent.core.protocol import LOOK_TAGS, escape_tags, render, render_located
from longvideoagent.core.trace import Agents, Round, Trace
from longvideoagent.core.types import ClipObservation, Message, Question, SystemNotice

LAST_ROUND = "This is your last round: you must answer now, with <answer>…</answer>."


class Style(StrEnum):
    """How the master's context grows."""

    TURNS = "turns"
    CONTINUATION = "continuation"
    ACCUMULATED = "accumulated"


_PROMPT_FILES = {
    Agents.NONE: "master_without_agents.txt",
    Agents.GROUNDING: "master_without_vision.txt",
    Agents.GROUNDING_VISION: "master.txt",
}


@cache
def master_prompt(agents: Agents) -> str:
    """The shipped wording for those agents, a ``string.Template`` with max_rounds, look_tag,
    answer_form, located, question and options."""
    prompts = resources.files("longvideoagent.agents.prompts")
    return prompts.joinpath(_PROMPT_FILES[agents]).read_text(encoding="utf-8")


def messages(
    trace: Trace,
    style: Style = Style.TURNS,
    prompt: str | None = None,
    look_tag: str = LOOK_TAGS[0],
) -> list[Message]:
    """The master's context before its next reply. ``prompt`` replaces the shipped wording."""
    opening = render_first_message(
        trace, prompt if prompt is not None else master_prompt(trace.settings.agents), look_tag
    )
    told = [_told(trace, index) for index in range(len(trace.rounds))]
    if style is Style.TURNS:
        chat = [Message(role="user", content=opening)]
        for said, observed in zip(trace.rounds, told, strict=True):
            chat.append(Message(role="assistant", content=assistant_text(said)))
            chat.append(Message(role="user", content=observed))
        return chat
    if style is Style.ACCUMULATED:
        return [Message(role="user", content="\n\n".join([opening, *told]))]
    said_and_told = "".join(
        f"{assistant_text(said)}\n\n{observed}\n\n" for said, observed in zip(trace.rounds, told, strict=True)
    )
    chat = [Message(role="user", content=opening)]
    return [*chat, Message(role="assistant", content=said_and_told)] if said_and_told else chat


def render_first_message(trace: Trace, prompt: str, look_tag: str) -> str:
    """The first user message."""
    question = trace.question
    opening = Template(prompt).safe_substitute(
        max_rounds=trace.settings.max_rounds,
        look_tag=look_tag,
        answer_form="aX" if question.options else "your answer in a few words",
        located=_first_located(trace),
        question=escape_tags(question.text),
        options=_options(question),
    )
    is_last = trace.settings.max_rounds == 1 or (trace.must_answer and not trace.rounds)
    return f"{opening.rstrip()}\n\n{LAST_ROUND}" if is_last else opening.rstrip()


def _first_located(trace: Trace) -> str:
    match trace.first_grounding:
        case ClipObservation():
            return render_located(trace.first_grounding)
        case SystemNotice(text=text):
            return escape_tags(text)
        case None:
            return "Nothing yet."


def _options(question: Question) -> str:
    return "\n".join(f"a{index}: {escape_tags(option)}" for index, option in enumerate(question.options))


def assistant_text(said: Round) -> str:
    """The reply as the master gave it, with thought that came in a field of its own put back."""
    thought = said.reply.reasoning.strip()
    return f"<think>\n{thought}\n</think>\n\n{said.text}" if thought else said.text


def _told(trace: Trace, index: int) -> str:
    """What the master reads after its reply ``index``: the observation, and the last-round notice
    before its last reply."""
    observation = trace.rounds[index].observation
    parts = [render(observation)] if observation is not None else []
    is_latest = index + 1 == len(trace.rounds)
    if index + 2 == trace.settings.max_rounds or (trace.must_answer and is_latest):
        parts.append(LAST_ROUND)
    return "\n".join(parts)
