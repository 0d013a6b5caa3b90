"""How the text that the models read is written: every sentence and every line break around the data, as one value.

A checkpoint is only as good as the text that it was trained on is repeated, so nothing is stripped or joined
implicitly: the templates are ``string.Template`` texts, used byte for byte. ``agents.prompts`` ships the default
layout; ``agents.prompts.public_code`` reads the one of the public code out of a checkout of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from string import Template

MAX_OPTION_FIELDS = 10
"""Options that a template can name one by one, as ``$a0`` to ``$a9``."""
_QUESTION = frozenset({"question", "options", *(f"a{index}" for index in range(MAX_OPTION_FIELDS))})
_MASTER = _QUESTION | {"max_rounds", "actions", "look_tag", "answer_form", "first_clip", "history"}
_CLIP = frozenset({"label", "start", "end", "lines", "raw_text"})
_OBSERVED_CLIP = _CLIP | {"clips"}
_GROUNDING = _QUESTION | {
    "subtitles", "raw_subtitles", "current", "visited", "max_clips", "reply_format", "request",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PromptLayout:
    """The texts around the data. Those in ``TEMPLATE_FIELDS`` are templates; the others are inserted as they are."""

    prompt: str
    """The master's prompt. ``$options`` are all options, by ``option``; ``$a0`` to ``$a9`` single ones."""
    prompt_without_vision: str
    """The prompt of a master that cannot look; empty: ``prompt``."""
    prompt_without_agents: str
    """The prompt of a master that cannot call any agent; empty: ``prompt``."""
    tool_prompt: str
    """The prompt of a master that calls tools in place of writing tags."""
    tool_prompt_without_vision: str
    """The same, of a master that cannot look; empty: ``tool_prompt``."""
    option: str
    """One option: ``$index``, ``$option``."""
    option_join: str
    first_clip: str
    """The first clip in the prompt. ``$lines`` has times and headings, ``$raw_text`` the text as the data set has it;
    ``$clips`` is the evidence window, each clip by ``clip``."""
    no_first_clip: str
    """What stands in the prompt if no clip was located."""
    clip: str
    """One clip of the evidence window, in ``$clips`` of the others. A clip without text is left out."""
    clip_join: str
    new_clip: str
    """The observation of a relocation; fields as in ``first_clip``."""
    vision_result: str
    """The observation of a look: ``$seen``, and ``$boxes`` as written by ``boxes`` or ``no_boxes``."""
    boxes: str
    """The gold boxes of the clip, for runs that show them: ``$boxes``, lines by ``box_frame`` and ``box``."""
    no_boxes: str
    """The text in place of ``boxes`` if there are none: ``$label`` is the clip."""
    box_frame: str
    """The line before the boxes of one frame: ``$frame``, ``$time_s``; empty: no such line."""
    box: str
    """One box: ``$label``, ``$left``, ``$top``, ``$width``, ``$height``, ``$frame``, ``$time_s``."""
    boxes_as_json: bool
    """Whether ``$boxes`` is a JSON object instead, of lists [left, top, width, height, label] by frame number."""
    invalid_reply: str
    """The observation after a reply without a valid action: ``$reason``, and ``$actions`` as in ``prompt``."""
    tool_invalid_reply: str
    """The same to a master that calls tools: ``$reason``."""
    notice: str
    """Any other notice to the master: ``$text``."""
    last_round: str
    """The notice after everything else, before the master's last reply; may be empty."""
    tool_last_round: str
    """The same to a master that calls tools."""
    prompt_end: str
    """The text after the prompt, before everything that follows."""
    before_observation: str
    """Before each observation, in every style but turns."""
    after_observation: str
    """After each observation, in every style but turns."""
    before_reply: str
    """Before each reply but the first, in style continuation."""
    grounding_prompt: str
    """The prompt of the grounding agent. ``$subtitles`` has lines by clip, ``$raw_subtitles`` the texts as the data set
    has them, as ``<label>text</label>`` lines; ``$current`` is the clip that did not settle it."""
    regrounding_prompt: str
    """The prompt after the first grounding; empty: ``grounding_prompt``."""
    vision_prompt: str
    """The prompt of the vision agent, after its frames: ``$query``, ``$num_frames``, ``$boxes``."""
    frame_label: str
    """The text before each frame: ``$time_s``; empty: frames follow each other."""
    protocol: str
    """The protocol of the public code that the texts were imported for; empty: for any. No model reads it."""
    dataset: str
    """The data set that the texts were imported for; empty: for any. No model reads it."""


