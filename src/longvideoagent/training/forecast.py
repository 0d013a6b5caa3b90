"""What a training run needs, told without loading a weight (extra ``train``)."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from longvideoagent.errors import DataError, one_line
from longvideoagent.training.config import MasterConfig, TrainConfig
from longvideoagent.training.learn import group_of
from longvideoagent.training.trl import ALGORITHMS

ADAM_BYTES = 16
"""A trained weight in 32 bits with its gradient and Adam's two moments."""


def forecast(config: MasterConfig, algorithm: str) -> dict[str, int]:
    """Rollouts and, at most, tokens of a step; parameters; the least gigabytes for weights, gradients and Adam's
    moments, before anything is computed. Raises DataError where the model cannot be had."""
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(config.model))
    except (OSError, ValueError) as error:
        raise DataError(f"{config.model}: cannot be loaded ({one_line(error)}); check the path") from error
    weights = sum(each.numel() for each in model.parameters())
    trained = _lora_weights(model, config.lora.rank) if config.lora is not None else weights
    rollouts = config.batch * (group_of(config, algorithm) if isinstance(config, TrainConfig) else 1)
    has_reference = config.lora is None and isinstance(config, TrainConfig) and ALGORITHMS[algorithm]["beta"]
    need = trained * ADAM_BYTES + (weights - trained if config.lora is None else weights) * 4
    need += weights * 4 if has_reference else 0
    return {
        "steps": config.steps,
        "rollouts a step": rollouts,
        "tokens a step, at most": rollouts * (config.limits.prompt + config.limits.response),
        "weights": weights,
        "trained weights": trained,
        "GB at least": math.ceil(need / 1e9),
    }


def _lora_weights(model: Any, rank: int) -> int:
    linear = [
        each for name, each in model.named_modules() if isinstance(each, torch.nn.Linear) and "lm_head" not in name
    ]
    return sum(rank * (each.in_features + each.out_features) for each in linear)
