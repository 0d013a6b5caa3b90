"""From a trace to the messages that a chat model reads, in the styles of the public code.

- ``turns``: ordinary chat; a reply is an assistant message, an observation the next user message.
- ``continuation``: one user message, then one assistant message that grows by reply, observation, reply, …;
  the released checkpoints were trained this way. The model continues its last message.
- ``accumulated``: one user message that grows by observations; the master never sees its own replies.
- ``raw``: the same text, without a chat template: the public evaluator for local checkpoints sends it so.

The wording, and every line break around the data, is that of a ``PromptLayout``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from longvideoagent.core.actions import PAPER_LOOK_TAG, Invalid, offered_actions
from longvideoagent.core.layout import MAX_OPTION_FIELDS, PromptLayout, fill, head_of, template_fields
from longvideoagent.core.protocol import escape_tags, render_lines
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Agents, Round, Trace
from longvideoagent.core.types import (
    Clip,
    ClipObservation,
    Message,
    Observation,
    Question,
    SystemNotice,
    TimelineResult,
    VisionResult,
)
from longvideoagent.errors import DataError

_END_OF_LINE = "<eos>"
EMPTY_REPLY = "(nothing)"
"""What stands in the context for a reply without text, since many servers refuse an empty message."""


class Style(StrEnum):
    """How the master's context grows."""

    TURNS = "turns"
    CONTINUATION = "continuation"
    ACCUMULATED = "accumulated"
    RAW = "raw"


def messages(
    trace: Trace, layout: PromptLayout, style: Style = Style.TURNS, look_tag: str = PAPER_LOOK_TAG
) -> list[Message]:
    """Return the master's context before its next reply.

    Args:
        trace: What has happened so far.
        layout: The wording.
        style: How the context grows. ``raw`` gives one message, whose text is to be sent without a chat template.
        look_tag: The spelling of the look action that the prompt offers.

    Returns:
        Messages by user and assistant in turn; in style continuation the last may be the assistant's, to be continued.
    """
    prompt = render_first_message(trace, layout, look_tag)
    observations = [_observation_text(trace, index, layout, look_tag) for index in range(len(trace.rounds))]
    match style:
        case Style.TURNS:
            chat = [Message(role="user", content=prompt)]
            if trace.settings.agents is Agents.NONE:  # all subtitles, then the question: one call for each question
                chat[0]["shared_chars"] = len(_prompt_head(trace, layout, look_tag))
            for index, (round_, observation) in enumerate(zip(trace.rounds, observations, strict=True), 1):
                text = f"{observation}{_last_round_text(trace, index, layout)}"
                chat += [Message(role="assistant", content=assistant_text(round_)), Message(role="user", content=text)]
            return chat
        case Style.ACCUMULATED | Style.RAW:
            growth = "".join(
                _join_observation(trace, text, index, layout) for index, text in enumerate(observations, 1)
            )
            return [Message(role="user", content=f"{prompt}{growth}", shared_chars=len(prompt))]
        case Style.CONTINUATION:
            turn = "".join(
                f"{assistant_text(round_)}{_join_observation(trace, observation, index, layout)}{layout.before_reply}"
                for index, (round_, observation) in enumerate(zip(trace.rounds, observations, strict=True), 1)
            )
            user = Message(role="user", content=prompt)
            return [user, Message(role="assistant", content=turn)] if turn else [user]
        case _:
            assert_never(style)


def _join_observation(trace: Trace, observation: str, num_rounds: int, layout: PromptLayout) -> str:
    last_round = _last_round_text(trace, num_rounds, layout)
    return f"{layout.before_observation}{observation}{layout.after_observation}{last_round}"


def _last_round_text(trace: Trace, num_rounds: int, layout: PromptLayout) -> str:
    """The notice that the reply after ``num_rounds`` others must answer; empty for any other reply."""
    is_latest = num_rounds == len(trace.rounds)
    is_last = num_rounds + 1 == trace.settings.max_rounds or (trace.must_answer and is_latest)
    return layout.last_round if is_last else ""


def render_first_message(trace: Trace, layout: PromptLayout, look_tag: str) -> str:
    """Render the first user message: the prompt with question, options and first clip."""
    text = _fill_prompt(master_prompt(layout, trace.settings.agents), trace, layout, look_tag)
    return f"{text}{layout.prompt_end}{_last_round_text(trace, 0, layout)}"


def _prompt_head(trace: Trace, layout: PromptLayout, look_tag: str) -> str:
    """The first user message to the end of the first clip, as it is for every question of this video."""
    head = head_of(master_prompt(layout, trace.settings.agents), "first_clip")
    return _fill_prompt(head, trace, layout, look_tag)


def _fill_prompt(template: str, trace: Trace, layout: PromptLayout, look_tag: str) -> str:
    question, settings = trace.question, trace.settings
    return fill(
        template,
        max_rounds=settings.max_rounds,
        actions=_action_list(trace, look_tag),
        look_tag=look_tag,
        answer_form=answer_form(question),
        first_clip=_first_grounding_text(trace, layout),
        history=history_text(trace),
        **question_fields(question, layout, master_prompt(layout, settings.agents)),
    )


def _action_list(trace: Trace, look_tag: str) -> str:
    """The actions that the master can take, one a line, each with its tags."""
    settings, form = trace.settings, answer_form(trace.question)
    actions = offered_actions(settings.agents.names, look_tag, form, has_timeline_tools=settings.timeline_tools)
    return ";\n".join(f"- {action}" for action in actions) + "."


def answer_form(question: Question) -> str:
    """What an answer to the question looks like, as the master's prompt describes it."""
    return "aX" if question.options else "your answer in a few words"


