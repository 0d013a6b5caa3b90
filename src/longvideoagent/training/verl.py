"""GRPO and DAPO of the master on many GPUs with verl (extra ``verl``): an agent loop that runs one rollout, and an
advantage estimator that leaves outages out. verl finds both through the entry point ``verl.plugins``; this is the only
file that depends on it.

``longvideoagent.config`` in verl's configuration is the path of a training configuration on every node. Only what
defines a rollout is read from it: data set, rows, team, prompt format, rounds, window, reward and token limits. All
else is verl's own configuration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput, register
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, register_adv_est

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import cache_path, load_team
from longvideoagent.core.actions import Invalid
from longvideoagent.core.protocol import ACTION_ENDS
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.export import AGENT_NAME
from longvideoagent.datasets.records import Record, RecordFile
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.log import logger
from longvideoagent.media.video import Video
from longvideoagent.training.config import OVERLONG_FRACTION, RLConfig, read_config
from longvideoagent.training.reward import RewardWeights, overlong_penalty, reward
from longvideoagent.training.rollouts import (
    MasterFormat,
    RolloutResult,
    SampledTokens,
    TrainingSample,
    action_counts,
    run_rollout,
)
from longvideoagent.training.rows import read_training_sample
from longvideoagent.training.stopping import ReplyBuffer
from longvideoagent.training.tokens import PromptFormat, TokenSequence

ADVANTAGE = "longvideoagent_grpo"
"""The name of ``grpo_without_outages`` for verl's ``algorithm.adv_estimator``."""
ENGINE_WITH_STOP_TEXTS = "vllm"
"""The only engine that stops at texts; verl runs the others without a tokenizer."""
UNKNOWN_ROW = -1
"""The index of a row that verl has shuffled."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker opens once for all its rollouts."""

    config: RLConfig
    prompt_format: PromptFormat
    weights: RewardWeights
    team: Team
    open_video: Callable[[str], Video]


@cache
def open_worker_context(path: str) -> WorkerContext:
    """Read a configuration and open its data set and team. Raises DataError or UsageError if one cannot be used."""
    config = read_config(Path(path), RLConfig)
    data = open_dataset(config.data, config.split, config.data_options)
    team = load_team(config.team_config, cache_path())
    return WorkerContext(config, config.prompt_format, config.weights, team, cache(data.open_video))


@dataclass
class VerlSampler:
    """Samples the replies of one rollout from verl's servers; see ``rollouts.SampleFn``."""

    client: Any
    """verl's ``LLMServerClient``, or an object with the same methods."""
    tokenizer: Any
    params: Mapping[str, Any]
    """verl's sampling parameters."""
    request_id: str
    """Of the rollout, so that all its requests go to the server that has cached its prefix."""
    priority: int = 0
    actions_anywhere: bool = False
    """See ``core.types.Reply``."""
    seconds: float = 0.0
    num_preempted: int = -1
    """As verl counts it: -1 if no server reports it."""
    versions: list[int] = field(default_factory=list)
    """Steps of the weights that were sampled from."""

    async def __call__(self, context: list[int], max_tokens: int) -> SampledTokens:
        """Sample up to the end of the first action, of the turn, or to ``max_tokens``. A server that stopped at a
        closing tag inside a thought is called again."""
        reply = ReplyBuffer(self.tokenizer, context, max_tokens, anywhere=self.actions_anywhere)
        while not reply.is_done:
            output = await self._generate(context + reply.ids, reply.tokens_left)
            logprobs = output.log_probs or ([] if self.params.get("logprobs") else [0.0] * len(output.token_ids))
            reply.add_engine_output(output.token_ids, logprobs, self.params.get("stop", ()))
        return SampledTokens(reply.ids, reply.logprobs)

    async def _generate(self, context: list[int], max_tokens: int) -> Any:
        start_s = time.perf_counter()
        output = await self.client.generate(
            request_id=self.request_id,
            prompt_ids=context,
            sampling_params={**self.params, "max_tokens": max_tokens},
            priority=self.priority,
        )
        self.seconds += time.perf_counter() - start_s
        if output.num_preempted is not None:
            self.num_preempted = max(self.num_preempted, 0) + output.num_preempted
        versions = [output.extra_fields.get(name) for name in ("min_global_steps", "max_global_steps")]
        self.versions += [version for version in versions if version is not None]
        return output


