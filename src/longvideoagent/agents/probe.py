"""Calls the server of each agent once, to see whether a team can work before a run depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.agents.cost import BYTES_PER_TOKEN, tokens_per_image, usd_of
from longvideoagent.core.actions import AGENT_NAMES, AgentName, offered_tools
from longvideoagent.core.types import Usage
from longvideoagent.errors import ModelError, ThrottledError, UsageError
from longvideoagent.models.base import CallSettings
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.probe import IMAGE_PROMPT, IN_REPLY, REFUSES_TOOLS, TEXT_PROMPT, ServerReport, probe_server
from longvideoagent.models.spec import load_model

REPLY_TOKENS = 256
"""Of a model that does not reason; one that does gets the limit of its configuration, so that its thoughts fit."""
TOOL_TOKENS = 400
"""More than the descriptions of the tools take."""
TEMPLATE_TOKENS = 100
"""More than a chat template adds around one message."""


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What is known about one agent's model after its call."""

    agent: AgentName
    model: str
    server_url: str = ""
    server: ServerReport | None = None
    """None if it was not called, or if the call failed."""
    usd: float | None = None
    """What the call cost; None if no price is known or nothing was called."""
    error: str = ""
    """Why the agent cannot work, and how to fix it, on one line."""
    remarks: tuple[str, ...] = ()
    """What to change in the team file or at the server, one line each."""


@dataclass(frozen=True, slots=True)
class ProbeForecast:
    """The most that the calls use."""

    num_servers: int
    max_usage: Usage
    usd: float | None
    """None if a price is missing."""


def forecast_probe(team_config: TeamConfig) -> ProbeForecast:
    """What ``probe_team`` calls at most, and what that costs at most."""
    usages = {name: _max_usage(team_config, name) for name in _callable_agents(team_config)}
    prices = [usd_of(team_config.agents[name], usage, team_config) for name, usage in usages.items()]
    usd = None if None in prices else sum(price for price in prices if price is not None)
    servers = {agent.spec.server_url for agent in _callable_agents(team_config).values()}
    return ProbeForecast(len(servers), sum(usages.values(), Usage()), usd)


async def probe_team(team_config: TeamConfig) -> tuple[AgentReport, ...]:
    """Call the server of each agent once, all at the same time. No failure is raised: each is in its report."""
    return tuple(await asyncio.gather(*(_probe_agent(team_config, name) for name in team_config.agents)))


def _callable_agents(team_config: TeamConfig) -> Mapping[AgentName, AgentConfig]:
    """The agents whose models run on a server with a chat API."""
    return {name: agent for name, agent in team_config.agents.items() if agent.spec.has_chat_api}


def _settings(team_config: TeamConfig, name: AgentName) -> CallSettings:
    settings = team_config.call_settings(name)
    if name == "master" and team_config.calls_tools:
        settings = replace(settings, tools=offered_tools(frozenset(AGENT_NAMES), "the text"))
    is_short = not team_config.agents[name].reasoning
    return replace(settings, max_tokens=min(settings.max_tokens, REPLY_TOKENS)) if is_short else settings


def _max_usage(team_config: TeamConfig, name: AgentName) -> Usage:
    settings = _settings(team_config, name)
    reply = settings.max_tokens
    if settings.tools:  # refused, they take a second request
        return Usage(2, TOOL_TOKENS + 2 * (len(TEXT_PROMPT) // BYTES_PER_TOKEN + TEMPLATE_TOKENS), 2 * reply)
    if name != "vision":
        return Usage(1, len(TEXT_PROMPT) // BYTES_PER_TOKEN + TEMPLATE_TOKENS, reply)
    text = len(IMAGE_PROMPT) // BYTES_PER_TOKEN + TEMPLATE_TOKENS
    return Usage(2, 2 * text + tokens_per_image(team_config.vision, team_config), reply + 1, images=1)


async def _probe_agent(team_config: TeamConfig, name: AgentName) -> AgentReport:
    agent = team_config.agents[name]
    report = AgentReport(name, agent.label)
    if name not in _callable_agents(team_config):
        return replace(report, remarks=() if agent.spec.is_offline else ("not called: it runs without an HTTP server",))
    report = replace(report, server_url=agent.spec.server_url)
    try:
        model = load_model(agent.spec, team_config.model_options(agent))
        assert isinstance(model, OpenAIModel)
        try:
            server = await probe_server(model, _settings(team_config, name), with_image=name == "vision")
        finally:
            await model.close()
    except ThrottledError as error:
        return replace(report, error=f"{error}; wait, or lower requests_per_minute and max_concurrency")
    except (ModelError, UsageError) as error:
        return replace(report, error=str(error))
    usd = usd_of(agent, server.usage, team_config)
    return replace(report, server=server, usd=usd, remarks=_remarks(agent, server))


def _remarks(agent: AgentConfig, server: ServerReport) -> tuple[str, ...]:
    """What the reply shows to be amiss, each with its fix."""
    remarks = [server.truncation_warning] if server.truncation_warning else []
    is_separate = agent.spec.may_reason and server.reasoning != IN_REPLY  # then nothing depends on the setting
    if server.reasoning and not agent.reasoning and not is_separate:
        remarks.append(
            "its reply has reasoning; set reasoning = true, which gives it more reply tokens and no stop texts"
        )
    if server.calls_tools is False and REFUSES_TOOLS not in server.adaptations:
        remarks.append('it wrote text in place of a tool call; if it does so in rollouts, set dialect = "tags"')
    if server.honors_stop is False:
        remarks.append("it ignores stop texts: the text after an action costs tokens and is cut")
    if server.accepts_images is None and server.usage.images:
        remarks.append(
            f"its server counts no tokens, so nothing proves that it read the image; its reply: {server.text}"
        )
    wanted, given = agent.max_context_tokens, server.max_context_tokens
    if wanted is not None and given is not None and given < wanted:
        remarks.append(
            f"its server has a context of {given:,} tokens, the team file expects {wanted:,}; "
            "serve it with a longer one, or lower max_context_tokens"
        )
    return (*remarks, *server.adaptations)
