"""Settings and arguments that all training runs share, and their checks (extra ``train``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

import torch

from longvideoagent.errors import DataError, UsageError, one_line
from longvideoagent.training.config import TrainingConfig


def run_settings(config: TrainingConfig, algorithm: str) -> dict[str, Any]:
    """What decides a run, for its folder: where it is stored and how often it is saved do not."""
    return {"algorithm": algorithm, **config.model_dump(mode="json", exclude={"out", "save_steps"})}


def cannot_be_trained(model: str, error: Exception) -> DataError:
    """The error for a model and settings that peft or TRL refuse."""
    return DataError(f"{model}: cannot be trained with this configuration ({one_line(error)}); fix the configuration")


def gradient_accumulation_steps(sequences_per_step: int, per_device: int, field: str) -> int:
    """Forward passes per step and process (torchrun's). Raises UsageError, which names the ``field`` that decides the
    sequences of a step, if processes cannot share them evenly."""
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if sequences_per_step % (num_processes * per_device):
        noun = "process" if num_processes == 1 else "processes"
        raise UsageError(
            f"{field}: {num_processes} {noun} with per_device_batch_size {per_device} "
            f"cannot share {sequences_per_step} sequences per step evenly; "
            f"change {field} or per_device_batch_size"
        )
    return sequences_per_step // (num_processes * per_device)


def common_arguments() -> dict[str, Any]:
    """Fields that all of TRL's trainers get; some depend on the machine."""
    has_gpu = torch.cuda.is_available()
    has_tensorboard = find_spec("tensorboard") is not None
    return {
        "logging_steps": 1,
        "disable_tqdm": True,
        "report_to": "tensorboard" if has_tensorboard else "none",
        "use_cpu": not has_gpu,
        "bf16": has_gpu,
        "gradient_checkpointing": has_gpu,
    }


def check_trl_fields(config_class: str, values: Mapping[str, Any]) -> None:
    """Raises UsageError for a field that TRL's configuration class does not have."""
    import trl

    known = {field.name for field in fields(getattr(trl, config_class))}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise UsageError(f"trl.{unknown[0]}: no field of TRL's {config_class}; fix or delete it")
