"""GRPO and DAPO of the master through TRL's trainer (extra ``train``; TRL's ``rollout_func`` is experimental, so its
version is pinned and this is the one file that knows it)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from longvideoagent.agents.team import Team
from longvideoagent.context import Style
from longvideoagent.errors import UsageError
from longvideoagent.training.reward import PRESETS, Reward, Weights, reward
from longvideoagent.training.rollouts import Lesson, Played, Task, Tongue, play
from longvideoagent.training.sampling import ModelSampler
from longvideoagent.types import Look, Relocate

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

ALGORITHMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "grpo": {"loss_type": "grpo", "beta": 0.001, "epsilon": 0.2, "num_generations": 8},
        "dapo": {"loss_type": "dapo", "beta": 0.0, "epsilon": 0.2, "epsilon_high": 0.28, "num_generations": 4},
    }
)
"""The paper's and the public code's settings, as TRL's configuration names them; learning rate and warm-up besides. A
rollout ends at a tag and not with an end of turn, so TRL's masking of truncated completions stays off."""
COMMON: Mapping[str, Any] = MappingProxyType(
    {"learning_rate": 5e-6, "warmup_steps": 0.1, "mask_truncated_completions": False, "temperature": 1.0}
)


@dataclass
class MasterRollouts:
    """TRL's ``rollout_func``: plays the lessons that the prompts name. ``finished`` tells of the last batch."""

    lessons: Sequence[Lesson]
    team: Team
    tongue: Tongue
    weights: Weights = field(default_factory=lambda: PRESETS["paper"])
    drops_equal_groups: bool = False
    """Whether a group whose rewards are all equal is left out of the loss (DAPO)."""
    finished: Sequence[tuple[Played, Reward | None]] = ()

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        """One rollout for each prompt; TRL repeats a prompt for each of its group. A rollout that an outage ended has
        no reward, and its tokens no mask: it teaches nothing."""
        lessons = [self.lessons[prompt[0]["lesson"]] for prompt in prompts]
        played = self._play([lesson.task for lesson in lessons], trainer)
        ended = zip(played, lessons, strict=True)
        rewards = [reward(each.trace, lesson.gold_option, self.weights) for each, lesson in ended]
        self.finished = list(zip(played, rewards, strict=True))
        totals = [None if each is None else each.total for each in rewards]
        is_counted = [total is not None for total in totals]
        if self.drops_equal_groups and trainer.model.training:
            size = trainer.num_generations
            for start in range(0, len(totals), size):
                if len(set(totals[start : start + size])) == 1:
                    is_counted[start : start + size] = [False] * size
        rows = [self._row(each, is_counted=counts) for each, counts in zip(played, is_counted, strict=True)]
        return {**{name: [row[name] for row in rows] for name in rows[0]}, "rollout_reward": totals}

    def _play(self, tasks: Sequence[Task], trainer: Any) -> list[Played]:
        from trl.models import unwrap_model_for_generation

        model, was_training = trainer.model_wrapped, trainer.model.training
        try:
            with unwrap_model_for_generation(model, trainer.accelerator) as plain:
                plain.eval()
                sampler = ModelSampler(plain, self.tongue.tokenizer, trainer.args.temperature)
                return asyncio.run(_play(tasks, self.team, sampler, self.tongue))
        finally:
            trainer.model.train(was_training)

    def _row(self, played: Played, *, is_counted: bool) -> dict[str, Any]:
        """A rollout as TRL takes it: one prompt, one completion. Raises UsageError for several."""
        end = self.tongue.tokenizer.eos_token_id
        if len(played.sequences) > 1:
            told = f"style {self.tongue.wording.style}: its contexts are no single sequence with this chat template"
            raise UsageError(f"{told}; take {Style.CONTINUATION}")
        if not played.sequences or not played.sequences[0].ids:
            prompt = played.sequences[0].prompt_ids if played.sequences else [end]
            return {"prompt_ids": prompt, "completion_ids": [end], "logprobs": [0.0], "env_mask": [0]}
        (own,) = played.sequences
        mask = own.mask if is_counted else [0] * len(own.mask)
        return {"prompt_ids": own.prompt_ids, "completion_ids": own.ids, "logprobs": own.logprobs, "env_mask": mask}


async def _play(tasks: Sequence[Task], team: Team, sampler: ModelSampler, tongue: Tongue) -> list[Played]:
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
    peft's configuration of one. Raises UsageError for an unknown algorithm."""
    if algorithm not in ALGORITHMS:
        raise UsageError(f"{algorithm}: no such algorithm; give {' or '.join(ALGORITHMS)}")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    rollouts.drops_equal_groups = algorithm == "dapo"
    asked = [lesson.task.question.text for lesson in rollouts.lessons]
    rows = [[{"role": "user", "content": text, "lesson": number}] for number, text in enumerate(asked)]
    return GRPOTrainer(
        model=model,
        reward_funcs=rollout_reward,
        args=GRPOConfig(**{**COMMON, **ALGORITHMS[algorithm], **arguments}),
        train_dataset=Dataset.from_dict({"prompt": rows}),
        processing_class=rollouts.tongue.tokenizer,
        rollout_func=rollouts,
        peft_config=adapter,
    )


def tool_use(played: Sequence[Played]) -> dict[str, float]:
    """Means over rollouts: rounds, looks, relocations."""
    actions = [[type(said.action) for said in each.trace.rounds] for each in played]
    count = len(played) or 1
    return {
        "rounds": sum(map(len, actions)) / count,
        "looks": sum(each.count(Look) for each in actions) / count,
        "relocations": sum(each.count(Relocate) for each in actions) / count,
    }