def master_prompt(layout: PromptLayout, agents: Agents) -> str:
    """Return the prompt template of a master that can call these agents."""
    match agents:
        case Agents.NONE:
            return layout.prompt_without_agents or layout.prompt
        case Agents.GROUNDING:
            return layout.prompt_without_vision or layout.prompt
        case Agents.GROUNDING_VISION:
            return layout.prompt
        case _:
            assert_never(agents)


def question_fields(question: Question, layout: PromptLayout, template: str) -> dict[str, str]:
    """Return the fields of a question for a template: ``question``, ``options``, and ``a0`` to ``a9``. Raises DataError
    if the template names single options, and not all that the question has."""
    used = template_fields(template)
    missing = [f"${name}" for index in range(len(question.options)) if (name := f"a{index}") not in used]
    if 0 < len(missing) < len(question.options) and "options" not in used:
        problem = f"the layout has no place for {missing[0]} of the {len(question.options)} options of question"
        raise DataError(f"{problem} {question.id or question.text!r}; use $options in its prompts")
    options = [escape_tags(option) for option in question.options]
    lines = [fill(layout.option, index=index, option=option) for index, option in enumerate(options)]
    singles = {f"a{index}": options[index] if index < len(options) else "" for index in range(MAX_OPTION_FIELDS)}
    return {"question": escape_tags(question.text), "options": layout.option_join.join(lines), **singles}


def _first_grounding_text(trace: Trace, layout: PromptLayout) -> str:
    match trace.first_grounding:
        case ClipObservation() as located:
            return _fill_located(layout.first_clip, located, layout)
        case SystemNotice(text=text):
            return escape_tags(text)
        case None:
            return fill(layout.no_first_clip)
        case _:
            assert_never(trace.first_grounding)


def history_text(trace: Trace) -> str:
    """Earlier questions of the conversation with their answers, a block that ends with an empty line."""
    if not trace.history:
        return ""
    lines = [
        f"Question: {escape_tags(each.question.text)}\nAnswer: {escape_tags(each.answer) or '(none)'}"
        for each in trace.history
    ]
    return "\n".join(["Earlier in this conversation:", *lines]) + "\n\n"


def assistant_text(round_: Round) -> str:
    """Return the reply as the master gave it, with reasoning from a field of its own put back in front; an empty one
    as ``EMPTY_REPLY``."""
    thought = round_.reply.reasoning.strip()
    if thought:
        return f"<think>\n{thought}\n</think>\n\n{round_.context_text}"
    return round_.context_text if round_.context_text.strip() else EMPTY_REPLY


def _observation_text(trace: Trace, index: int, layout: PromptLayout, look_tag: str) -> str:
    """What the master reads after its reply ``index``; empty as long as nothing was observed."""
    round_ = trace.rounds[index]
    observation = round_.observation
    if observation is None:
        return ""
    if isinstance(observation, SystemNotice) and isinstance(round_.action, Invalid):
        reason = escape_tags(round_.action.reason)
        return fill(layout.invalid_reply, reason=reason, actions=_action_list(trace, look_tag))
    return render_observation(observation, layout, round_.clip or "")


def render_observation(observation: Observation, layout: PromptLayout, label: str = "") -> str:
    """Write an observation as the text that the master reads, with the tags inside its data escaped.

    Args:
        observation: The observation.
        layout: The wording.
        label: The current clip, for a look.
    """
    match observation:
        case ClipObservation():
            return _fill_located(layout.new_clip, observation, layout)
        case VisionResult(text=text, boxes=boxes):
            return fill(layout.vision_result, seen=escape_tags(text), boxes=render_boxes(boxes, layout, label))
        case SystemNotice(text=text) | TimelineResult(text=text):
            return fill(layout.notice, text=escape_tags(text))
        case _:
            assert_never(observation)


def render_boxes(boxes: str, layout: PromptLayout, label: str) -> str:
    """Write the gold boxes of a clip, or that there are none."""
    if boxes:
        return fill(layout.boxes, boxes=escape_tags(boxes))
    return fill(layout.no_boxes, label=escape_tags(label))


def _fill_located(template: str, located: ClipObservation, layout: PromptLayout) -> str:
    """Fill in the fields that the template has; rendering the others would take most of the time of a round."""
    used = template_fields(template)
    values: dict[str, str] = {}
    if "lines" in used:
        values["lines"] = render_lines(located.window)
    if "raw_text" in used:
        values["raw_text"] = layout.clip_join.join(raw_text(clip) for clip in located.window)
    if "clips" in used:
        texts = ((clip, raw_text(clip)) for clip in located.window)
        values["clips"] = layout.clip_join.join(_fill_clip(clip, text, layout) for clip, text in texts if text)
    return fill(template, **_clip_head(located.clip), **values)


def _fill_clip(clip: Clip, text: str, layout: PromptLayout) -> str:
    return fill(layout.clip, **_clip_head(clip), lines=render_lines((clip,)), raw_text=text)


def _clip_head(clip: Clip) -> dict[str, str]:
    """The fields of a clip but its texts."""
    return {
        "label": clip.label,
        "start": format_timestamp(clip.start_s),
        "end": format_timestamp(clip.end_s),
    }


def raw_text(clip: Clip) -> str:
    """Return the text of a clip as its data set has it, with protocol tags escaped; without one, its lines in a row.

    The mark of TVQA+ for the end of a line stays, since the public prompts have it."""
    if not clip.raw_text:
        return escape_tags(" ".join(line.text for line in clip.subtitles))
    return _END_OF_LINE.join(map(escape_tags, clip.raw_text.split(_END_OF_LINE)))
