"""Builds a team from its configuration: models from their specs, agents around the models."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from longvideoagent.agents.base import Team
from longvideoagent.agents.config import TeamConfig, dialect_problem, missing_keys
from longvideoagent.agents.fallback_vision import FallbackVision
from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.agents.json_master import JsonMaster
from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.offline import Meaning, offline_team
from longvideoagent.agents.offline.windows import WindowGrounding
from longvideoagent.agents.reader import ReaderMaster
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.agents.tool_master import ToolMaster
from longvideoagent.agents.vision import ModelVision
from longvideoagent.core.actions import AgentName
from longvideoagent.core.layout import PromptLayout
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import cache_dir
from longvideoagent.index.store import KeyValueCache
from longvideoagent.log import logger
from longvideoagent.models.backends import OFFLINE
from longvideoagent.models.base import Model, ModelOptions, TextCallback
from longvideoagent.models.cache import CachedModel
from longvideoagent.models.object_detector import load_detector
from longvideoagent.models.retry import MAX_CONCURRENCY, AdaptiveLimiter, RetryingModel, RetryPolicy
from longvideoagent.models.sentence_encoder import load_encoder
from longvideoagent.models.spec import ModelSpec, load_model

DEFAULT_RETRY_POLICY = RetryPolicy()


def load_team(
    team_config: str | TeamConfig = OFFLINE,
    cache_file: Path | None = None,
    on_text: TextCallback | None = None,
    retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
) -> Team:
    """Load the team of a configuration or of its name. Agents with equal models and options share one model.

    Args:
        team_config: ``offline``, a preset, a TOML file or a ``TeamConfig``.
        cache_file: Keeps replies of servers and what the offline vision saw; None, or a file that cannot be used:
            nothing is kept.
        on_text: Called with a model master's replies as they grow.
        retry_policy: How often and how long calls to servers are retried.

    Returns:
        The team, for any number of questions. Connections open with the first request; ``close`` ends them.

    Raises:
        UsageError: A spec, a key or a package is missing or wrong.
        DataError: A file cannot be used.
    """
    if isinstance(team_config, str):
        team_config = load_team_config(team_config)
    layout = team_config.read_layout()  # a missing file is an error whatever the master is
    if problem := missing_keys(team_config) or dialect_problem(team_config) or _unused_weights(team_config):
        raise UsageError(problem)
    meaning = None if team_config.meaning is None else Meaning(load_encoder(team_config.meaning))
    detector = None if team_config.objects is None else load_detector(team_config.objects)
    agents = team_config.agents
    cache = _open_cache(cache_file, is_needed=any(agent.spec.is_cacheable for agent in agents.values()))
    loaded: dict[tuple[ModelSpec, ModelOptions], Model] = {}
    models: dict[AgentName, Model] = {}
    for name, agent in agents.items():
        if not agent.spec.is_offline:
            key = agent.spec, team_config.model_options(agent)
            if key not in loaded:
                loaded[key] = connect_model(*key, cache, retry_policy)
            models[name] = loaded[key]
    team = offline_team(cache, meaning, detector)
    if "master" in models:
        team = replace(team, master=_model_master(team_config, models["master"], layout, on_text))
    if "grounding" in models:
        team = replace(team, grounding=_model_grounding(team_config, models["grounding"], layout))
    if team_config.is_reader:
        team = replace(team, grounding=WindowGrounding(team.grounding))
    if "vision" in models:
        vision = _model_vision(team_config, models["vision"], layout)
        is_shared = models["vision"] is models.get("master")
        team = replace(team, vision=FallbackVision(vision, team.vision) if is_shared else vision)
    team_name = ", ".join(agent.label for agent in agents.values()) if models else OFFLINE
    offline_agents = frozenset(agents) - models.keys()
    return replace(
        team,
        name=team_name,
        models=tuple(loaded.values()),
        offline_agents=offline_agents,
        timeline_tools=team_config.knows_timeline_tools,
    )


def connect_model(
    spec: ModelSpec, options: ModelOptions, cache: KeyValueCache | None, retry_policy: RetryPolicy
) -> Model:
    """The model of a spec: limited and retried on a server, and cached where its back end allows that."""
    model = load_model(spec, options)
    if spec.is_remote:
        limiter = AdaptiveLimiter(
            options.max_concurrency or MAX_CONCURRENCY, requests_per_minute=options.requests_per_minute
        )
        model = RetryingModel(model, retry_policy, limiter)
    if cache is not None and spec.is_cacheable:
        model = CachedModel(model, cache, _cache_identity(spec, options))
    return model


def _cache_identity(spec: ModelSpec, options: ModelOptions) -> str:
    """What distinguishes a model in the keys of cached replies."""
    prefix = spec.row.cache_prefix
    if prefix is None:
        prefix = f"{spec.backend}:"
    return f"{prefix}{spec.name}@{spec.server_url} {options.reasoning} {options.completion_template}"


def _open_cache(path: Path | None, *, is_needed: bool) -> KeyValueCache | None:
    """The cache in a file; None, with a warning if replies of servers belong into it, for one that cannot be used."""
    try:
        return None if path is None else KeyValueCache(path)
    except DataError as error:
        logger.log(logging.WARNING if is_needed else logging.INFO, "%s. It is not used from now on", error)
        return None


def _unused_weights(team_config: TeamConfig) -> str:
    """Why weights that the team names would not be used; empty if they would."""
    weights: tuple[tuple[str, str | None, AgentName, str], ...] = (
        ("meaning", team_config.meaning, "grounding", "compares lines by meaning"),
        ("objects", team_config.objects, "vision", "uses a detector"),
    )
    for field, name, agent, use in weights:
        if name is not None and not team_config.agents[agent].spec.is_offline:
            fix = f'remove it, or set model = "offline" in [{agent}]'
            return f"{field} = {name!r}: only the offline {agent} {use}; {fix}"
    return ""


def cache_path() -> Path:
    """The file of the reply cache, in the user's cache folder."""
    return cache_dir() / "replies.sqlite"


def _model_master(
    team_config: TeamConfig, model: Model, layout: PromptLayout, on_text: TextCallback | None
) -> ModelMaster | ToolMaster | JsonMaster | ReaderMaster:
    if team_config.is_reader:
        master_config = team_config.master.model_copy(update={"dialect": None})
        in_loop = team_config.model_copy(update={"master": master_config})
        settings = team_config.call_settings("master")
        return ReaderMaster(model, _model_master(in_loop, model, layout, on_text), settings)
    master = ModelMaster(
        model,
        team_config.style,
        layout,
        team_config.look_tag,
        team_config.call_settings("master"),
        on_text,
    )
    if team_config.master.dialect == "json":
        return JsonMaster(master)
    is_required = team_config.master.dialect is not None
    return ToolMaster(master, is_required) if team_config.calls_tools else master


def _model_grounding(team_config: TeamConfig, model: Model, layout: PromptLayout) -> ModelGrounding:
    settings = team_config.call_settings("grounding")
    return ModelGrounding(model, settings, layout, structured_output=team_config.sends_schema)


def _model_vision(team_config: TeamConfig, model: Model, layout: PromptLayout) -> ModelVision:
    agent = team_config.vision
    settings = team_config.call_settings("vision")
    return ModelVision(
        model,
        settings,
        layout,
        max_frames=agent.max_frames,
        max_image_bytes=agent.max_image_bytes,
        frame_numbers=agent.frame_numbers,
    )