@register(AGENT_NAME)
class MasterLoop(AgentLoopBase):  # type: ignore[misc]
    """Runs the rollout of one row of ``lva data export``; verl creates one object per rollout. The reward is that of
    ``reward``, minus verl's overlong penalty if ``reward.reward_kwargs`` asks for it."""

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """See verl. A rollout that an outage ended, or whose prompt is too long, gets mask 0 and reward 0, is logged,
        and is counted as ``failed`` or ``prompt_too_long``. Raises UsageError for a style whose contexts are not a
        single sequence, and DataError for a row that is not valid."""
        context = open_worker_context(self._config_path())
        master_format = MasterFormat(self.tokenizer, context.prompt_format, context.config.limits)
        self._check(master_format)
        record = Record(row, UNKNOWN_ROW, RecordFile(context.config.rows, "", rows=()))
        sample = read_training_sample(record, context.open_video, context.config.settings)
        sampler = self._sampler(sampling_params, int(row.get("priority", 0)), context.prompt_format.actions_anywhere)
        result = await run_rollout(sample.task, context.team, sampler, master_format)
        return self._output(result, sample, context.weights, sampler, int(row.get("global_steps", 0)))

    def _config_path(self) -> str:
        path = OmegaConf.select(self.config, "longvideoagent.config")
        if not path:
            raise UsageError("longvideoagent.config is not set; give verl +longvideoagent.config=/PATH/OF/run.toml")
        return str(path)

    def _check(self, master_format: MasterFormat) -> None:
        """Raises DataError or UsageError if verl's model or lengths do not match the configuration."""
        if not self.tokenizer.chat_template:
            raise DataError("the model has no chat template; use a model that was trained to chat")
        for name in ("prompt", "response"):
            own, given = getattr(master_format.limits, f"max_{name}_tokens"), self.rollout_config[f"{name}_length"]
            if own > given:
                fix = f"set data.max_{name}_length={own}"
                raise UsageError(f"limits.max_{name}_tokens {own} is more than verl's {given}; {fix}")

    def _sampler(self, sampling_params: Mapping[str, Any], priority: int, anywhere: bool) -> VerlSampler:
        stop = {"stop": list(ACTION_ENDS)} if self.rollout_config.name == ENGINE_WITH_STOP_TEXTS else {}
        request_id = f"det-{priority}" if self.rollout_config.get("full_determinism") else uuid4().hex
        params = {**sampling_params, **stop}
        return VerlSampler(self.server_manager, self.tokenizer, params, request_id, priority, anywhere)

    def _output(
        self, result: RolloutResult, sample: TrainingSample, weights: RewardWeights, sampler: VerlSampler, step: int
    ) -> AgentLoopOutput:
        trace = result.trace
        rollout_reward = None if result.is_prompt_too_long else reward(trace, sample.gold_option, weights)
        if rollout_reward is None:
            cause = "the prompt does not fit limits.max_prompt_tokens" if result.is_prompt_too_long else trace.cause
            logger.warning("%s: rollout has no reward (%s)", trace.question.id, cause)
        sequence = result.single_sequence(self.tokenizer.eos_token_id)
        length = len(sequence.ids)  # without an end of turn that close_turn adds, which is not the master's
        close_turn(sequence, trace, self.tokenizer, self.rollout_config.response_length)
        versions = sampler.versions or [step]
        return AgentLoopOutput(
            prompt_ids=sequence.prompt_ids,
            response_ids=sequence.ids,
            response_mask=sequence.mask if rollout_reward is not None else [0] * len(sequence.mask),
            response_logprobs=sequence.logprobs if sampler.params.get("logprobs") else None,
            reward_score=0.0 if rollout_reward is None else rollout_reward.total - self._penalty(length),
            num_turns=1 + len(trace.rounds) + sum(round_.observation is not None for round_ in trace.rounds),
            metrics={
                "generate_sequences": sampler.seconds,
                "tool_calls": sum(observation.usage.seconds for observation in trace.observations),
                "num_preempted": sampler.num_preempted,
            },
            extra_fields={
                "reward_extra_info": reward_info(result, sample.gold_option),
                "min_global_steps": min(versions),
                "max_global_steps": max(versions),
                "turn_scores": [],
                "tool_rewards": [],
            },
        )

    def _penalty(self, length: int) -> float:
        """verl's overlong penalty, at least 0, which verl leaves to the reward. Without ``len`` it begins where TRL's
        does."""
        settings = OmegaConf.select(self.config, "reward.reward_kwargs")
        buffer = settings.get("overlong_buffer_cfg") if settings else None
        if not buffer or not buffer.enable:
            return 0.0
        margin = OVERLONG_FRACTION * settings.max_resp_len if buffer.get("len") is None else buffer.len
        return float(buffer.penalty_factor) * overlong_penalty(length, settings.max_resp_len, margin)


def close_turn(sequence: TokenSequence, trace: Trace, tokenizer: Any, max_tokens: int) -> None:
    """Append an end of turn, with mask 0, to a sequence whose last reply ends at its action without one, if it fits;
    and to an empty sequence, since verl does not allow empty responses."""
    rounds_with_reply = [round_ for round_ in trace.rounds if round_.reply.text]
    ends_with_action = bool(rounds_with_reply) and not isinstance(rounds_with_reply[-1].action, Invalid)
    is_open = bool(sequence.ids) and sequence.ids[-1] not in tokenizer.all_special_ids
    if not sequence.ids or (is_open and ends_with_action and len(sequence.ids) < max_tokens):
        sequence.add_context([tokenizer.eos_token_id], tokenizer.eos_token)


def reward_info(result: RolloutResult, gold_option: int) -> dict[str, Any]:
    """What verl validates with and writes next to each rollout. ``acc`` is None after an outage and for a prompt that
    is too long; verl counts None as wrong in ``acc`` and leaves it out of ``acc_success_only``."""
    return {
        "acc": float(result.is_correct(gold_option)) if result.is_usable else None,
        **action_counts(result.trace),
        "failed": int(result.is_failed),
        "prompt_too_long": int(result.is_prompt_too_long),
        "outcome": str(result.trace.outcome),
    }


@register_adv_est(ADVANTAGE)  # type: ignore[untyped-decorator]
def grpo_without_outages(
    token_level_rewards: Any, response_mask: Any, index: Any, config: Any = None, **_: Any
) -> tuple[Any, Any]:
    """verl's GRPO, with rollouts whose mask is 0 left out of the mean and deviation of their group: each becomes a
    group of its own."""
    groups = [
        group if mask.any() else f"{group} {row}"
        for row, (group, mask) in enumerate(zip(index, response_mask, strict=True))
    ]
    divides_by_std = True if config is None else config.get("norm_adv_by_std_in_grpo", True)
    advantages: tuple[Any, Any] = compute_grpo_outcome_advantage(
        token_level_rewards, response_mask, groups, norm_adv_by_std_in_grpo=divides_by_std
    )
    return advantages
