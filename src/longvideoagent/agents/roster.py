"""Who plays which role, in words, and the team made from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import offline_team
from longvideoagent.agents.team import Team
from longvideoagent.agents.vision import ModelVision
from longvideoagent.context import Style
from longvideoagent.errors import UsageError
from longvideoagent.models.base import Model
from longvideoagent.models.cache import RememberingModel, ReplyStore
from longvideoagent.models.retry import PatientModel
from longvideoagent.models.scripted import ScriptedModel

OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Roster:
    """A spec for each role: ``offline``, ``openai:NAME`` (OPENAI_API_KEY, OPENAI_BASE_URL),
    ``openai:NAME@http://host:8000/v1`` or ``scripted:FILE``. Roles with the same spec share a model."""

    master: str = OFFLINE
    grounding: str = OFFLINE
    vision: str = OFFLINE
    style: Style = Style.TURNS
    """How the context of a master played by a model grows."""
    cache: Path | None = None
    """A file of remembered replies; None asks anew every time."""


def load_team(roster: str | Roster = OFFLINE) -> Team:
    """The team of that name or roster. Raises UsageError for an unknown name or spec."""
    if isinstance(roster, str):
        if roster != OFFLINE:
            raise UsageError(f"no team is called {roster!r}; the one that ships is: {OFFLINE}")
        return offline_team()
    specs = (roster.master, roster.grounding, roster.vision)
    store = ReplyStore(roster.cache) if roster.cache is not None and any(_is_paid(spec) for spec in specs) else None
    models = {spec: _load_model(spec, store) for spec in dict.fromkeys(specs) if spec != OFFLINE}
    base = offline_team()
    return Team(
        name=", ".join(f"{role} {spec}" for role, spec in zip(("master", "grounding", "vision"), specs, strict=True)),
        master=base.master if roster.master == OFFLINE else ModelMaster(models[roster.master], roster.style),
        grounding=base.grounding if roster.grounding == OFFLINE else ModelGrounding(models[roster.grounding]),
        vision=base.vision if roster.vision == OFFLINE else ModelVision(models[roster.vision]),
        models=tuple(models.values()),
    )


def load_roster(team: str, specs: tuple[str | None, str | None, str | None], style: str, cache: Path | None) -> Team:
    """The team of that name with the roles for which a spec is given (master, grounding, vision)
    played by others. Raises UsageError for an unknown team, spec or style."""
    named = load_team(team)
    if specs == (None, None, None):
        return named
    if style not in list(Style):
        raise UsageError(f"--style {style}: no such style; there are {', '.join(Style)}")
    master, grounding, vision = (spec or OFFLINE for spec in specs)
    return load_team(Roster(master, grounding, vision, Style(style), cache))


def cache_path() -> Path:
    """Where replies are remembered: in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longvideoagent" / "replies.sqlite"


def _is_paid(spec: str) -> bool:
    return spec.startswith("openai:")


def _load_model(spec: str, store: ReplyStore | None) -> Model:
    kind, _, target = spec.partition(":")
    if kind == "scripted" and target:
        return ScriptedModel.from_file(Path(target))
    name, _, url = target.partition("@")
    if kind != "openai" or not name:
        raise UsageError(f"{spec}: no such model; give offline, openai:NAME, openai:NAME@URL or scripted:FILE")
    if url and not url.startswith(("http://", "https://")):
        raise UsageError(f"{spec}: {url!r} is no address; begin it with http:// or https://")
    from longvideoagent.models.openai import OpenAIModel  # takes a second to import

    server = OpenAIModel(name, url or None)
    patient = PatientModel(server)
    return RememberingModel(patient, store, f"{name}@{server.where}") if store is not None else patient
