"""What a training run does besides its steps: write metrics, evaluate, stop at a loss that is not finite (extra
``train``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from accelerate.utils import gather_object
from transformers import PrinterCallback, TrainerCallback

from longvideoagent.errors import ModelError, one_line
from longvideoagent.progress import Progress
from longvideoagent.training.rollouts import RolloutResult, RolloutTask, TrainingSample, action_counts, mean_rows
from longvideoagent.training.run_dir import EVAL, METRICS, RunDir

EVAL_TEMPERATURE = 0.6
"""The public code's temperature at evaluation."""
EVAL_BATCH_SIZE = 64
"""Rollouts that are sampled together."""


# --- metrics of each step ------------------------------------------------------------------------


class MetricsCallback(TrainerCallback):  # type: ignore[misc]
    """Appends a line of metrics per step; ``step_metrics(step)`` adds further numbers. Stops the run at a loss that is
    not finite."""

    def __init__(self, run_dir: RunDir, progress: Progress, step_metrics: Callable[[int], Mapping[str, float]]) -> None:
        self.problem = ""
        """Why the run was stopped; empty otherwise."""
        self._run_dir = run_dir
        self._progress = progress
        self._step_metrics = step_metrics

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:  # noqa: ARG002
        """See transformers."""
        if not logs or "loss" not in logs:
            return
        if not math.isfinite(float(logs["loss"])) or not math.isfinite(float(logs.get("grad_norm", 0.0))):
            self.problem = f"the loss of step {state.global_step} is not finite"
            control.should_training_stop, control.should_save = True, False
        extra = self._step_metrics(state.global_step)
        if state.is_world_process_zero:
            numbers = {name: value for name, value in logs.items() if isinstance(value, int | float)}
            self._run_dir.append(METRICS, {"step": state.global_step, **numbers, **extra})
            self._progress("training", state.global_step / state.max_steps)


def run_trainer(trainer: Any, run_dir: RunDir, callback: MetricsCallback) -> None:
    """Train from the folder's latest checkpoint on, and save the model. Raises ModelError for a run that breaks off;
    its checkpoints are kept."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(callback)
    checkpoint = run_dir.checkpoint
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
    except (torch.OutOfMemoryError, FloatingPointError) as error:
        raise _training_stopped(run_dir, one_line(error)) from error
    if callback.problem:
        raise _training_stopped(run_dir, callback.problem)
    trainer.save_model(str(run_dir.model))


def _training_stopped(run_dir: RunDir, reason: str) -> ModelError:
    settings = "a lower learning_rate or per_device_batch_size"
    if run_dir.checkpoint is None:
        fix = f"choose another out, with {settings}"
    else:
        fix = f"the checkpoints are kept; use one as model of another run, with {settings}"
    return ModelError(f"{run_dir.path}: training stopped ({reason}); {fix}")


# --- evaluation during training ------------------------------------------------------------------


class RunTasks(Protocol):
    """Runs rollouts of tasks with the trainer's model as it is now; see ``trl.MasterRollouts.run``."""

    def run(self, tasks: Sequence[RolloutTask], trainer: Any, temperature: float) -> list[RolloutResult]:
        """One result per task."""
        ...


class EvaluatedRollout(NamedTuple):
    """A rollout with its sample."""

    sample: TrainingSample
    result: RolloutResult


class EvalCallback(TrainerCallback):  # type: ignore[misc]
    """Evaluates on ``samples`` before the first step, every ``eval_steps`` and after the last. Does not change the
    random state of training."""

    def __init__(
        self, trainer: Any, rollouts: RunTasks, samples: Sequence[TrainingSample], run_dir: RunDir, eval_steps: int
    ) -> None:
        self._trainer = trainer
        self._rollouts = rollouts
        self._samples = samples
        self._run_dir = run_dir
        self._eval_steps = eval_steps

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """See transformers."""
        if state.global_step == 0:
            self._evaluate(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """See transformers."""
        if state.global_step % self._eval_steps == 0 or state.global_step == state.max_steps:
            self._evaluate(state)

    def _evaluate(self, state: Any) -> None:
        rank, num_processes = self._trainer.accelerator.process_index, self._trainer.accelerator.num_processes
        samples = self._samples[rank::num_processes]
        results: list[RolloutResult] = []
        with torch.random.fork_rng():
            torch.manual_seed(self._trainer.args.seed + rank)
            for start in range(0, len(samples), EVAL_BATCH_SIZE):
                tasks = [sample.task for sample in samples[start : start + EVAL_BATCH_SIZE]]
                results += self._rollouts.run(tasks, self._trainer, EVAL_TEMPERATURE)
        rollouts = [EvaluatedRollout(sample, result) for sample, result in zip(samples, results, strict=True)]
        evaluated = gather_object(rollouts)  # of all processes
        if state.is_world_process_zero:
            self._run_dir.append(EVAL, {"step": state.global_step, **eval_metrics(evaluated)})


def eval_metrics(evaluated: Sequence[EvaluatedRollout]) -> dict[str, Any]:
    """Accuracy and action counts, over all questions and by kind. Rollouts that an outage ended, or whose prompt was
    too long, are not wrong answers; they are counted separately."""
    usable = [rollout for rollout in evaluated if rollout.result.is_usable]
    kinds = sorted({rollout.sample.kind for rollout in usable})
    return {
        **_mean_eval_metrics(usable),
        "failed": sum(rollout.result.is_failed for rollout in evaluated),
        "prompt_too_long": sum(rollout.result.is_prompt_too_long for rollout in evaluated),
        "by_kind": {
            kind: _mean_eval_metrics([rollout for rollout in usable if rollout.sample.kind == kind]) for kind in kinds
        },
    }


def _mean_eval_metrics(evaluated: Sequence[EvaluatedRollout]) -> dict[str, float]:
    rows = [
        {"accuracy": float(result.is_correct(sample.gold_option)), **action_counts(result.trace)}
        for sample, result in evaluated
    ]
    return {"questions": len(rows), **mean_rows(rows)}
