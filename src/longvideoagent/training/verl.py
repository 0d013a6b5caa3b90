"""GRPO and DAPO of the master on many GPUs through verl (extra ``verl``): how verl plays one rollout, and advantages
that outages have no part in. verl finds both through its entry point ``verl.plugins``, and this is the one file that
knows it.

``longvideoagent.config`` in verl's configuration is the path of a training configuration on every node. What counts of
it is what a rollout is: data set, rows, team, wording, rounds, window, reward and token limits. The rest is verl's own.
"""

from __future__ import annotations

import logging
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
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.export import AGENT_NAME
from longvideoagent.datasets.records import Record, RecordFile
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.video import Video
from longvideoagent.training.config import OVERLONG_SHARE, TrainConfig, read_config
from longvideoagent.training.reward import Weights, overlong, reward
from longvideoagent.training.rollouts import MasterFormat, RolloutResult, Sampled, TrainingSample, counts, play_one
from longvideoagent.training.rows import training_sample_of
from longvideoagent.training.stopping import SampledReply
from longvideoagent.training.tokens import PromptFormat, TokenSequence

ADVANTAGE = "longvideoagent_grpo"
"""The name of ``grpo_without_outages`` as verl's ``algorithm.adv_estimator``."""
STOPS_AT_TEXT = "vllm"
"""The engine that can be told texts to stop at; verl runs the others without a tokenizer."""
SOME_ROW = -1
"""The place of a row that verl has shuffled."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker opens once."""

    config: TrainConfig
    wording: PromptFormat
    weights: Weights
    team: Team
    episode: Callable[[str], Video]


@cache
def open_worker_context(path: str) -> WorkerContext:
    """Raises DataError or UsageError where the configuration, its data set or its team cannot be used."""
    config = read_config(Path(path), TrainConfig)
    data = open_dataset(config.data, config.split)
    team = load_team(config.team, cache_path())
    return WorkerContext(config, config.wording, config.weights, team, cache(data.open_video))


@dataclass
class VerlSampler:
    """Samples the replies of one rollout from verl's servers; see ``rollouts.Ask``."""

    client: Any
    """verl's ``LLMServerClient``, or what speaks like it."""
    tokenizer: Any
    params: Mapping[str, Any]
    """verl's sampling parameters."""
    request: str
    """Names the rollout, so that its requests reach the server that has its prefix."""
    priority: int = 0
    seconds: float = 0.0
    preempted: int = -1
    """As verl counts it: -1 where no server tells."""
    versions: list[int] = field(default_factory=list)
    """Of the weights that were sampled from."""

    async def __call__(self, context: list[int], most: int) -> Sampled:
        """Sample up to the end of the first action, of the turn or of what there is room for. A server that stopped
        at an action's mark inside a thought goes on from there."""
        reply = SampledReply(self.tokenizer, context, most)
        while not reply.is_done:
            told = await self._generate(context + reply.ids, reply.room)
            logprobs = told.log_probs or ([] if self.params.get("logprobs") else [0.0] * len(told.token_ids))
            reply.take_piece(told.token_ids, logprobs, self.params.get("stop", ()))
        return reply.ids, reply.logprobs

    async def _generate(self, context: list[int], most: int) -> Any:
        started = time.perf_counter()
        told = await self.client.generate(
            request_id=self.request,
            prompt_ids=context,
            sampling_params={**self.params, "max_tokens": most},
            priority=self.priority,
        )
        self.seconds += time.perf_counter() - started
        if told.num_preempted is not None:
            self.preempted = max(self.preempted, 0) + told.num_preempted
        versions = (told.extra_fields.get(f"{each}_global_steps") for each in ("min", "max"))
        self.versions += [version for version in versions if version is not None]
        return told


