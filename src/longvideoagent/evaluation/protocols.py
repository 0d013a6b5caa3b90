"""The protocols of the public code: everything in which its evaluators differ from ours, as named switches.

A number can be compared with a published one only if it was taken in the same way. ``ours`` is the default and gives
no gold to any agent. Sources: the public repository's evaluators for local and for API models, and its trainer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from longvideoagent.agents.config import FrameNumbers, TeamConfig
from longvideoagent.agents.prompts import default_layout
from longvideoagent.core.actions import PUBLIC_CODE_LOOK_TAG, LookTag
from longvideoagent.core.context import Style
from longvideoagent.core.layout import PromptLayout
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.score import Scoring
from longvideoagent.models.base import Count

QUESTION_FIRST_PROMPT = """\
Question: $question
$options

Subtitles of all clips of the video:
$raw_subtitles

Each clip is inside tags with its label. Name the clip where the answer can be found, as <clip>label</clip>.$visited
"""
"""The grounding prompt in the order of the public code, in our words."""


class EvalProtocol(BaseModel):
    """How a run differs from ours. None leaves what the team says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "ours"
    style: Style | None = None
    """How the master's context grows."""
    actions: Literal["after_reasoning", "anywhere"] | None = None
    """Where in a reply an action counts."""
    look_tag: LookTag | None = None
    """The spelling of the look action in a prompt of ours."""
    extra_rounds: Annotated[int, Field(ge=0, strict=True)] = 0
    """Rounds after ``--max-rounds``: the public trainer gives K + 1."""
    max_reply_tokens: Count | None = None
    """The longest reply of the master."""
    frame_numbers: FrameNumbers | None = None
    """The frames of a look, as ``AgentConfig.frame_numbers``."""
    question_first: StrictBool = False
    """Whether the grounding prompt has the question before the subtitles. An imported layout brings its own."""
    scoring: Scoring = "option"
    """What names an option: any usual form, only ``a0`` to ``a4`` (``exact``), or the first number of the answer."""
    merged_boxes: StrictBool = False
    """Whether looks get the gold boxes of all questions of the split about the clip. A leak."""
    timeline_tools: StrictBool = True
    """Whether a master that knows the action may query the timeline. The paper's has three actions."""


_LOCAL_EVALUATOR = EvalProtocol(
    name="public-local",
    style=Style.RAW,
    actions="anywhere",
    look_tag=PUBLIC_CODE_LOOK_TAG,
    max_reply_tokens=4096,
    frame_numbers=(1, 180, 12),
    question_first=True,
    scoring="exact",
    merged_boxes=True,
    timeline_tools=False,
)
PROTOCOLS: Mapping[str, EvalProtocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            EvalProtocol(),
            _LOCAL_EVALUATOR,
            _LOCAL_EVALUATOR.model_copy(
                update={"name": "public-api", "style": Style.ACCUMULATED, "max_reply_tokens": 1024}
            ),
            EvalProtocol(
                name="public-training",
                style=Style.CONTINUATION,
                actions="anywhere",
                look_tag=PUBLIC_CODE_LOOK_TAG,
                extra_rounds=1,
                max_reply_tokens=1500,
                frame_numbers=(1, 180, 15),
                question_first=True,
                scoring="first_number",
                timeline_tools=False,
            ),
        )
    }
)
"""The presets of ``--protocol``."""
SWITCHES = tuple(name for name in EvalProtocol.model_fields if name != "name")
"""What ``--switch NAME=VALUE`` changes."""


def make_protocol(name: str, switches: Sequence[str] = ()) -> EvalProtocol:
    """A preset with some of its switches changed, each given as ``NAME=VALUE`` with a JSON value or a word. Raises
    UsageError for an unknown preset or switch and for an invalid value."""
    if name not in PROTOCOLS:
        raise UsageError(f"--protocol {name}: unknown; give {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    for switch in switches:
        field, is_given, value = switch.partition("=")
        if field not in SWITCHES or not is_given:
            raise UsageError(f"--switch {switch}: not NAME=VALUE with one of {', '.join(SWITCHES)}")
        try:
            protocol = EvalProtocol.model_validate({**protocol.model_dump(), field: _value(value)})
        except ValidationError as error:
            problem = error.errors()[0]
            fix = "give FIRST,LAST,STEP as [1,180,12]" if field == "frame_numbers" else "fix that value"
            raise UsageError(f"--switch {switch}: {problem['msg']}; {fix}") from error
    return protocol


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a word, or brackets too deep for the parser
        return text


def describe_protocol(protocol: Mapping[str, Any] | None) -> str:
    """The name of a protocol and each switch that differs from its preset, as ``--switch`` takes it; empty for ours
    without changes. ``protocol`` is as in config.json."""
    if protocol is None:
        return ""
    label = str(protocol.get("name", "ours"))
    preset = PROTOCOLS.get(label, PROTOCOLS["ours"]).model_dump(mode="json")
    values = {name: protocol.get(name, preset[name]) for name in SWITCHES}
    changed = [f"{name}={_switch_text(value)}" for name, value in values.items() if value != preset[name]]
    return " ".join([f"protocol {label}", *changed]) if changed or label != "ours" else ""


def _switch_text(value: object) -> str:
    """A value as ``--switch`` takes it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def apply_to_team(protocol: EvalProtocol, team: TeamConfig) -> TeamConfig:
    """The team as the protocol has it asked."""
    changed: dict[str, object] = {
        name: value for name in ("style", "actions", "look_tag") if (value := getattr(protocol, name)) is not None
    }
    if protocol.max_reply_tokens is not None:
        changed["master"] = team.master.model_copy(update={"max_tokens": protocol.max_reply_tokens})
    if protocol.frame_numbers is not None:
        changed["vision"] = team.vision.model_copy(update={"frame_numbers": protocol.frame_numbers})
    if protocol.question_first:
        changed |= _question_first(team)
    return team.model_copy(update=changed)


def _question_first(team: TeamConfig) -> dict[str, PromptLayout | None]:
    """The fields of a layout with the question before the subtitles, unless the team has a grounding prompt of its
    own."""
    layout = team.read_layout()
    if layout.grounding_prompt != default_layout().grounding_prompt:
        return {}
    changed = replace(layout, grounding_prompt=QUESTION_FIRST_PROMPT)
    return {"layout": changed, "layout_file": None, "prompt_file": None}


def apply_to_settings(protocol: EvalProtocol, settings: RolloutSettings) -> RolloutSettings:
    """The limits of a rollout as the protocol has them."""
    return replace(settings, max_rounds=settings.max_rounds + protocol.extra_rounds)
