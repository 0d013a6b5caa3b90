"""GRPO and DAPO of the master with TRL's trainer (extra ``train``). TRL's ``rollout_func`` is experimental: its version
is pinned, and this is the only file that depends on it."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from longvideoagent.agents.base import Team
from longvideoagent.training.config import ALGORITHMS, COMMON_TRL_FIELDS
from longvideoagent.training.reward import REWARD_PRESETS, Reward, RewardWeights, overlong_penalty, reward
from longvideoagent.training.rollouts import (
    MasterFormat,
    RolloutResult,
    RolloutTask,
    SampleBatchFn,
    TrainingSample,
    action_counts,
    mean_rows,
    run_rollouts,
)
from longvideoagent.training.sampling import TransformersSampler, VLLMSampler

SAMPLE_INDEX = "sample_index"
"""A key in the prompt's message that holds the index of its training sample. TRL passes ``rollout_func`` nothing but
the prompts of a batch, and keeps further keys of a message. The message's content is not used: the rollout renders the
real prompt. ``sample_prompt`` writes the index; ``MasterRollouts.__call__`` reads it."""


class ScoredRollout(NamedTuple):
    """A rollout with its sample and reward."""

    sample: TrainingSample
    result: RolloutResult
    reward: Reward | None
    """None if an outage ended the rollout or its prompt was too long: then nothing is learned from it."""


@dataclass
class MasterRollouts:
    """TRL's ``rollout_func``: runs rollouts of the samples that the prompts name."""

    samples: Sequence[TrainingSample]
    team: Team
    master_format: MasterFormat
    weights: RewardWeights = field(default_factory=lambda: REWARD_PRESETS["paper"])
    drops_equal_groups: bool = False
    """Whether groups with equal rewards are replaced and else left out of the loss (DAPO's dynamic sampling)."""
    max_generation_batches: int = 1
    """See ``RLConfig``."""
    overlong_buffer_tokens: int | None = None
    """The last tokens of the response limit in which the overlong penalty grows. None: the algorithm's fraction."""
    overlong_penalty: float = 1.0
    """The overlong penalty at the response limit."""
    scored: Sequence[ScoredRollout] = ()
    """The last batch of this process."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the last batch, over all processes; see ``mean_metrics``."""

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        """One rollout per prompt; TRL repeats a prompt for each member of its group. A rollout without a reward gets
        mask 0 for all its tokens."""
        scored = self._run_scored([self.samples[prompt[0][SAMPLE_INDEX]] for prompt in prompts], trainer)
        is_filtered = self.drops_equal_groups and trainer.model.training
        is_equal = [False] * len(scored)
        num_batches = 1
        if is_filtered:
            groups = _Groups.gather([self._total(rollout) for rollout in scored], trainer)
            while any(groups.is_equal) and num_batches < self.max_generation_batches:
                drawn = self._draw_samples(groups, num_batches, trainer)
                again = iter(self._run_scored([sample for sample in drawn if sample is not None], trainer))
                scored = [old if sample is None else next(again) for old, sample in zip(scored, drawn, strict=True)]
                groups = _Groups.gather([self._total(rollout) for rollout in scored], trainer)
                num_batches += 1
            is_equal = [groups.is_equal[group] for group in groups.own]
        self.scored = scored
        self.metrics = {**mean_metrics(scored), "generation_batches": num_batches}
        totals = [self._total(rollout) for rollout in scored]
        rows = [
            self._trl_row(rollout.result, is_learned=total is not None and not equal)
            for rollout, total, equal in zip(scored, totals, is_equal, strict=True)
        ]
        return {**{name: [row[name] for row in rows] for name in rows[0]}, "rollout_reward": totals}

    def _run_scored(self, samples: Sequence[TrainingSample], trainer: Any) -> list[ScoredRollout]:
        results = self.run([sample.task for sample in samples], trainer, trainer.args.temperature)
        return [self._score(sample, result) for sample, result in zip(samples, results, strict=True)]

    def _total(self, rollout: ScoredRollout) -> float | None:
        """The reward that TRL gets; None without one."""
        return None if rollout.reward is None else rollout.reward.total - self._penalty(rollout.result)

    def _draw_samples(self, groups: _Groups, num_batches: int, trainer: Any) -> list[TrainingSample | None]:
        """For each of this process's rollouts, the sample to roll out in its place, or None to keep it. All processes
        draw the same sample for a group."""
        seed = f"{trainer.args.seed} {trainer.state.global_step} {num_batches}"
        return [
            random.Random(f"{seed} {group}").choice(self.samples) if groups.is_equal[group] else None
            for group in groups.own
        ]

    def run(self, tasks: Sequence[RolloutTask], trainer: Any, temperature: float) -> list[RolloutResult]:
        """Rollouts of the tasks with the trainer's model as it is now."""
        from trl.models import unwrap_model_for_generation

        tokenizer, anywhere = self.master_format.tokenizer, self.master_format.prompt_format.actions_anywhere
        if trainer.use_vllm:
            if trainer.state.global_step != trainer._last_loaded_step:
                trainer.vllm_generation.sync_weights()
                trainer._last_loaded_step = trainer.state.global_step
            engine = trainer.vllm_generation.llm
            return self._run_with(VLLMSampler(engine, tokenizer, temperature, actions_anywhere=anywhere), tasks)
        was_training = trainer.model.training
        try:
            with unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model:
                model.eval()
                sampler = TransformersSampler(model, tokenizer, temperature, actions_anywhere=anywhere)
                return self._run_with(sampler, tasks)
        finally:
            trainer.model.train(was_training)

    def _run_with(self, sample_batch: SampleBatchFn, tasks: Sequence[RolloutTask]) -> list[RolloutResult]:
        async def run_and_close() -> list[RolloutResult]:
            try:
                return await run_rollouts(tasks, self.team, sample_batch, self.master_format)
            finally:
                await self.team.close()  # its connections belong to this event loop

        return asyncio.run(run_and_close())

    def _score(self, sample: TrainingSample, result: RolloutResult) -> ScoredRollout:
        if result.is_prompt_too_long:
            return ScoredRollout(sample, result, None)
        return ScoredRollout(sample, result, reward(result.trace, sample.gold_option, self.weights))

    def _penalty(self, result: RolloutResult) -> float:
        """At least 0."""
        limit = self.master_format.limits.max_response_tokens
        length = max((len(sequence.ids) for sequence in result.sequences), default=0)
        return self.overlong_penalty * overlong_penalty(length, limit, self.overlong_buffer_tokens or 0)

    def _trl_row(self, result: RolloutResult, *, is_learned: bool) -> dict[str, Any]:
        """A rollout as TRL takes it: one prompt, one completion. Raises UsageError for several sequences."""
        eos = self.master_format.tokenizer.eos_token_id
        sequence = result.single_sequence(eos)
        if not sequence.ids:  # TRL does not allow empty completions
            return {"prompt_ids": sequence.prompt_ids, "completion_ids": [eos], "logprobs": [0.0], "env_mask": [0]}
        return {
            "prompt_ids": sequence.prompt_ids,
            "completion_ids": sequence.ids,
            "logprobs": sequence.logprobs,
            "env_mask": sequence.mask if is_learned else [0] * len(sequence.mask),
        }


