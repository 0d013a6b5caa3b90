"""A team made from its roster: models for their specs, agents around the models."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from longvideoagent.agents.base import Team
from longvideoagent.agents.config import OFFLINE, Role, Roster, load_roster
from longvideoagent.agents.grounding import SETTINGS as GROUNDING_SETTINGS
from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.master import SETTINGS as MASTER_SETTINGS
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import offline_team
from longvideoagent.agents.vision import ModelVision
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import cache_folder
from longvideoagent.models.base import DEFAULTS, Hear, Model, Price
from longvideoagent.models.cache import Memory, RememberingModel
from longvideoagent.models.retry import Gate, Patience, PatientModel
from longvideoagent.models.scripted import ScriptedModel

PATIENCE = Patience()
SPECS = "offline, openai:NAME, openai:NAME@URL, transformers:PATH, vllm:PATH or scripted:FILE"


def load_team(
    roster: str | Roster = OFFLINE,
    cache: Path | None = None,
    hear: Hear | None = None,
    patience: Patience = PATIENCE,
) -> Team:
    """The team of a roster or of its name. Roles with the same model on the same terms share it.
    ``cache`` is a file that remembers replies, and what the offline vision saw; None asks anew every time. Models
    in this process are not remembered, since a folder may hold other weights tomorrow. ``hear`` is told a model
    master's replies as they grow; ``patience`` is had with servers. Raises UsageError or DataError where a part of it
    cannot be."""
    if isinstance(roster, str):
        roster = load_roster(roster)
    read_prompt(roster.prompt_file)  # a missing one is told whoever plays the master
    roles = (roster.master, roster.grounding, roster.vision)
    memory = _open_memory(cache, is_needed=any(role.model.startswith("openai:") for role in roles))
    models: dict[tuple[object, ...], Model] = {}
    for role in roles:
        if role.model != OFFLINE and _terms(role) not in models:
            models[_terms(role)] = _load_model(role, memory, roster, patience)
    master, grounding, vision = (models.get(_terms(role)) for role in roles)
    team = offline_team(memory)
    if master is not None:
        team = replace(team, master=_master(roster, master, hear))
    if grounding is not None:
        settings = roster.grounding.settings(GROUNDING_SETTINGS)
        team = replace(team, grounding=ModelGrounding(grounding, settings, is_guided=roster.grounding.guided))
    if vision is not None:
        role = roster.vision
        eyes = ModelVision(vision, role.settings(DEFAULTS), most_frames=role.most_frames, most_bytes=role.most_bytes)
        team = replace(team, vision=eyes)
    name = ", ".join(role.model for role in roles) if models else OFFLINE
    return replace(team, name=name, models=tuple(models.values()))


def _open_memory(path: Path | None, *, is_needed: bool) -> Memory | None:
    """The memory in a file. Raises DataError where it cannot be opened and replies of servers are to be kept; the
    offline agents do without."""
    try:
        return None if path is None else Memory(path)
    except DataError:
        if is_needed:
            raise
        return None


def cache_path() -> Path:
    """Where replies and sights are remembered: in the user's cache folder."""
    return cache_folder() / "replies.sqlite"


def read_prompt(path: Path | None) -> str | None:
    """A wording from a file; None for none. Raises DataError where it cannot be read."""
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a prompt ({error}); check the path") from error


def _terms(role: Role) -> tuple[object, ...]:
    """What makes one model of a role and not another; the rest is said with each call."""
    limits = (role.timeout_s, role.most_at_once, role.most_per_minute, role.context_tokens)
    return role.model, role.key_variable, role.thinks, role.completion_prompt, *limits


def _master(roster: Roster, model: Model, hear: Hear | None) -> ModelMaster:
    prompt = read_prompt(roster.prompt_file)
    return ModelMaster(model, roster.style, prompt, roster.look_tag, roster.master.settings(MASTER_SETTINGS), hear)


def _load_model(role: Role, memory: Memory | None, roster: Roster, patience: Patience) -> Model:
    kind, _, target = role.model.partition(":")
    match kind if target else "":
        case "scripted":
            return ScriptedModel.from_file(Path(target))
        case "openai":
            return _on_server(role, memory, roster, patience)
        case "transformers":
            _need("transformers", "torch", "transformers")
            from longvideoagent.models.transformers import TransformersModel

            most = role.most_at_once if "most_at_once" in role.model_fields_set else TransformersModel.most_at_once
            return TransformersModel(target, most, role.context_tokens)
        case "vllm":
            _need("vllm", "vllm")
            from longvideoagent.models.vllm import VLLMModel

            return VLLMModel(target, role.context_tokens)
        case _:
            raise UsageError(f"{role.model}: no such model; give {SPECS}")


def _need(extra: str, *packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise UsageError(f"{missing[0]} is not installed; pip install 'longvideoagent[{extra}]'")


def _on_server(role: Role, memory: Memory | None, roster: Roster, patience: Patience) -> Model:
    name, at, url = role.model.removeprefix("openai:").partition("@")
    if not name or (at and not url):
        raise UsageError(f"{role.model}: no such model; give {SPECS}")
    if url and not url.startswith(("http://", "https://")):
        raise UsageError(f"{role.model}: {url!r} is no address; begin it with http:// or https://")
    try:
        is_address = not url or (urlsplit(url).hostname is not None and (urlsplit(url).port or 1) > 0)
    except ValueError:
        is_address = False
    if not is_address:
        raise UsageError(f"{role.model}: {url!r} is no address; give http://HOST:PORT/v1")
    if not url and not os.environ.get("OPENAI_BASE_URL") and not os.environ.get(role.key_variable):
        raise UsageError(f"{role.key_variable} is not set; export it, or name a server: {role.model}@URL")
    from longvideoagent.models.openai import OpenAIModel  # takes a second to import

    cost = roster.prices.get(name)
    price = Price(cost.prompt, cost.completion) if cost else None
    server = OpenAIModel(
        name, url or None, role.key_variable, role.timeout_s, role.thinks, role.completion_prompt, price
    )
    patient = PatientModel(server, patience, gate=Gate(role.most_at_once, most_per_minute=role.most_per_minute))
    if memory is None:
        return patient
    return RememberingModel(patient, memory, f"{name}@{server.where} {role.thinks} {role.completion_prompt}")