@register(AGENT_NAME)
class MasterLoop(AgentLoopBase):  # type: ignore[misc]
    """Plays one row of ``lva data export``; verl makes one of these for every rollout. The reward is that of
    ``reward``, less verl's penalty for responses that are too long where ``reward.reward_kwargs`` asks for one."""

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """See verl. A rollout that an outage ended, or whose prompt did not fit, has no mask, and reward 0; it is told
        in the log, and counted as ``failed`` or ``did_not_fit``. Raises UsageError for a style whose contexts are no
        single sequence, and DataError for a row that is none."""
        school = open_worker_context(self._config_path())
        tongue = MasterFormat(self.tokenizer, school.wording, school.config.token_limits)
        self._check(tongue)
        record = Record(row, SOME_ROW, RecordFile(school.config.rows, "", rows=()))
        lesson = training_sample_of(record, school.episode, school.config.settings)
        priority = int(row.get("priority", 0))
        stops = {"stop": list(ACTION_ENDS)} if self.rollout_config.name == STOPS_AT_TEXT else {}
        request = f"det-{priority}" if self.rollout_config.get("full_determinism") else uuid4().hex
        asking = VerlSampler(self.server_manager, self.tokenizer, {**sampling_params, **stops}, request, priority)
        played = await play_one(lesson.task, school.team, asking, tongue)
        return self._output(played, lesson, school.weights, asking, int(row.get("global_steps", 0)))

    def _config_path(self) -> str:
        path = OmegaConf.select(self.config, "longvideoagent.config")
        if not path:
            raise UsageError("longvideoagent.config is not set; give verl +longvideoagent.config=/PATH/OF/run.toml")
        return str(path)

    def _check(self, tongue: MasterFormat) -> None:
        """Raises DataError or UsageError where verl's model or its lengths do not go with the configuration."""
        if not self.tokenizer.chat_template:
            raise DataError("the model has no chat template; take a model that was trained to chat")
        for name in ("prompt", "response"):
            own, given = getattr(tongue.limits, name), self.rollout_config[f"{name}_length"]
            if own > given:
                raise UsageError(f"limits.{name} {own} is more than verl's {given}; set data.max_{name}_length={own}")

    def _output(
        self, played: RolloutResult, lesson: TrainingSample, weights: Weights, asking: VerlSampler, step: int
    ) -> AgentLoopOutput:
        trace = played.trace
        earned = None if played.did_not_fit else reward(trace, lesson.gold_option, weights)
        if earned is None:
            cause = "the prompt does not fit limits.prompt" if played.did_not_fit else trace.cause
            _log.warning("%s: no lesson (%s)", trace.question.id, cause)
        own = played.only_sequence(self.tokenizer.eos_token_id)
        length = len(own.ids)  # the end of turn that may follow is not the master's
        own = ended(own, trace, self.tokenizer, self.rollout_config.response_length)
        versions = asking.versions or [step]
        return AgentLoopOutput(
            prompt_ids=own.prompt_ids,
            response_ids=own.ids,
            response_mask=own.mask if earned is not None else [0] * len(own.mask),
            response_logprobs=own.logprobs if asking.params.get("logprobs") else None,
            reward_score=0.0 if earned is None else earned.total + self._penalty(length),
            num_turns=1 + len(trace.rounds) + sum(each.observation is not None for each in trace.rounds),
            metrics={
                "generate_sequences": asking.seconds,
                "tool_calls": sum(each.usage.seconds for each in trace.observations),
                "num_preempted": asking.preempted,
            },
            extra_fields={
                "reward_extra_info": reward_info(played, lesson.gold_option),
                "min_global_steps": min(versions),
                "max_global_steps": max(versions),
                "turn_scores": [],
                "tool_rewards": [],
            },
        )

    def _penalty(self, length: int) -> float:
        """At most 0; verl's own, which it leaves to whoever gives the reward. Without ``len``, it begins where that of
        TRL does."""
        told = OmegaConf.select(self.config, "reward.reward_kwargs")
        buffer = told.get("overlong_buffer_cfg") if told else None
        if not buffer or not buffer.enable:
            return 0.0
        margin = OVERLONG_SHARE * told.max_resp_len if buffer.get("len") is None else buffer.len
        return -float(buffer.penalty_factor) * overlong(length, told.max_resp_len, margin)


def ended(own: TokenSequence, trace: Trace, tokenizer: Any, most: int) -> TokenSequence:
    """The sequence with an end of turn that was not sampled, where its last reply left it out after an action, and
    there is room for one; and where nothing was sampled, since verl has no empty responses."""
    said = [each for each in trace.rounds if each.reply.text]
    left_out = bool(own.ids) and own.ids[-1] not in tokenizer.all_special_ids
    if not own.ids or (left_out and len(own.ids) < most and said and not isinstance(said[-1].action, Invalid)):
        own.extend([tokenizer.eos_token_id], tokenizer.eos_token)
    return own


def reward_info(played: RolloutResult, gold_option: int) -> dict[str, Any]:
    """What verl validates by and writes beside each rollout; ``acc`` is None after an outage, and where the prompt did
    not fit, which verl counts in ``acc`` as wrong and leaves out of ``acc_success_only``."""
    trace = played.trace
    is_lost = trace.failure is not None or played.did_not_fit
    return {
        "acc": None if is_lost else float(score(trace, gold_option).correct),
        **counts(trace),
        "failed": int(trace.failure is not None),
        "did_not_fit": int(played.did_not_fit),
        "outcome": str(trace.outcome),
    }


@register_adv_est(ADVANTAGE)  # type: ignore[untyped-decorator]
def grpo_without_outages(
    token_level_rewards: Any, response_mask: Any, index: Any, config: Any = None, **_: Any
) -> tuple[Any, Any]:
    """verl's GRPO, with rollouts that have no mask, and so no reward, left out of their group's mean and deviation."""
    groups = [
        group if mask.any() else f"{group} {row}"
        for row, (group, mask) in enumerate(zip(index, response_mask, strict=True))
    ]
    by_deviation = True if config is None else config.get("norm_adv_by_std_in_grpo", True)
    told: tuple[Any, Any] = compute_grpo_outcome_advantage(
        token_level_rewards, response_mask, groups, norm_adv_by_std_in_grpo=by_deviation
    )
    return told
