"""A team made from its roster: models for their specs, agents around the models."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from longvideoagent.agents.base import Team
from longvideoagent.agents.config import OFFLINE, AgentConfig, TeamConfig, load_team_config
from longvideoagent.agents.grounding import SETTINGS as GROUNDING_SETTINGS
from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.master import SETTINGS as MASTER_SETTINGS
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import offline_team
from longvideoagent.agents.vision import ModelVision
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import cache_dir
from longvideoagent.models.base import DEFAULTS, Model, TextCallback
from longvideoagent.models.cache import CachedModel, KeyValueCache
from longvideoagent.models.retry import AdaptiveLimiter, RetryingModel, RetryPolicy
from longvideoagent.models.scripted import ScriptedModel

DEFAULT_RETRY_POLICY = RetryPolicy()
SPECS = "offline, openai:NAME, openai:NAME@URL, transformers:PATH, vllm:PATH or scripted:FILE"


def load_team(
    team_config: str | TeamConfig = OFFLINE,
    cache: Path | None = None,
    on_text: TextCallback | None = None,
    retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
) -> Team:
    """The team of a roster or of its name. Roles with the same model on the same terms share it.
    ``cache`` is a file that remembers replies, and what the offline vision saw; None asks anew every time. Models
    in this process are not remembered, since a folder may hold other weights tomorrow. ``on_text`` is told a model
    master's replies as they grow; ``retry_policy`` says how often servers are
    tried again. Raises UsageError or DataError where a part of it cannot be."""
    if isinstance(team_config, str):
        team_config = load_team_config(team_config)
    read_prompt(team_config.prompt_file)  # a missing one is told whoever plays the master
    roles = (team_config.master, team_config.grounding, team_config.vision)
    memory = _open_memory(cache, is_needed=any(role.model.startswith("openai:") for role in roles))
    models: dict[tuple[object, ...], Model] = {}
    for role in roles:
        if role.model != OFFLINE and _terms(role) not in models:
            models[_terms(role)] = _load_model(role, memory, team_config, retry_policy)
    master, grounding, vision = (models.get(_terms(role)) for role in roles)
    team = offline_team(memory)
    if master is not None:
        team = replace(team, master=_master(team_config, master, on_text))
    if grounding is not None:
        settings = team_config.grounding.settings(GROUNDING_SETTINGS)
        team = replace(
            team,
            grounding=ModelGrounding(grounding, settings, structured_output=team_config.grounding.structured_output),
        )
    if vision is not None:
        role = team_config.vision
        eyes = ModelVision(
            vision, role.settings(DEFAULTS), max_frames=role.max_frames, max_image_bytes=role.max_image_bytes
        )
        team = replace(team, vision=eyes)
    name = ", ".join(role.model for role in roles) if models else OFFLINE
    return replace(team, name=name, models=tuple(models.values()))


def _open_memory(path: Path | None, *, is_needed: bool) -> KeyValueCache | None:
    """The memory in a file. Raises DataError where it cannot be opened and replies of servers are to be kept; the
    offline agents do without."""
    try:
        return None if path is None else KeyValueCache(path)
    except DataError:
        if is_needed:
            raise
        return None


def cache_path() -> Path:
    """Where replies and sights are remembered: in the user's cache folder."""
    return cache_dir() / "replies.sqlite"


def read_prompt(path: Path | None) -> str | None:
    """A wording from a file; None for none. Raises DataError where it cannot be read."""
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a prompt ({error}); check the path") from error


def _terms(role: AgentConfig) -> tuple[object, ...]:
    """What makes one model of a role and not another; the rest is said with each call."""
    limits = (role.timeout_s, role.max_concurrency, role.requests_per_minute, role.max_context_tokens)
    return role.model, role.api_key_env, role.reasoning, role.completion_template, *limits


def _master(team_config: TeamConfig, model: Model, on_text: TextCallback | None) -> ModelMaster:
    prompt = read_prompt(team_config.prompt_file)
    return ModelMaster(
        model, team_config.style, prompt, team_config.look_tag, team_config.master.settings(MASTER_SETTINGS), on_text
    )


def _load_model(
    role: AgentConfig, memory: KeyValueCache | None, team_config: TeamConfig, retry_policy: RetryPolicy
) -> Model:
    kind, _, target = role.model.partition(":")
    match kind if target else "":
        case "scripted":
            return ScriptedModel.from_file(Path(target))
        case "openai":
            return _on_server(role, memory, team_config, retry_policy)
        case "transformers":
            _need("transformers", "torch", "transformers")
            from longvideoagent.models.transformers import TransformersModel

            most = (
                role.max_concurrency
                if "max_concurrency" in role.model_fields_set
                else TransformersModel.max_concurrency
            )
            return TransformersModel(target, most, role.max_context_tokens)
        case "vllm":
            _need("vllm", "vllm")
            from longvideoagent.models.vllm import VLLMModel

            return VLLMModel(target, role.max_context_tokens)
        case _:
            raise UsageError(f"{role.model}: no such model; give {SPECS}")


def _need(extra: str, *packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise UsageError(f"{missing[0]} is not installed; pip install 'longvideoagent[{extra}]'")


def _on_server(
    role: AgentConfig, memory: KeyValueCache | None, team_config: TeamConfig, retry_policy: RetryPolicy
) -> Model:
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
    if not url and not os.environ.get("OPENAI_BASE_URL") and not os.environ.get(role.api_key_env):
        raise UsageError(f"{role.api_key_env} is not set; export it, or name a server: {role.model}@URL")
    from longvideoagent.models.openai import OpenAIModel  # takes a second to import

    price = team_config.prices.get(name)
    server = OpenAIModel(
        name, url or None, role.api_key_env, role.timeout_s, role.reasoning, role.completion_template, price
    )
    patient = RetryingModel(
        server,
        retry_policy,
        limiter=AdaptiveLimiter(role.max_concurrency, requests_per_minute=role.requests_per_minute),
    )
    if memory is None:
        return patient
    return CachedModel(patient, memory, f"{name}@{server.where} {role.reasoning} {role.completion_template}")