LAYOUT_FIELDS = tuple(field.name for field in fields(PromptLayout))
"""The names of the fields of a layout."""
ORIGIN_FIELDS = ("protocol", "dataset")
"""The fields that name where the texts are from. The others are texts, or say how to write them."""
MASTER_FIELDS = tuple(
    name
    for name in LAYOUT_FIELDS
    if name not in ("grounding_prompt", "regrounding_prompt", "vision_prompt", "frame_label")
)
"""The fields that decide what the master reads."""
TOOL_FIELDS = ("tool_prompt", "tool_prompt_without_vision", "tool_invalid_reply", "tool_last_round")
"""The texts for a master that calls tools."""
TEMPLATE_FIELDS: Mapping[str, frozenset[str]] = {
    "prompt": _MASTER,
    "prompt_without_vision": _MASTER,
    "prompt_without_agents": _MASTER,
    "tool_prompt": _MASTER,
    "tool_prompt_without_vision": _MASTER,
    "option": frozenset({"index", "option"}),
    "first_clip": _OBSERVED_CLIP,
    "no_first_clip": frozenset(),
    "clip": _CLIP,
    "new_clip": _OBSERVED_CLIP,
    "vision_result": frozenset({"seen", "boxes"}),
    "boxes": frozenset({"boxes"}),
    "no_boxes": frozenset({"label"}),
    "box_frame": frozenset({"frame", "time_s"}),
    "box": frozenset({"label", "left", "top", "width", "height", "frame", "time_s"}),
    "invalid_reply": frozenset({"reason", "actions"}),
    "tool_invalid_reply": frozenset({"reason"}),
    "notice": frozenset({"text"}),
    "grounding_prompt": _GROUNDING,
    "regrounding_prompt": _GROUNDING,
    "vision_prompt": frozenset({"query", "num_frames", "boxes"}),
    "frame_label": frozenset({"time_s"}),
}
"""The fields of each template."""
_REQUIRED_FIELDS: Mapping[str, str] = {"option": "option", "vision_result": "seen", "notice": "text"}
"""The field that a template must have, since no other template shows its value."""
_REQUIRED_PROMPTS = ("prompt", "tool_prompt", "grounding_prompt", "vision_prompt")
_PLAIN_TEXTS = tuple(name for name in LAYOUT_FIELDS if name not in (*TEMPLATE_FIELDS, "boxes_as_json"))
_ALL_FIELDS = frozenset().union(*TEMPLATE_FIELDS.values())


@lru_cache(maxsize=64)
def template_fields(template: str) -> frozenset[str]:
    """Return the names of the fields in a template, written ``$name`` or ``${name}``."""
    return frozenset(Template(template).get_identifiers())


def head_of(template: str, *names: str) -> str:
    """The template from its start to the end of the last of these fields; empty if it has none of them."""
    ends = [
        match.end() for match in Template.pattern.finditer(template) if (match["named"] or match["braced"]) in names
    ]
    return template[: max(ends, default=0)]


def fill(template: str, **values: object) -> str:
    """Insert values into a template of a layout. A ``$`` that begins no field stays as it is."""
    return Template(template).safe_substitute(values)


@lru_cache(maxsize=16)
def tool_layout(layout: PromptLayout) -> PromptLayout:
    """The same layout for a master that calls tools: with the texts for such a master in place of those about tags."""
    return replace(
        layout,
        prompt=layout.tool_prompt,
        prompt_without_vision=layout.tool_prompt_without_vision,
        invalid_reply=layout.tool_invalid_reply,
        last_round=layout.tool_last_round,
    )


def layout_problem(layout: PromptLayout) -> str:
    """The first problem of a layout, with its fix, or an empty text: an empty prompt, an unknown or a missing field of
    a template, or a field in a text that is not a template."""
    for name in _REQUIRED_PROMPTS:
        if not getattr(layout, name).strip():
            return f"{name}: is empty; write the text that the agent is asked with"
    for name, allowed in TEMPLATE_FIELDS.items():
        if not Template(getattr(layout, name)).is_valid():
            return f"{name}: a $ begins no field; write $$ for a dollar sign"
        unknown = sorted(template_fields(getattr(layout, name)) - allowed)
        if unknown:
            known = ", ".join(f"${field}" for field in sorted(allowed)) or "no field"
            return f"{name}: ${unknown[0]} is not a field of it; it has {known}"
    for name, field in _REQUIRED_FIELDS.items():
        if field not in template_fields(getattr(layout, name)):
            return f"{name}: leaves out ${field}, which nothing else shows; put it in"
    for name in _PLAIN_TEXTS:
        if fields_of_others := sorted(template_fields(getattr(layout, name)) & _ALL_FIELDS):
            return f"{name}: is not a template, so ${fields_of_others[0]} would be sent as it is; leave it out"
    return ""
