"""The models of the agents where a command or a call chooses none.

They come from the environment variable LVA_MODEL, for all agents, or else from the user's ``config.toml``, which
``lva config`` writes; without both, the agents are offline. What a command chooses has precedence, agent by agent:
``--master``, ``--grounding`` and ``--vision`` before ``--model``, and that before ``--team``. A ``--team`` stands for
itself: neither the variable nor the file changes it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.team_file import load_team_config, validate_toml
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import atomic_write_text, config_dir
from longvideoagent.models.spec import ModelSpec

MODEL_ENV = "LVA_MODEL"


class DefaultModels(BaseModel):
    """Model specs. The TOML form of the user's ``config.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: str | None = None
    """The model of all agents."""
    master: str | None = None
    """The master's model, in place of ``model``; likewise the next two."""
    grounding: str | None = None
    vision: str | None = None

    def applied(self, team_config: TeamConfig) -> TeamConfig:
        """A team with these models. What is None stays."""
        return team_config.with_models(**self.model_dump())


def user_config_path() -> Path:
    """The user's ``config.toml``, which may not exist."""
    return config_dir() / "config.toml"


def read_user_config() -> DefaultModels:
    """What the user's ``config.toml`` sets. Raises DataError for a file that cannot be used, and UsageError for a model
    that does not exist."""
    path = user_config_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return DefaultModels()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); fix or delete it") from error
    models = validate_toml(DefaultModels, text, str(path))
    for name, spec in models.model_dump(exclude_none=True).items():
        _check_spec(spec, f"{path}: {name}")
    return models


def write_user_config(models: DefaultModels) -> None:
    """Replace the user's ``config.toml``."""
    values = models.model_dump(exclude_none=True)
    atomic_write_text(user_config_path(), "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))


def default_models() -> DefaultModels:
    """The models in force where nothing chooses others. Raises UsageError for a model that does not exist, and
    DataError for a file that cannot be used."""
    text = os.environ.get(MODEL_ENV, "").strip()
    if not text:
        return read_user_config()
    _check_spec(text, MODEL_ENV)
    return DefaultModels(model=text)


def default_models_source() -> str:
    """Where the default models are set: LVA_MODEL, or the path of the user's ``config.toml``."""
    return MODEL_ENV if os.environ.get(MODEL_ENV, "").strip() else str(user_config_path())


def _check_spec(text: str, source: str) -> None:
    try:
        ModelSpec.parse(text)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


def choose_team(team: str | None, models: DefaultModels, prices: Path | None = None) -> TeamConfig:
    """The team that a command chooses.

    Args:
        team: ``offline``, a preset or a TOML file; None: the default models.
        models: Models to use in place of the team's.
        prices: A table of prices; see ``load_team_config``.

    Returns:
        The configuration.

    Raises:
        UsageError: A team or model does not exist.
        DataError: A file cannot be used.
    """
    if team is not None:
        return models.applied(load_team_config(team, prices))
    return models.applied(default_models().applied(load_team_config("offline", prices)))
