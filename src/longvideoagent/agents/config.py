"""Who plays which role, in words: the TOML form of a team."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from longvideoagent.agents.vision import FRAMES, MAX_IMAGE_BYTES
from longvideoagent.core.context import Style
from longvideoagent.errors import DataError, UsageError
from longvideoagent.models.base import CallSettings, TokenPrice

T = TypeVar("T", bound=BaseModel)
OFFLINE = "offline"
PRESETS = ("qwen3-4b", "qwen2.5-7b", "qwen2.5-3b")
"""Teams whose master is a released checkpoint."""


class AgentConfig(BaseModel):
    """One role: a model, and how it is asked. What is left out keeps the role's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = OFFLINE
    """``offline``, ``openai:NAME`` (key in OPENAI_API_KEY, server in OPENAI_BASE_URL),
    ``openai:NAME@http://host:8000/v1``, ``transformers:PATH_OR_ID``, ``vllm:PATH_OR_ID`` or
    ``scripted:FILE``."""
    temperature: Annotated[float | None, Field(ge=0)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    extra_body: dict[str, Any] = {}
    reasoning: bool = False
    """Whether the model thinks before it speaks; its server then does not stop at an action."""
    completion_template: str | None = None
    """The chat template written out, with $prompt, to ask a server's text completions with."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "OPENAI_API_KEY"
    """The name of the environment variable that holds the key; the key itself stands nowhere."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    max_concurrency: Annotated[int, Field(ge=1)] = 64
    """Calls under way at once, at most; in this process, replies in one batch."""
    requests_per_minute: Annotated[int | None, Field(ge=1)] = None
    """Calls begun in a minute, at most."""
    max_context_tokens: Annotated[int | None, Field(ge=1)] = None
    """The context length to serve the model with, or to run it with in this process."""
    structured_output: bool = False
    """Whether a JSON schema that allows only labels that exist is sent along (grounding)."""
    max_frames: Annotated[int, Field(ge=1)] = FRAMES
    """Frames shown in one look (vision)."""
    max_image_bytes: Annotated[int, Field(ge=1)] = MAX_IMAGE_BYTES
    """Bytes of frames shown in one look (vision)."""

    @field_validator("extra_body")
    @classmethod
    def _is_json(cls, told: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(told, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"no JSON ({error})") from error
        if {"messages", "model", "prompt", "stream"} & told.keys():
            raise ValueError("holds what is set by the loop itself")
        return told

    @property
    def model_name(self) -> str:
        """The model without its back end and server: what a price is told for."""
        return self.model.partition(":")[2].partition("@")[0]

    def settings(self, default: CallSettings) -> CallSettings:
        """How its model is asked."""
        return CallSettings(
            default.temperature if self.temperature is None else self.temperature,
            default.max_tokens if self.max_tokens is None else self.max_tokens,
            default.stop_at_action,
            extra_body=self.extra_body,
        )


class TeamConfig(BaseModel):
    """The three roles, and how a master played by a model is talked to. The TOML form of a team."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    master: AgentConfig = AgentConfig()
    grounding: AgentConfig = AgentConfig()
    vision: AgentConfig = AgentConfig()
    style: Style = Style.TURNS
    """How the master's context grows."""
    look_tag: Literal["visual_query", "search"] = "visual_query"
    """The spelling of the look action that its prompt teaches; both are understood."""
    prompt_file: Path | None = None
    """Another wording of the master's prompt."""
    prices: dict[str, TokenPrice] = {}
    """What models cost, by name."""

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Names of models on servers whose price is not told."""
        served = (role for role in (self.master, self.grounding, self.vision) if role.model.startswith("openai:"))
        return tuple(dict.fromkeys(role.model_name for role in served if role.model_name not in self.prices))

    def with_models(self, *, prompt_file: Path | None = None, **models: str | None) -> TeamConfig:
        """The roster with other models in the roles that are given one, asked on the same terms, and
        with another wording where one is given."""
        named = {role: model for role, model in models.items() if model is not None}
        changed: dict[str, Any] = {
            role: getattr(self, role).model_copy(update={"model": model}) for role, model in named.items()
        }
        if prompt_file is not None:
            changed["prompt_file"] = prompt_file
        return self.model_copy(update=changed)


def load_team_config(name: str) -> TeamConfig:
    """``offline``, the name of a preset, or a TOML file. Raises UsageError for an unknown name and
    DataError, naming line or field, for a file that cannot be used."""
    if name == OFFLINE:
        return TeamConfig()
    if name in PRESETS:
        text = resources.files("longvideoagent.agents.presets").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{name}: cannot be read as a team ({error}); check the path") from error
    else:
        raise UsageError(f"no team is called {name!r}; there are {', '.join((OFFLINE, *PRESETS))} and FILE.toml")
    return parse_toml(TeamConfig, text, name)


def parse_toml(kind: type[T], text: str, name: str) -> T:
    """A typed value from TOML. Raises DataError, naming line or field of the file ``name``, where it is none."""
    try:
        return kind.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: no TOML ({error}); mend that line") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        told = "no such field" if first["type"] == "extra_forbidden" else first["msg"]
        raise DataError(f"{name}: {field}: {told}; mend that field") from error
