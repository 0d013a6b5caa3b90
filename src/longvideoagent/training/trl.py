"""GRPO and DAPO of the master through TRL's trainer (extra ``train``; TRL's ``rollout_func`` is experimental, so its
version is pinned and this is the one file that knows it)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from longvideoagent.agents.base import Team
from longvideoagent.core.scoring import score
from longvideoagent.training.config import COMMON, OVERLONG_SHARE, REINFORCEMENT
from longvideoagent.training.reward import PRESETS, Reward, Weights, overlong, reward
from longvideoagent.training.rollouts import (
    MasterFormat,
    RolloutResult,
    RolloutTask,
    Sample,
    TrainingSample,
    counts,
    means,
    play,
)
from longvideoagent.training.sampling import EngineSampler, ModelSampler

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


@dataclass
class MasterRollouts:
    """TRL's ``rollout_func``: plays the lessons that the prompts name. ``finished`` tells of the last batch."""

    lessons: Sequence[TrainingSample]
    team: Team
    tongue: MasterFormat
    weights: Weights = field(default_factory=lambda: PRESETS["paper"])
    drops_equal_groups: bool = False
    """Whether a group whose rewards are all equal is left out of the loss (DAPO)."""
    overlong_share: float = 0.0
    """The last share of the response's tokens in which a rollout loses up to 1 of its reward (DAPO's soft penalty)."""
    finished: Sequence[tuple[RolloutResult, Reward | None]] = ()
    told: Mapping[str, float] = field(default_factory=dict)
    """Of the last batch, as ``tell`` says."""

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        """One rollout for each prompt; TRL repeats a prompt for each of its group. A rollout that an outage ended,
        or whose prompt did not fit, has no reward, and its tokens no mask: it teaches nothing."""
        lessons = [self.lessons[prompt[0]["lesson"]] for prompt in prompts]
        played = self.play([lesson.task for lesson in lessons], trainer, trainer.args.temperature)
        ended = list(zip(played, lessons, strict=True))
        rewards = [
            None if each.did_not_fit else reward(each.trace, lesson.gold_option, self.weights) for each, lesson in ended
        ]
        self.finished = list(zip(played, rewards, strict=True))
        right = [score(each.trace, lesson.gold_option).correct for each, lesson in ended]
        self.told = tell(self.finished, right)
        totals = [None if worth is None else worth.total - self._overlong(each) for each, worth in self.finished]
        is_counted = [total is not None for total in totals]
        if self.drops_equal_groups and trainer.model.training:
            is_equal = _equal_groups(totals, trainer)
            is_counted = [counts and not equal for counts, equal in zip(is_counted, is_equal, strict=True)]
        rows = [self._row(each, is_counted=counts) for each, counts in zip(played, is_counted, strict=True)]
        return {**{name: [row[name] for row in rows] for name in rows[0]}, "rollout_reward": totals}

    def play(self, tasks: Sequence[RolloutTask], trainer: Any, temperature: float) -> list[RolloutResult]:
        """The tasks played by the trainer's model as it is now."""
        from trl.models import unwrap_model_for_generation

        if trainer.use_vllm:
            if trainer.state.global_step != trainer._last_loaded_step:
                trainer.vllm_generation.sync_weights()
                trainer._last_loaded_step = trainer.state.global_step
            engine = trainer.vllm_generation.llm
            return asyncio.run(
                _play(tasks, self.team, EngineSampler(engine, self.tongue.tokenizer, temperature), self.tongue)
            )

        model, was_training = trainer.model_wrapped, trainer.model.training
        try:
            with unwrap_model_for_generation(model, trainer.accelerator) as plain:
                plain.eval()
                sampler = ModelSampler(plain, self.tongue.tokenizer, temperature)
                return asyncio.run(_play(tasks, self.team, sampler, self.tongue))
        finally:
            trainer.model.train(was_training)

    def _overlong(self, played: RolloutResult) -> float:
        limit = self.tongue.limits.response
        length = max((len(each.ids) for each in played.sequences), default=0)
        return overlong(length, limit, self.overlong_share * limit)

    def _row(self, played: RolloutResult, *, is_counted: bool) -> dict[str, Any]:
        """A rollout as TRL takes it: one prompt, one completion. Raises UsageError for several."""
        end = self.tongue.tokenizer.eos_token_id
        own = played.only_sequence(end)
        if not own.ids:  # TRL has no empty completions
            return {"prompt_ids": own.prompt_ids, "completion_ids": [end], "logprobs": [0.0], "env_mask": [0]}
        mask = own.mask if is_counted else [0] * len(own.mask)
        return {"prompt_ids": own.prompt_ids, "completion_ids": own.ids, "logprobs": own.logprobs, "env_mask": mask}


