"""Questions of other episodes, asked while a master is trained (extra ``train``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback

from longvideoagent.core.outcome import Outcome
from longvideoagent.core.scoring import score
from longvideoagent.training.rollouts import RolloutResult, TrainingSample, counts, means
from longvideoagent.training.run_dir import HELD_OUT, TrainingFolder
from longvideoagent.training.trl import MasterRollouts

TEMPERATURE = 0.6
"""The public code's at evaluation (SYSTEM: call settings)."""
AT_ONCE = 64
"""Rollouts sampled side by side."""


class EvalCallback(TrainerCallback):  # type: ignore[misc]
    """Asks them before the first step, every so many steps, and after the last, without touching the random numbers
    that training goes on with. Nothing is learnt from them."""

    def __init__(
        self,
        trainer: Any,
        rollouts: MasterRollouts,
        lessons: Sequence[TrainingSample],
        folder: TrainingFolder,
        every: int,
    ) -> None:
        self._trainer = trainer
        self._rollouts = rollouts
        self._lessons = lessons
        self._folder = folder
        self._every = every

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """See transformers."""
        if state.global_step == 0:
            self._ask(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """See transformers."""
        if state.global_step % self._every == 0 or state.global_step == state.max_steps:
            self._ask(state)

    def _ask(self, state: Any) -> None:
        process = self._trainer.accelerator.process_index
        own = self._lessons[process :: self._trainer.accelerator.num_processes]
        played: list[RolloutResult] = []
        with torch.random.fork_rng():
            torch.manual_seed(self._trainer.args.seed + process)
            for start in range(0, len(own), AT_ONCE):
                tasks = [lesson.task for lesson in own[start : start + AT_ONCE]]
                played += self._rollouts.play(tasks, self._trainer, TEMPERATURE)
        ended = gather_object(list(zip(own, played, strict=True)))
        if state.is_world_process_zero:
            self._folder.add(HELD_OUT, {"step": state.global_step, **summarize(ended)})


def summarize(ended: Sequence[tuple[TrainingSample, RolloutResult]]) -> dict[str, Any]:
    """Accuracy, and how the agents were used, in all and of each kind of question; of no questions, neither. An outage
    is no wrong answer, nor is a prompt that did not fit: both are counted apart."""
    failed = sum(played.trace.outcome is Outcome.FAILED for _, played in ended)
    whole = [
        (lesson, played)
        for lesson, played in ended
        if played.trace.outcome is not Outcome.FAILED and not played.did_not_fit
    ]
    kinds = sorted({lesson.kind for lesson, _ in whole})
    by_kind = {kind: _measure([each for each in whole if each[0].kind == kind]) for kind in kinds}
    lost = {"failed": failed, "did_not_fit": len(ended) - len(whole) - failed}
    return {**_measure(whole), **lost, "by_kind": by_kind}


def _measure(ended: Sequence[tuple[TrainingSample, RolloutResult]]) -> Mapping[str, float]:
    rows = [
        {"accuracy": float(score(played.trace, lesson.gold_option).correct), **counts(played.trace)}
        for lesson, played in ended
    ]
    return {"n": len(rows), **means(rows)}
