"""The actions of the master, in one table.

Each action is a frozen type and a row of ``ACTIONS``. Parser, prompts, rollout, judge, reward, terminal,
report and page read the row; none of them lists the actions itself. To add an action, write its type, its
row, the request that it becomes (``Rollout._request_for``) and the agent's method that answers the request.

The first three rows are the paper's actions (section on the master agent); its public code spells the
first tag ``search``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from string import Template
from typing import Literal, get_args

AgentName = Literal["master", "grounding", "vision"]
AGENT_NAMES: tuple[AgentName, ...] = get_args(AgentName)
LookTag = Literal["visual_query", "search"]
LOOK_TAGS: tuple[LookTag, ...] = get_args(LookTag)
"""Spellings of the tag of a look: the paper's, then its public code's."""
PAPER_LOOK_TAG, PUBLIC_CODE_LOOK_TAG = LOOK_TAGS


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the vision agent about the current clip."""

    query: str


@dataclass(frozen=True, slots=True)
class Relocate:
    """Ask the grounding agent for another clip. The request may be empty."""

    request: str


@dataclass(frozen=True, slots=True)
class QueryTimeline:
    """Ask the timeline about the whole video: what is said or shown where, how often, and in which order."""

    query: str


@dataclass(frozen=True, slots=True)
class Answer:
    """End the loop. An empty text abstains."""

    text: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """A reply without a usable action. It costs the round."""

    reason: str


Action = Look | Relocate | Answer | QueryTimeline | Invalid


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One row of the table: everything about an action that is not its behaviour."""

    name: str
    """The name in JSON, metrics and the page."""
    type: type[Action]
    argument: str
    """The field of ``type`` that holds the text between the tags."""
    label: str
    """What heads the action in the report and on the page."""
    icon: str
    """One character that stands for the action."""
    terminal_style: str
    """The style of the action in the terminal, as ``rich`` names it."""
    count_name: str
    """The name of a count of these actions in metrics and training logs."""
    tags: tuple[str, ...] = ()
    """Spellings that the parser accepts, the paper's first; empty where no tag asks for it."""
    agent: AgentName | None = None
    """The agent that performs it; None where the loop itself does."""
    cost_key: str = ""
    """The reward weight that its use costs; empty where it costs nothing."""
    is_final: bool = False
    """Whether it ends the loop."""
    is_error: bool = False
    """Whether the page marks it as an error."""
    requires_text: bool = False
    """Whether empty tags are an invalid action."""
    allows_self_closing: bool = False
    """Whether ``<tag/>`` stands for empty tags."""
    argument_form: str = ""
    """What stands between the tags, as the master's prompt describes it; a ``string.Template`` with ``answer_form``."""
    timeline_argument_form: str = ""
    """The same in a rollout with timeline tools; empty if it does not differ."""
    effect: str = ""
    """What the action does, as the master's prompt describes it."""
    needs_timeline_tools: bool = False
    """Whether it is offered only where the rollout has timeline tools; the released checkpoints do not know it."""


ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec(
        name="look",
        type=Look,
        argument="query",
        label="Look",
        icon="◉",
        terminal_style="cyan",
        count_name="looks",
        tags=LOOK_TAGS,
        agent="vision",
        cost_key="look_cost",
        requires_text=True,
        argument_form="what to look for",
        timeline_argument_form="what to look for, or 0:40-0:50: what to look for, which looks at that span",
        effect="asks the vision agent about the current clip",
    ),
    ActionSpec(
        name="relocate",
        type=Relocate,
        argument="request",
        label="Relocate",
        icon="⇄",
        terminal_style="magenta",
        count_name="relocations",
        tags=("request_grounding",),
        agent="grounding",
        cost_key="relocation_cost",
        allows_self_closing=True,
        argument_form="what to search for",
        effect="asks for another clip; it will not repeat one you have had",
    ),
    ActionSpec(
        name="answer",
        type=Answer,
        argument="text",
        label="Answer",
        icon="✓",
        terminal_style="green",
        count_name="answers",
        tags=("answer",),
        is_final=True,
        argument_form="$answer_form",
        effect="ends the task",
    ),
    ActionSpec(
        name="query_timeline",
        type=QueryTimeline,
        argument="query",
        label="Query the timeline",
        icon="≡",
        terminal_style="blue",
        count_name="timeline_queries",
        tags=("query_timeline",),
        requires_text=True,
        argument_form=(
            "find WORDS | count WORDS | first WORDS | last WORDS | nth 3 WORDS | order WORDS ; WORDS | before WORDS | "
            "after WORDS | at 7:29 | between 5:00 5:30 | speakers | talk_time | talk_time NAME | speaker_names | "
            "screen_texts | scenes | sounds WORDS | objects WORDS | overview | length"
        ),
        effect=(
            "searches all lines of the video exactly and at once; WORDS may end in 'by NAME', for lines of that speaker"
        ),
        needs_timeline_tools=True,
    ),
    ActionSpec(
        name="invalid",
        type=Invalid,
        argument="reason",
        label="Invalid reply",
        icon="✕",
        terminal_style="red",
        count_name="invalid_rounds",
        is_error=True,
    ),
)
"""Every member of ``Action``, in the order in which prompts offer them."""

