"""Reads teams, presets and prices from TOML."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, RootModel, ValidationError

from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.presets import CHECKPOINTS, PRESETS
from longvideoagent.agents.prompts.config import LAYOUT_ERROR
from longvideoagent.errors import DataError, UsageError, parse_toml, read_problem
from longvideoagent.models.backends import OFFLINE
from longvideoagent.models.base import TokenPrice

T = TypeVar("T", bound=BaseModel)


class _PriceTable(RootModel[dict[str, TokenPrice]]):
    """Prices by the name of the model. The TOML form of a table."""


def load_prices(path: Path) -> dict[str, TokenPrice]:
    """The prices of a table, by the name of the model. Raises DataError, naming line or field, for a file that cannot
    be used."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as prices ({read_problem(error)}); check the path") from error
    return validate_toml(_PriceTable, text, str(path)).root


def load_team_config(name: str, prices: Path | None = None) -> TeamConfig:
    """``offline``, a preset or a TOML file, with the prices of the tables that it and ``prices`` name; the latter come
    first. Raises UsageError for an unknown name and DataError, naming line or field, for a file that cannot be used."""
    team_config = _read_team_config(name)
    if team_config.prices_file is not None:
        table = load_prices(Path(name).parent / team_config.prices_file)
        team_config = team_config.model_copy(update={"prices": {**table, **team_config.prices}})
    if prices is not None:
        team_config = team_config.model_copy(update={"prices": {**team_config.prices, **load_prices(prices)}})
    return team_config


def _read_team_config(name: str) -> TeamConfig:
    if name == OFFLINE:
        return TeamConfig()
    if name in (*PRESETS, *CHECKPOINTS):
        return validate_toml(TeamConfig, _preset_text(name), name)
    if not name.endswith(".toml"):
        raise UsageError(f"no team is called {name!r}; there are {', '.join((OFFLINE, *PRESETS))} and FILE.toml")
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: cannot be read as a team ({read_problem(error)}); check the path") from error
    team_config = validate_toml(TeamConfig, text, name)
    if team_config.preset is None:
        return team_config
    if team_config.preset not in (*PRESETS, *CHECKPOINTS):
        raise DataError(f"{name}: preset: {team_config.preset!r} is not one of {', '.join(PRESETS)}; fix that field")
    fields = parse_toml(_preset_text(team_config.preset), team_config.preset)
    for field, value in team_config.model_dump(exclude_unset=True).items():
        fields[field] = {**fields.get(field, {}), **value} if isinstance(value, dict) else value
    return TeamConfig.model_validate(fields)


def _preset_text(name: str) -> str:
    """The TOML text of a preset, or of the preset that a checkpoint's name stands for."""
    if name in CHECKPOINTS:
        name = f"{name}-as-trained"
    return resources.files("longvideoagent.agents.presets").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def validate_toml(kind: type[T], text: str, name: str) -> T:
    """A typed value from the TOML text of the file ``name``. Raises DataError, naming line or field."""
    try:
        return kind.model_validate(parse_toml(text, name))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise DataError(f"{name}: {field}: unknown field; {_field_hint(kind, first['loc'])}") from error
        fix = "" if first["type"] == LAYOUT_ERROR else "; fix that field"  # those of a layout have their own
        raise DataError(f"{name}: {field}: {first['msg']}{fix}") from error


def _field_hint(kind: type[BaseModel], path: Sequence[int | str]) -> str:
    """How to fix an unknown field: the field with the nearest name, else all fields of its table."""
    for part in path[:-1]:
        field = kind.model_fields.get(str(part))
        types = (field.annotation, *get_args(field.annotation)) if field is not None else ()
        tables = [each for each in types if isinstance(each, type) and issubclass(each, BaseModel)]
        if not tables:
            return "fix that field"
        kind = tables[0]
    nearest = get_close_matches(str(path[-1]), kind.model_fields, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(kind.model_fields)}"
