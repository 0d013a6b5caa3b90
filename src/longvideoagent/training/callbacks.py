"""What every training run does beside its steps: it writes what they told, and stops where the loss is no number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback

from longvideoagent.errors import ModelError, one_line
from longvideoagent.progress import Progress
from longvideoagent.training.run_dir import METRICS, TrainingFolder


class Watch(TrainerCallback):  # type: ignore[misc]
    """Writes a line of metrics a step. ``tell_more`` gives further numbers of the latest step."""

    def __init__(
        self, folder: TrainingFolder, progress: Progress, tell_more: Callable[[int], Mapping[str, Any]]
    ) -> None:
        self.broken = ""
        self._folder = folder
        self._progress = progress
        self._tell_more = tell_more

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:  # noqa: ARG002
        """See transformers."""
        if not logs or "loss" not in logs:
            return
        if not math.isfinite(float(logs["loss"])) or not math.isfinite(float(logs.get("grad_norm", 0.0))):
            self.broken = f"the loss of step {state.global_step} is no number"
            control.should_training_stop, control.should_save = True, False
        more = self._tell_more(state.global_step)
        if state.is_world_process_zero:
            numbers = {name: told for name, told in logs.items() if isinstance(told, int | float)}
            self._folder.add(METRICS, {"step": state.global_step, **numbers, **more})
            self._progress("training", state.global_step / state.max_steps)


def run_trainer(trainer: Any, folder: TrainingFolder, watch: Watch) -> None:
    """Train from the folder's latest checkpoint on, and write the model. Raises ModelError where the run breaks; its
    checkpoints stay."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    checkpoint = folder.checkpoint
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
    except (torch.OutOfMemoryError, FloatingPointError) as error:
        raise _stopped(folder, one_line(error)) from error
    if watch.broken:
        raise _stopped(folder, watch.broken)
    trainer.save_model(str(folder.model))


def _stopped(folder: TrainingFolder, why: str) -> ModelError:
    """What is said of a run that broke."""
    mend = "choose another out, with less learning_rate or less at once"
    if folder.checkpoint is not None:
        mend = "the checkpoints are kept; take one as model of another run, with less learning_rate or less at once"
    return ModelError(f"{folder.path}: training stopped ({why}); {mend}")
