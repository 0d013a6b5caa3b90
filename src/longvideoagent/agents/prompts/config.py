"""How the text that a team's models read is configured: the fields that team files and training files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_serializer, field_validator
from pydantic_core import PydanticCustomError

from longvideoagent.agents.prompts import default_layout, parse_layout, read_layout, with_prompt
from longvideoagent.core.actions import PAPER_LOOK_TAG, LookTag
from longvideoagent.core.context import Style
from longvideoagent.core.layout import LAYOUT_FIELDS, ORIGIN_FIELDS, PromptLayout, layout_problem
from longvideoagent.errors import DataError, read_problem

LAYOUT_ERROR = "layout"
"""The type of errors in ``PromptConfig.layout``; each names its fix."""


class PromptConfig(BaseModel):
    """How the master's context grows, and its wording."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    style: Style = Style.TURNS
    """How the master's context grows."""
    look_tag: LookTag = PAPER_LOOK_TAG
    """The spelling of the look action in the master's prompt; replies may use either."""
    actions: Literal["after_reasoning", "anywhere"] = "after_reasoning"
    """Where in a reply an action counts; ``anywhere`` is the rule of the public code (see ``core.protocol.parse``)."""
    layout: PromptLayout | None = None
    """The texts around the data; those that are left out are the default layout's."""
    layout_file: Path | None = None
    """A TOML file with a layout, instead of ``layout``."""
    prompt_file: Path | None = None
    """A file that replaces the prompt of the layout; blanks at its end are left out."""

    @field_validator("layout", mode="plain")
    @classmethod
    def _parse_layout(cls, value: Any) -> PromptLayout | None:
        if value is None or isinstance(value, PromptLayout):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError(LAYOUT_ERROR, "not a table; write [layout] and its fields below")
        try:
            return parse_layout(value)
        except ValueError as error:
            raise PydanticCustomError(LAYOUT_ERROR, "{problem}", {"problem": str(error)}) from error

    @field_validator("layout_file")
    @classmethod
    def _check_one_layout(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None and info.data.get("layout") is not None:
            raise ValueError("replaces the table layout; leave out one of them")
        return path

    @field_serializer("layout")
    def _dump_layout(self, layout: PromptLayout | None) -> dict[str, str | bool] | None:
        if layout is None:
            return None
        fields = {name: getattr(layout, name) for name in LAYOUT_FIELDS}
        return {name: value for name, value in fields.items() if value or name not in ORIGIN_FIELDS}

    @property
    def actions_anywhere(self) -> bool:
        """Whether an action counts wherever it is in a reply."""
        return self.actions == "anywhere"

    def read_layout(self) -> PromptLayout:
        """Return the layout, with the prompt of ``prompt_file``. Raises DataError for a file that cannot be used."""
        layout = self.layout or default_layout()
        if self.layout_file is not None:
            layout = read_layout(self.layout_file)
        if self.prompt_file is None:
            return layout
        layout = with_prompt(layout, read_prompt(self.prompt_file))
        if problem := layout_problem(layout):
            raise DataError(f"{self.prompt_file}: {problem}")
        return layout


def read_prompt(path: Path) -> str:
    """Read a prompt from a file, without the blanks at its end. Raises DataError if it cannot be read, or is empty."""
    try:
        prompt = path.read_text(encoding="utf-8-sig").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a prompt ({read_problem(error)}); check the path") from error
    if not prompt:
        raise DataError(f"{path}: is empty; write the prompt into it, or leave it out")
    return prompt
