"""The default layout, in ``layout.toml``, and layouts of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from longvideoagent.core.actions import PAPER_LOOK_TAG
from longvideoagent.core.context import Style, messages
from longvideoagent.core.layout import LAYOUT_FIELDS, TOOL_FIELDS, PromptLayout, layout_problem
from longvideoagent.core.text import replace_surrogates
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Message
from longvideoagent.errors import DataError, parse_toml, read_problem


@cache
def default_layout() -> PromptLayout:
    """Return the layout that is used unless another one is given."""
    text = resources.files(__name__).joinpath("layout.toml").read_text(encoding="utf-8")
    return PromptLayout(**parse_toml(text, "layout.toml"))


def parse_layout(values: Mapping[str, Any]) -> PromptLayout:
    """Return the default layout with some of its texts replaced. Raises ValueError, which names the field, for an
    unknown field, a value that is not a text, and a template with an unknown ``$field``."""
    for name, value in values.items():
        if name not in LAYOUT_FIELDS:
            nearest = get_close_matches(name, LAYOUT_FIELDS, n=1)
            question = f"did you mean {nearest[0]}? " if nearest else ""
            raise ValueError(f"{name}: unknown field; {question}lva layout show prints all fields")
        kind = bool if name == "boxes_as_json" else str
        if not isinstance(value, kind):
            raise ValueError(f"{name}: not a {'boolean' if kind is bool else 'text'}; fix that field")
        if isinstance(value, str) and replace_surrogates(value) != value:
            raise ValueError(f"{name}: holds half a character, a lone surrogate; fix that field")
    layout = replace(default_layout(), **values)
    if problem := layout_problem(layout):
        raise ValueError(problem)
    return layout


def with_tool_texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a layout that was stored before layouts had texts for masters that call tools, with the
    default ones."""
    return {**{name: getattr(default_layout(), name) for name in TOOL_FIELDS}, **values}


def read_layout(path: Path) -> PromptLayout:
    """Read a layout from a TOML file; a text that it leaves out is the default one's. Raises DataError, naming line or
    field, for a file that cannot be used."""
    try:
        values = parse_toml(path.read_text(encoding="utf-8-sig"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a layout ({read_problem(error)}); check the path") from error
    try:
        return parse_layout(values)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def with_prompt(layout: PromptLayout, prompt: str) -> PromptLayout:
    """Return the layout with another prompt for the master, whichever agents it can call, and however it does."""
    return replace(
        layout,
        prompt=prompt,
        prompt_without_vision="",
        prompt_without_agents="",
        tool_prompt=prompt,
        tool_prompt_without_vision="",
    )


def master_messages(
    trace: Trace, style: Style = Style.TURNS, layout: PromptLayout | None = None, look_tag: str = PAPER_LOOK_TAG
) -> list[Message]:
    """Return the master's context before its next reply, by default in the default layout.

    See ``core.context.messages``.
    """
    return messages(trace, layout or default_layout(), style, look_tag)
