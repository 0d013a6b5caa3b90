"""From a trace to the messages that a chat model reads, in the three styles of the public code.

- ``turns``: ordinary chat; a reply is an assistant message, an observation the next user message.
- ``continuation``: one user message, then one assistant message that grows by reply, observation, reply, …;
  the released checkpoints were trained this way. The model continues its last message.
- ``accumulated``: one user message that grows by observations; the master never sees its own replies.
"""

from __future__ import annotations

from enum import StrEnum
from string import Template
from typing import assert_never

from longvideoagent.core.actions import PAPER_LOOK_TAG, offered_actions
from longvideoagent.core.protocol import escape_tags, render, render_located
from longvideoagent.core.trace import Round, Trace
from longvideoagent.core.types import ClipObservation, Message, Question, SystemNotice

LAST_ROUND = "This is your last round: you must answer now, with <answer>…</answer>."


class Style(StrEnum):
    """How the master's context grows."""

    TURNS = "turns"
    CONTINUATION = "continuation"
    ACCUMULATED = "accumulated"


def messages(trace: Trace, prompt: str, style: Style = Style.TURNS, look_tag: str = PAPER_LOOK_TAG) -> list[Message]:
    """Return the master's context before its next reply.

    ``prompt`` is a ``string.Template`` with max_rounds, actions, look_tag, answer_form, first_clip, history, question
    and options; ``look_tag`` is the spelling of the look action that it offers.
    """
    first = Message(role="user", content=render_first_message(trace, prompt, look_tag))
    replies = [assistant_text(round_) for round_ in trace.rounds]
    observations = [_observation_text(trace, index) for index in range(len(trace.rounds))]
    match style:
        case Style.TURNS:
            chat = [first]
            for reply, observation in zip(replies, observations, strict=True):
                chat += [Message(role="assistant", content=reply), Message(role="user", content=observation)]
            return chat
        case Style.ACCUMULATED:
            return [Message(role="user", content="\n\n".join([str(first["content"]), *observations]))]
        case Style.CONTINUATION:
            turn = "".join(
                f"{reply}\n\n{observation}\n\n" for reply, observation in zip(replies, observations, strict=True)
            )
            return [first, Message(role="assistant", content=turn)] if turn else [first]
        case _:
            assert_never(style)


def render_first_message(trace: Trace, prompt: str, look_tag: str) -> str:
    """Render the first user message: the prompt with question, options and first clip."""
    question, settings = trace.question, trace.settings
    answer_form = "aX" if question.options else "your answer in a few words"
    actions = offered_actions(settings.agents.names, look_tag, answer_form)
    text = Template(prompt).safe_substitute(
        max_rounds=settings.max_rounds,
        actions=";\n".join(f"- {action}" for action in actions) + ".",
        look_tag=look_tag,
        answer_form=answer_form,
        first_clip=_first_grounding_text(trace),
        history=_history_text(trace),
        question=escape_tags(question.text),
        options=_options_text(question),
    )
    is_last = settings.max_rounds == 1 or (trace.must_answer and not trace.rounds)
    return f"{text.rstrip()}\n\n{LAST_ROUND}" if is_last else text.rstrip()


def _first_grounding_text(trace: Trace) -> str:
    match trace.first_grounding:
        case ClipObservation():
            return render_located(trace.first_grounding)
        case SystemNotice(text=text):
            return escape_tags(text)
        case None:
            return "Nothing yet."
        case _:
            assert_never(trace.first_grounding)


def _history_text(trace: Trace) -> str:
    """Earlier questions of the conversation with their answers, a block that ends with an empty line."""
    if not trace.history:
        return ""
    lines = [
        f"Question: {escape_tags(each.question.text)}\nAnswer: {escape_tags(each.answer) or '(none)'}"
        for each in trace.history
    ]
    return "\n".join(["Earlier in this conversation:", *lines]) + "\n\n"


def _options_text(question: Question) -> str:
    return "\n".join(f"a{index}: {escape_tags(option)}" for index, option in enumerate(question.options))


def assistant_text(round_: Round) -> str:
    """Return the reply as the master gave it, with reasoning from a field of its own put back in front."""
    thought = round_.reply.reasoning.strip()
    return f"<think>\n{thought}\n</think>\n\n{round_.context_text}" if thought else round_.context_text


def _observation_text(trace: Trace, index: int) -> str:
    """What the master reads after its reply ``index``: the observation, and before its last reply a notice."""
    observation = trace.rounds[index].observation
    parts = [render(observation)] if observation is not None else []
    is_latest = index + 1 == len(trace.rounds)
    if index + 2 == trace.settings.max_rounds or (trace.must_answer and is_latest):
        parts.append(LAST_ROUND)
    return "\n".join(parts)
