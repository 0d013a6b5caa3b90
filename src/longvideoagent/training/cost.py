"""What a training run needs, computed without loading weights (extra ``train``)."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from longvideoagent.errors import DataError, one_line
from longvideoagent.training.config import ALGORITHMS, RLConfig, SftConfig
from longvideoagent.training.pretrained import lora_config, refuse_adapter, weight_dtype
from longvideoagent.training.trainer_arguments import cannot_be_trained

TRAINED_BYTES = 16
"""Of a trained weight in 32 bits, with its gradient and Adam's two moments."""
REFERENCE_BYTES = 4
"""Of a weight of the reference model for the KL term."""


def forecast(config: RLConfig | SftConfig, algorithm: str) -> dict[str, int]:
    """Sequences and maximum tokens of a step; parameters; and a lower bound in gigabytes, for this machine: weights,
    gradients and Adam's moments, without activations. Raises DataError for a model or adapter that cannot be built."""
    model = _empty_model(config.model)
    num_weights = sum(weight.numel() for weight in model.parameters())
    num_trained = num_weights if config.lora is None else _num_adapter_weights(model, config)
    num_frozen = 0 if config.lora is None else num_weights
    need_bytes = num_trained * TRAINED_BYTES + num_frozen * weight_dtype(is_adapted=True).itemsize
    if _has_reference_model(config, algorithm):
        need_bytes += num_weights * REFERENCE_BYTES
    if isinstance(config, RLConfig):
        name, sequences = "rollouts per step", config.rollouts_per_step(algorithm)
    else:
        name, sequences = "sequences per step", config.sequences_per_step
    max_tokens = config.limits.max_prompt_tokens + config.limits.max_response_tokens
    return {
        "steps": config.max_steps,
        name: sequences,
        "max tokens per step": sequences * max_tokens,
        "weights": num_weights,
        "trained weights": num_trained,
        "min GB": math.ceil(need_bytes / 1e9),
    }


def _empty_model(path: str) -> Any:
    """The model's architecture on the meta device."""
    refuse_adapter(path)
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be loaded ({one_line(error)}); check the path") from error


def _num_adapter_weights(model: Any, config: RLConfig | SftConfig) -> int:
    from peft import get_peft_model

    try:
        with torch.device("meta"):
            adapted = get_peft_model(model, lora_config(config.lora))
    except ValueError as error:
        raise cannot_be_trained(config.model, error) from error
    return sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def _has_reference_model(config: RLConfig | SftConfig, algorithm: str) -> bool:
    """Whether a second model is in memory for the KL term; with an adapter, its base is that model."""
    if config.lora is not None or not isinstance(config, RLConfig):
        return False
    return bool({**ALGORITHMS[algorithm].trl_fields, **config.trl}["beta"])