_BY_TYPE = {spec.type: spec for spec in ACTIONS}
_BY_TAG = {tag: spec for spec in ACTIONS for tag in spec.tags}


def spec_of(action: Action | type[Action]) -> ActionSpec:
    """The row of an action, or of its type."""
    return _BY_TYPE[action if isinstance(action, type) else type(action)]


def action_argument(action: Action) -> str:
    """The argument of an action: the query, the request, the answer, or why the reply is invalid."""
    text = getattr(action, spec_of(action).argument)
    assert isinstance(text, str)
    return text


def action_of(tag: str, text: str) -> Action:
    """The action that ``<tag>text</tag>`` asks for; ``Invalid`` where the text is missing.

    Raises KeyError for a tag that is not in the table.
    """
    spec = _BY_TAG[tag]
    if spec.requires_text and not text:
        return Invalid(f"the {spec.argument} inside <{tag}> is empty")
    return spec.type(text)


def action_named(name: str, text: str) -> Action:
    """The action of the row ``name``. Raises ValueError for a name that is not in the table."""
    for spec in ACTIONS:
        if spec.name == name:
            return spec.type(text)
    raise ValueError(f"action: {name[:80]!r} is not one of {', '.join(spec.name for spec in ACTIONS)}")


def render_action(action: Action) -> str:
    """Write an action as a master writes it, in the paper's spelling. Raises ValueError for ``Invalid``."""
    spec = spec_of(action)
    if not spec.tags:
        raise ValueError(f"no tag stands for {spec.name}")
    return f"<{spec.tags[0]}>{action_argument(action)}</{spec.tags[0]}>"


@dataclass(frozen=True, slots=True)
class Tool:
    """An action as a function that a model can call, in place of tags; its argument is a text."""

    name: str
    """The tag of the action, in the paper's spelling."""
    description: str
    """What it does."""
    argument: str
    """The name of the argument that stands between the tags."""
    argument_description: str
    is_argument_optional: bool = False
    """Whether a call without the argument counts, as empty tags do."""


def offered_actions(
    agents: frozenset[AgentName], look_tag: str, answer_form: str, *, has_timeline_tools: bool = False
) -> tuple[str, ...]:
    """The lines with which a prompt offers the actions that these agents, and the timeline tools, can perform.

    ``look_tag`` is the spelling of the tag of ``look``; ``answer_form`` says what an answer looks like.
    """
    lines = []
    for spec in offered_specs(agents, has_timeline_tools):
        tag = look_tag if look_tag in spec.tags else spec.tags[0]
        lines.append(f"<{tag}>{_argument_form(spec, answer_form, has_timeline_tools)}</{tag}> {spec.effect}")
    return tuple(lines)


@lru_cache(maxsize=64)
def offered_tools(
    agents: frozenset[AgentName], answer_form: str, *, has_timeline_tools: bool = False
) -> tuple[Tool, ...]:
    """The tools that a master can call in place of writing ``offered_actions``."""
    return tuple(
        Tool(
            spec.tags[0],
            spec.effect.capitalize(),
            spec.argument,
            _argument_form(spec, answer_form, has_timeline_tools),
            spec.allows_self_closing,
        )
        for spec in offered_specs(agents, has_timeline_tools)
    )


def offered_specs(agents: frozenset[AgentName], has_timeline_tools: bool) -> list[ActionSpec]:
    """The rows of the actions that these agents, and the timeline tools, can perform."""
    performed = (spec for spec in ACTIONS if spec.tags and (spec.agent is None or spec.agent in agents))
    return [spec for spec in performed if has_timeline_tools or not spec.needs_timeline_tools]


def _argument_form(spec: ActionSpec, answer_form: str, has_timeline_tools: bool) -> str:
    form = (has_timeline_tools and spec.timeline_argument_form) or spec.argument_form
    return Template(form).substitute(answer_form=answer_form)
