"""The configuration of a team: which model each agent calls, and how. Its TOML form is docs/models.md's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from longvideoagent.agents.grounding import GROUNDING_SETTINGS
from longvideoagent.agents.master import MASTER_SETTINGS
from longvideoagent.agents.prompts import default_layout
from longvideoagent.agents.prompts.config import PromptConfig
from longvideoagent.agents.vision import FRAMES, MAX_IMAGE_BYTES
from longvideoagent.core.actions import AGENT_NAMES, PAPER_LOOK_TAG, AgentName
from longvideoagent.core.context import Style
from longvideoagent.core.layout import MASTER_FIELDS
from longvideoagent.errors import UsageError
from longvideoagent.models.backends import OFFLINE
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, Count, ModelOptions, TokenPrice
from longvideoagent.models.secrets import render_spec
from longvideoagent.models.spec import ModelSpec, missing_key_env

T = TypeVar("T", bound=BaseModel)
REASONING_REPLY_TOKENS = 8192
"""Tokens of one reply of a reasoning model, unless the configuration says otherwise: its thoughts count."""
RAW_REPLY_TOKENS = 4096
"""Tokens of one reply in the style ``raw``, unless the configuration says otherwise (public code's local evaluator)."""
DEFAULT_SETTINGS: Mapping[AgentName, CallSettings] = {
    "master": MASTER_SETTINGS,
    "grounding": GROUNDING_SETTINGS,
    "vision": DEFAULT_CALL_SETTINGS,
}
"""How each agent's model is called, unless the configuration says otherwise."""


def _check_frame_numbers(numbers: tuple[int, int, int]) -> tuple[int, int, int]:
    if numbers[0] > numbers[1]:
        raise ValueError(f"the first frame, {numbers[0]}, is after the last, {numbers[1]}")
    return numbers


FrameNumbers = Annotated[tuple[Count, Count, Count], Field(strict=False), AfterValidator(_check_frame_numbers)]
"""First, last and step; a list in TOML and JSON."""
RESERVED_FIELDS = {"messages", "model", "prompt", "stream"}
"""Request fields that the loop sets itself."""


class AgentConfig(BaseModel):
    """One agent: its model and how that is called. A field that is left out keeps the agent's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    model: str = OFFLINE
    """A model spec, such as ``openai:NAME@URL``; ``models.backends.BACKENDS`` lists the forms."""
    temperature: Annotated[float | None, Field(ge=0)] = None
    """Sampling temperature. None: the agent's own default."""
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    """Probability mass of the tokens to sample from; 1 is all. Sent only if set, like the next two."""
    top_k: Annotated[int | None, Field(ge=-1)] = None
    """How many of the likeliest tokens to sample from; -1 is all."""
    repetition_penalty: Annotated[float | None, Field(gt=0)] = None
    """Penalty of tokens that have occurred; 1 is none."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """Tokens of one reply, thoughts included. None: the default of the agent, larger for reasoning models."""
    extra_body: dict[str, Any] = {}
    """Further fields of each request, as JSON values."""
    stop_at_action: bool | None = None
    """Whether a reply of the master ends at the closing tag of an action, and where it begins an observation of its
    own. None: unless an action counts anywhere. It never does for a model that reasons."""
    reasoning: bool = False
    """Whether the model thinks before it answers; its server then does not stop at an action."""
    completion_template: str | None = None
    """The chat template written out, with $prompt, to call a server's text completions with."""
    api_key_env: Annotated[str | None, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = None
    """The name of the environment variable that holds the key, which itself is not stored anywhere. None: the
    variable of the model's back end."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds after which a request is given up and tried again."""
    max_concurrency: Annotated[int | None, Field(ge=1)] = None
    """Calls in flight at once; in this process, replies in one batch. None: 64 on a server, 8 in this process."""
    requests_per_minute: Annotated[int | None, Field(ge=1)] = None
    """Calls that may begin in one minute."""
    max_context_tokens: Annotated[int | None, Field(ge=1)] = None
    """The context length to serve the model with, or to run it with in this process."""
    dialect: Literal["tags", "tools", "json", "score"] | None = None
    """How the master acts: by tags in its reply, by native tool calls, or by a JSON object under a schema; or not at
    all, but only scores the options (``agents.reader``). None: see ``TeamConfig.calls_tools``."""
    structured_output: bool | None = None
    """Whether a JSON schema that allows only existing labels is sent along (grounding). None: to a provider."""
    max_frames: Annotated[int, Field(ge=1)] = FRAMES
    """Frames shown in one look (vision)."""
    max_image_bytes: Annotated[int, Field(ge=1)] = MAX_IMAGE_BYTES
    """Bytes of frames shown in one look (vision)."""
    frame_numbers: FrameNumbers | None = None
    """First, last and step of the frames of a clip to show, counted from 1 at TVQA's 3 frames a second, instead of
    ``max_frames`` (vision). The public code's evaluators show [1, 180, 12], its trainer [1, 180, 15]."""

    @field_validator("completion_template")
    @classmethod
    def _has_prompt(cls, template: str | None) -> str | None:
        if template is not None and template.count("$prompt") != 1:
            raise ValueError("does not have $prompt exactly once")
        return template

    @field_validator("extra_body")
    @classmethod
    def _is_json(cls, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(fields, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"not JSON ({error})") from error
        if RESERVED_FIELDS & fields.keys():
            raise ValueError("holds what is set by the loop itself")
        return fields

    @property
    def spec(self) -> ModelSpec:
        """The model, parsed.

        Raises:
            UsageError: It is not a model spec.
        """
        return ModelSpec.parse(self.model)

    @property
    def label(self) -> str:
        """The model spec as it may be printed and stored."""
        return render_spec(self.model)

    def settings(self, default: CallSettings) -> CallSettings:
        """How its model is called.

        Args:
            default: The agent's own settings, for fields that are left out.

        Returns:
            The settings of each call.
        """
        return CallSettings(
            default.temperature if self.temperature is None else self.temperature,
            default.max_tokens if self.max_tokens is None else self.max_tokens,
            default.stop_at_action,
            extra_body=self.extra_body,
            top_p=self.top_p,
            top_k=self.top_k,
            repetition_penalty=self.repetition_penalty,
            actions_anywhere=default.actions_anywhere,
        )


class TeamConfig(PromptConfig):
    """The three agents, and how a master that is a model is prompted. The TOML form of a team."""

    preset: str | None = None
    """A preset whose fields hold where this team says nothing."""
    master: AgentConfig = AgentConfig()
    """The agent that decides and answers."""
    grounding: AgentConfig = AgentConfig()
    """The agent that locates clips."""
    vision: AgentConfig = AgentConfig()
    """The agent that describes frames."""
    meaning: str | None = None
    """Weights by which the offline grounding also compares lines with a question by meaning, such as ``minilm`` (extra
    ``meaning``). None: it does not."""
    objects: str | None = None
    """Weights, or a folder with them, by which the offline vision also looks for objects, such as ``dfine-nano`` (extra
    ``objects``). None: it does not."""
    prices: dict[str, TokenPrice] = Field(default_factory=dict)
    """What models cost, by the name in their spec."""
    prices_file: Path | None = None
    """A table of further prices, such as ``configs/prices.toml``. A relative path starts at the team file's folder."""

    @property
    def agents(self) -> dict[AgentName, AgentConfig]:
        """The agents by name: master, grounding, vision."""
        return {name: getattr(self, name) for name in AGENT_NAMES}

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Names of models that may cost money and have no price. Without one, a model on this machine is free."""
        specs = (agent.spec for agent in self.agents.values())
        costly = (spec for spec in specs if spec.needs_price and not spec.is_on_this_machine)
        return tuple(dict.fromkeys(spec.name for spec in costly if spec.name not in self.prices))

    @property
    def used_prices(self) -> dict[str, TokenPrice]:
        """The prices of the team's models."""
        names = dict.fromkeys(agent.spec.name for agent in self.agents.values())
        return {name: self.prices[name] for name in names if name in self.prices}

    def call_settings(self, name: AgentName) -> CallSettings:
        """How an agent's model is called.

        Args:
            name: master, grounding or vision.

        Returns:
            Its settings. A reply limit that is not given follows from the agent, its reasoning and the style.
        """
        agent, default = self.agents[name], DEFAULT_SETTINGS[name]
        if agent.reasoning or agent.spec.may_reason:
            default = replace(default, max_tokens=REASONING_REPLY_TOKENS)
        elif name == "master" and self.style is Style.RAW:
            default = replace(default, max_tokens=RAW_REPLY_TOKENS)
        if name == "master" and self.actions_anywhere:
            # The reply must be whole: an action of another kind that follows the first may have precedence.
            default = replace(default, stop_at_action=False, actions_anywhere=True)
        if agent.stop_at_action is not None:
            default = replace(default, stop_at_action=agent.stop_at_action)
        return agent.settings(default)

    @property
    def calls_tools(self) -> bool:
        """Whether the master acts by tool calls. By default it does with the models of a provider that takes them, in
        the default wording and style; another wording asks for tags."""
        if self.master.dialect is not None:
            return self.master.dialect == "tools"
        return self.master.spec.calls_tools and self.knows_timeline_tools

    @property
    def knows_timeline_tools(self) -> bool:
        """Whether the master is prompted in the default wording and style, which offers all actions: the released
        checkpoints and prompts of other people know those of the paper."""
        has_wording = self.layout_file is not None or self.prompt_file is not None
        if self.layout is not None:
            has_wording |= any(getattr(self.layout, name) != getattr(default_layout(), name) for name in MASTER_FIELDS)
        is_chat = self.style is Style.TURNS and self.master.completion_template is None and not self.actions_anywhere
        return is_chat and not has_wording and self.look_tag == PAPER_LOOK_TAG

    @property
    def sends_schema(self) -> bool:
        """Whether grounding sends the schema of its reply along."""
        agent = self.grounding
        return agent.spec.is_provider if agent.structured_output is None else agent.structured_output

    def model_options(self, agent: AgentConfig) -> ModelOptions:
        """How an agent's model is loaded. A master in style raw gets its text without a chat template.

        Args:
            agent: One of the agents of this team.

        Returns:
            The options of its model, with the price given for it.
        """
        is_raw = agent is self.master and self.style is Style.RAW
        return ModelOptions(
            api_key_env=agent.api_key_env,
            timeout_s=agent.timeout_s,
            max_concurrency=agent.max_concurrency,
            requests_per_minute=agent.requests_per_minute,
            max_context_tokens=agent.max_context_tokens,
            reasoning=agent.reasoning,
            completion_template="$prompt" if is_raw else agent.completion_template,
            price=self.prices.get(agent.spec.name),
        )

    def with_models(
        self,
        *,
        model: str | None = None,
        master: str | None = None,
        grounding: str | None = None,
        vision: str | None = None,
    ) -> TeamConfig:
        """Return the same team with other models. What is None stays.

        Args:
            model: The model spec of all agents for which none of the next three is given.
            master: The model spec of the master.
            grounding: The model spec of the grounding agent.
            vision: The model spec of the vision agent.

        Returns:
            The changed configuration. An agent whose back end changes reads the key of its new one.
        """
        chosen: dict[AgentName, str | None] = {"master": master, "grounding": grounding, "vision": vision}
        changed: dict[str, AgentConfig] = {}
        for name, agent in self.agents.items():
            text = model if chosen[name] is None else chosen[name]
            if text is not None:
                has_same_key = ModelSpec.parse(text).backend == agent.spec.backend
                key_env = agent.api_key_env if has_same_key else None
                changed[name] = agent.model_copy(update={"model": text, "api_key_env": key_env})
        return self.model_copy(update=changed)

    @property
    def is_reader(self) -> bool:
        """Whether the master is a model that only scores the options."""
        return self.master.dialect == "score" and not self.master.spec.is_offline

    def with_reader(self, reader: str | None) -> TeamConfig:
        """Return the same team with a reader as its master.

        Args:
            reader: The model spec of the reader; None keeps the master.

        Returns:
            The changed configuration.

        Raises:
            UsageError: The spec is not that of a model.
        """
        if reader is None:
            return self
        if ModelSpec.parse(reader).is_offline:
            raise UsageError("--reader offline: a reader is a model; give --reader SPEC, such as llamacpp:")
        team_config = self.with_models(master=reader)
        return team_config.model_copy(update={"master": team_config.master.model_copy(update={"dialect": "score"})})

    def with_wording(self, prompt_file: Path | None, layout_file: Path | None) -> TeamConfig:
        """Return the same team with another prompt or layout. What is None stays.

        Args:
            prompt_file: A file that replaces the master's prompt.
            layout_file: A file with the wording of what the models read, in place of the team's.

        Returns:
            The changed configuration.
        """
        changed: dict[str, Any] = {}
        if prompt_file is not None:
            changed["prompt_file"] = prompt_file
        if layout_file is not None:
            changed |= {"layout_file": layout_file, "layout": None}
        return self.model_copy(update=changed)

    def with_weights(self, meaning: str | None, objects: str | None) -> TeamConfig:
        """The same team with other weights for its offline agents. What is None stays.

        Args:
            meaning: Those that compare texts by meaning.
            objects: Those that look for objects, or a folder with them.

        Returns:
            The changed configuration.
        """
        weights = {"meaning": meaning, "objects": objects}
        return self.model_copy(update={field: name for field, name in weights.items() if name is not None})

    def with_reply_limit(self, max_reply_tokens: int | None) -> TeamConfig:
        """The same team with another limit for one reply.

        Args:
            max_reply_tokens: Tokens of one reply of each agent that is a model; None keeps the limits.

        Returns:
            The team with that limit.
        """
        if max_reply_tokens is None:
            return self
        agents = {name: agent for name, agent in self.agents.items() if not agent.spec.is_offline}
        return self.model_copy(
            update={name: agent.model_copy(update={"max_tokens": max_reply_tokens}) for name, agent in agents.items()}
        )


def missing_keys(team_config: TeamConfig) -> str:
    """The variables of all keys that the team's servers need and that are not set, with the agents that need them, on
    one line; empty if none is missing."""
    agents: dict[str, list[AgentName]] = {}
    for name, agent in team_config.agents.items():
        if key_env := missing_key_env(agent.spec, agent.api_key_env):
            agents.setdefault(key_env, []).append(name)
    if not agents:
        return ""
    variables = " and ".join(f"{key_env} ({', '.join(names)})" for key_env, names in agents.items())
    problem = "is not set; export it" if len(agents) == 1 else "are not set; export them"
    return f"{variables} {problem}, or choose other models"


def dialect_problem(team_config: TeamConfig) -> str:
    """Why the master cannot act in the dialect that is configured, and how to fix it; empty if it can."""
    master = team_config.master
    for name in ("grounding", "vision"):
        if team_config.agents[name].dialect is not None:
            return f"[{name}] has a dialect, which only the master has; remove it"
    if master.dialect in (None, "tags") or master.spec.is_offline:
        return ""
    setting = f'dialect = "{master.dialect}"'
    layout = team_config.layout
    default = default_layout()
    if layout is not None and layout.prompt != default.prompt and layout.tool_prompt == default.tool_prompt:
        return f"the layout has a prompt of its own but no tool_prompt, which {setting} uses; add one"
    fix = 'set dialect = "tags" in [master]'
    if team_config.style is not Style.TURNS or master.completion_template is not None or team_config.actions_anywhere:
        return f'{setting} needs style "turns", no completion_template and actions after reasoning; {fix}'
    if master.dialect == "score" and master.reasoning:
        return f"{setting} needs a model that does not think before it answers; set reasoning = false, or {fix[4:]}"
    is_served = master.spec.has_chat_api or master.dialect != "tools"
    return "" if is_served else f"{master.label}: {setting} needs a model on a server; {fix}"