def tell(finished: Sequence[tuple[RolloutResult, Reward | None]], right: Sequence[bool]) -> dict[str, float]:
    """Means over the rollouts of all processes that have a reward, how many an outage ended, and how many the prompt
    did not fit."""
    from accelerate.utils import gather_object

    own = [_numbers(*each, is_right=each_right) for each, each_right in zip(finished, right, strict=True)]
    rows: list[dict[str, float]] = gather_object(own)
    lost = {name: sum(row.get(name, 0) for row in rows) for name in ("failed", "did_not_fit")}
    return {**means([row for row in rows if not set(lost) & set(row)]), **lost}


def _numbers(played: RolloutResult, worth: Reward | None, *, is_right: bool) -> dict[str, float]:
    """What counts of a rollout; of one without a reward, why it has none."""
    if worth is None:
        return {"did_not_fit" if played.did_not_fit else "failed": 1}
    parts = {f"reward_{name}": part for name, part in asdict(worth).items()}
    return {**counts(played.trace), **parts, "accuracy": float(is_right)}


def _equal_groups(totals: Sequence[float | None], trainer: Any) -> list[bool]:
    """For each of this process's rewards, whether all that its group has are equal; a group may lie in several
    processes, one behind the other."""
    from accelerate.utils import gather_object

    everywhere = gather_object(list(totals))
    size, first = trainer.num_generations, trainer.accelerator.process_index * len(totals)
    groups = [everywhere[start : start + size] for start in range(0, len(everywhere), size)]
    is_equal = [len({total for total in group if total is not None}) <= 1 for group in groups]
    return [is_equal[(first + place) // size] for place in range(len(totals))]


async def _play(tasks: Sequence[RolloutTask], team: Team, sampler: Sample, tongue: MasterFormat) -> list[RolloutResult]:
    try:
        return await play(tasks, team, sampler, tongue)
    finally:
        await team.close()


def rollout_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:  # noqa: ARG001
    """TRL's reward function: what the rollouts have been found to be worth already."""
    told: list[float | None] = columns["rollout_reward"]
    return told


def make_trainer(
    model: Any, rollouts: MasterRollouts, algorithm: str, arguments: Mapping[str, Any], adapter: Any = None
) -> Any:
    """TRL's trainer with the algorithm's settings, and ``arguments`` of its configuration over them; ``adapter`` is
    peft's configuration of one."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    if algorithm == "dapo":
        rollouts.drops_equal_groups, rollouts.overlong_share = True, OVERLONG_SHARE
    asked = [lesson.task.question.text for lesson in rollouts.lessons]
    rows = [[{"role": "user", "content": text, "lesson": number}] for number, text in enumerate(asked)]
    return GRPOTrainer(
        model=model,
        reward_funcs=rollout_reward,
        args=GRPOConfig(**{**COMMON, **REINFORCEMENT[algorithm], **arguments}),
        train_dataset=Dataset.from_dict({"prompt": rows}),
        processing_class=rollouts.tongue.tokenizer,
        rollout_func=rollouts,
        peft_config=adapter,
    )
