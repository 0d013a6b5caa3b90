"""Who plays which role, in words, and the team made from it."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from longvideoagent.agents.grounding import SETTINGS as GROUNDING_SETTINGS
from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import offline_team
from longvideoagent.agents.team import Team
from longvideoagent.agents.vision import FRAMES, ModelVision
from longvideoagent.context import Style
from longvideoagent.errors import DataError, UsageError
from longvideoagent.models.base import DEFAULTS, CallSettings, Model
from longvideoagent.models.cache import RememberingModel, ReplyStore
from longvideoagent.models.retry import Gate, PatientModel
from longvideoagent.models.scripted import ScriptedModel

OFFLINE = "offline"
PRESETS = ("qwen3-4b", "qwen2.5-7b", "qwen2.5-3b")
"""Teams whose master is a released checkpoint."""


class Role(BaseModel):
    """One role: a model, and how it is asked. What is left out keeps the role's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = OFFLINE
    """``offline``, ``openai:NAME`` (key in OPENAI_API_KEY, server in OPENAI_BASE_URL),
    ``openai:NAME@http://host:8000/v1`` or ``scripted:FILE``."""
    temperature: Annotated[float | None, Field(ge=0)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    extra_body: dict[str, Any] = {}
    key_variable: str = "OPENAI_API_KEY"
    """The name of the environment variable that holds the key; the key itself stands nowhere."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    most_at_once: Annotated[int, Field(ge=1)] = 64
    """Calls under way at once, at most."""
    context_tokens: Annotated[int | None, Field(ge=1)] = None
    """The context length to serve the model with; told by ``lva doctor --preset``."""
    most_frames: Annotated[int, Field(ge=1)] = FRAMES
    """Frames shown in one look (vision)."""

    def settings(self, default: CallSettings) -> CallSettings:
        """How its model is asked."""
        return CallSettings(
            default.temperature if self.temperature is None else self.temperature,
            default.max_tokens if self.max_tokens is None else self.max_tokens,
            extra_body=self.extra_body,
        )


class Roster(BaseModel):
    """The three roles, and how a master played by a model is talked to. The TOML form of a team."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    master: Role = Role()
    grounding: Role = Role()
    vision: Role = Role()
    style: Style = Style.TURNS
    """How the master's context grows."""
    look_tag: Literal["visual_query", "search"] = "visual_query"
    """The spelling of the look action that its prompt teaches; both are understood."""
    prompt_file: Path | None = None
    """Another wording of the master's prompt."""

    def replaced(self, **models: str | None) -> Roster:
        """The roster with other models in the roles that are given one, asked on the same terms."""
        named = {role: model for role, model in models.items() if model is not None}
        return self.model_copy(
            update={role: getattr(self, role).model_copy(update={"model": model}) for role, model in named.items()}
        )


def load_roster(name: str) -> Roster:
    """``offline``, the name of a preset, or a TOML file. Raises UsageError for an unknown name and
    DataError, naming line or field, for a file that cannot be used."""
    if name == OFFLINE:
        return Roster()
    if name in PRESETS:
        text = resources.files("longvideoagent.agents.presets").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{name}: cannot be read as a team ({error}); check the path") from error
    else:
        raise UsageError(f"no team is called {name!r}; there are {', '.join((OFFLINE, *PRESETS))} and FILE.toml")
    try:
        return Roster.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: no TOML ({error}); mend that line") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{name}: {field}: {first['msg']}; mend that field") from error


def load_team(roster: str | Roster = OFFLINE, cache: Path | None = None) -> Team:
    """The team of a roster or of its name. Roles with the same model on the same terms share it.
    ``cache`` is a file of remembered replies; None asks anew every time. Raises UsageError or DataError
    where a part of it cannot be."""
    if isinstance(roster, str):
        roster = load_roster(roster)
    roles = (roster.master, roster.grounding, roster.vision)
    store = ReplyStore(cache) if cache is not None and any(role.model.startswith("openai:") for role in roles) else None
    models: dict[tuple[object, ...], Model] = {}
    for role in roles:
        if role.model != OFFLINE and _terms(role) not in models:
            models[_terms(role)] = _load_model(role, store)
    master, grounding, vision = (models.get(_terms(role)) for role in roles)
    team = offline_team()
    if master is not None:
        team = replace(team, master=_master(roster, master))
    if grounding is not None:
        team = replace(team, grounding=ModelGrounding(grounding, roster.grounding.settings(GROUNDING_SETTINGS)))
    if vision is not None:
        settings, most_frames = roster.vision.settings(DEFAULTS), roster.vision.most_frames
        team = replace(team, vision=ModelVision(vision, settings, most_frames=most_frames))
    name = ", ".join(role.model for role in roles) if models else OFFLINE
    return replace(team, name=name, models=tuple(models.values()))


def cache_path() -> Path:
    """Where replies are remembered: in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longvideoagent" / "replies.sqlite"


def _terms(role: Role) -> tuple[object, ...]:
    return role.model, role.key_variable, role.timeout_s, role.most_at_once


def _master(roster: Roster, model: Model) -> ModelMaster:
    prompt = None
    if roster.prompt_file is not None:
        try:
            prompt = roster.prompt_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{roster.prompt_file}: cannot be read as a prompt ({error}); check the path") from error
    return ModelMaster(model, roster.style, prompt, roster.look_tag, roster.master.settings(DEFAULTS))


def _load_model(role: Role, store: ReplyStore | None) -> Model:
    kind, _, target = role.model.partition(":")
    if kind == "scripted" and target:
        return ScriptedModel.from_file(Path(target))
    name, _, url = target.partition("@")
    if kind != "openai" or not name:
        raise UsageError(f"{role.model}: no such model; give offline, openai:NAME, openai:NAME@URL or scripted:FILE")
    if url and not url.startswith(("http://", "https://")):
        raise UsageError(f"{role.model}: {url!r} is no address; begin it with http:// or https://")
    from longvideoagent.models.openai import OpenAIModel  # takes a second to import

    server = OpenAIModel(name, url or None, role.key_variable, role.timeout_s)
    patient = PatientModel(server, gate=Gate(role.most_at_once))
    return RememberingModel(patient, store, f"{name}@{server.where}") if store is not None else patient
