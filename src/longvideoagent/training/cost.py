"""What a training run needs, told without loading a weight (extra ``train``)."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from longvideoagent.errors import DataError, one_line
from longvideoagent.training.config import REINFORCEMENT, MasterConfig, TrainConfig
from longvideoagent.training.loading import adapter_of, dtype_of, refuse_adapter
from longvideoagent.training.rl import group_of

ADAM_BYTES = 16
"""A trained weight in 32 bits with its gradient and Adam's two moments."""
REFERENCE_BYTES = 4
"""A weight of the model that the KL is measured to."""


def forecast(config: MasterConfig, algorithm: str) -> dict[str, int]:
    """Rollouts and, at most, tokens of a step; parameters; the least gigabytes for weights, gradients and Adam's
    moments on a machine like this one, before anything is computed. Raises DataError where the model, or the adapter,
    cannot be had."""
    model = _without_weights(config.model)
    weights = sum(each.numel() for each in model.parameters())
    trained = weights if config.lora is None else _adapter_weights(model, config)
    frozen = 0 if config.lora is None else weights
    rollouts = config.batch * (group_of(config, algorithm) if isinstance(config, TrainConfig) else 1)
    need = trained * ADAM_BYTES + frozen * dtype_of(is_adapted=True).itemsize
    need += weights * REFERENCE_BYTES if _has_reference(config, algorithm) else 0
    return {
        "steps": config.steps,
        "rollouts a step": rollouts,
        "tokens a step, at most": rollouts * (config.limits.prompt + config.limits.response),
        "weights": weights,
        "trained weights": trained,
        "GB at least": math.ceil(need / 1e9),
    }


def _without_weights(path: str) -> Any:
    refuse_adapter(path)
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be loaded ({one_line(error)}); check the path") from error


def _adapter_weights(model: Any, config: MasterConfig) -> int:
    from peft import get_peft_model

    try:
        with torch.device("meta"):
            adapted = get_peft_model(model, adapter_of(config.lora))
    except ValueError as error:
        raise DataError(f"{config.model}: cannot be trained so ({one_line(error)}); mend the configuration") from error
    return sum(each.numel() for each in adapted.parameters() if each.requires_grad)


def _has_reference(config: MasterConfig, algorithm: str) -> bool:
    """Whether a second model is held for the KL; under an adapter its base is that model."""
    if config.lora is not None or not isinstance(config, TrainConfig):
        return False
    return bool({**REINFORCEMENT[algorithm], **config.trl}["beta"])