def mean_metrics(scored: Sequence[ScoredRollout]) -> dict[str, float]:
    """Means over the rollouts of all processes that have a reward, and how many have none because of an outage or of
    a prompt that is too long."""
    from accelerate.utils import gather_object

    rows: list[dict[str, float]] = gather_object([_metrics_row(rollout) for rollout in scored])
    lost = {name: sum(row.get(name, 0) for row in rows) for name in ("failed", "prompt_too_long")}
    return {**mean_rows([row for row in rows if not lost.keys() & row.keys()]), **lost}


def _metrics_row(scored: ScoredRollout) -> dict[str, float]:
    """The metrics of one rollout; if it has no reward, the reason only."""
    if scored.reward is None:
        return {"prompt_too_long" if scored.result.is_prompt_too_long else "failed": 1}
    parts = {f"reward_{name}": part for name, part in asdict(scored.reward).items()}
    accuracy = float(scored.result.is_correct(scored.sample.gold_option))
    return {**action_counts(scored.result.trace), **parts, "accuracy": accuracy}


class _Groups(NamedTuple):
    """The groups of a batch. They follow one another over the processes in the order of their ranks, so a group may
    lie in two of them."""

    is_equal: list[bool]
    """For each group of the batch, whether all of its rewards are equal."""
    own: list[int]
    """The group of each of this process's rollouts."""

    @classmethod
    def gather(cls, totals: Sequence[float | None], trainer: Any) -> _Groups:
        """The groups of the rewards of all processes."""
        from accelerate.utils import gather_object

        all_totals = gather_object(list(totals))
        size, start = trainer.num_generations, trainer.accelerator.process_index * len(totals)
        groups = [all_totals[first : first + size] for first in range(0, len(all_totals), size)]
        is_equal = [len({total for total in group if total is not None}) <= 1 for group in groups]
        return cls(is_equal, [(start + index) // size for index in range(len(totals))])


def rollout_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:  # noqa: ARG001
    """TRL's reward function: the rewards that ``MasterRollouts`` returned."""
    rewards: list[float | None] = columns["rollout_reward"]
    return rewards


def sample_prompt(index: int, sample: TrainingSample) -> list[dict[str, Any]]:
    """The prompt that stands for a sample in TRL's data set; see ``SAMPLE_INDEX``."""
    return [{"role": "user", "content": sample.task.question.text, SAMPLE_INDEX: index}]


def make_trainer(
    model: Any, rollouts: MasterRollouts, algorithm: str, trl_arguments: Mapping[str, Any], adapter: Any = None
) -> Any:
    """TRL's GRPOTrainer with the algorithm's settings, which ``trl_arguments`` may override; ``adapter`` is peft's
    configuration or None."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    row = ALGORITHMS[algorithm]
    rollouts.drops_equal_groups = row.drops_equal_groups
    if rollouts.overlong_buffer_tokens is None:
        limit = rollouts.master_format.limits.max_response_tokens
        rollouts.overlong_buffer_tokens = round(row.overlong_fraction * limit)
    prompts = [sample_prompt(index, sample) for index, sample in enumerate(rollouts.samples)]
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is known to be experimental
    return GRPOTrainer(
        model=model,
        reward_funcs=rollout_reward,
        args=GRPOConfig(**{**COMMON_TRL_FIELDS, **row.trl_fields, **trl_arguments}),
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        processing_class=rollouts.master_format.tokenizer,
        rollout_func=rollouts,
        peft_config=adapter,
    )
