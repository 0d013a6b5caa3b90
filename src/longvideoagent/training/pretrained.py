"""Pretrained models and adapters: load them, or refuse them in one line (extra ``train``)."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging
from transformers.utils.peft_utils import find_adapter_config_file

from longvideoagent.errors import DataError, one_line
from longvideoagent.training.config import Lora

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


class Pretrained(NamedTuple):
    """A model of transformers with its tokenizer."""

    model: Any
    tokenizer: Any


def is_main_process() -> bool:
    """Whether this process is the one of torchrun's that writes files."""
    return int(os.environ.get("RANK", "0")) == 0


def silence_transformers() -> None:
    """Turn off transformers' progress bars and its warnings about future versions."""
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def load_model(path: str, *, is_adapted: bool) -> Pretrained:
    """Load a model to train. Its weights have 32 bits if they are trained, 16 under an adapter on a GPU. Raises
    DataError for a model that cannot be loaded or trained."""
    silence_transformers()
    refuse_adapter(path)
    model, tokenizer = load_pretrained(path, weight_dtype(is_adapted=is_adapted))
    if not tokenizer.chat_template:
        raise DataError(f"{path}: has no chat template; use a model that was trained to chat")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Pretrained(model, tokenizer)


def load_pretrained(path: str, dtype: Any) -> Pretrained:
    """Load model and tokenizer from a folder or hub id. Raises DataError for one that cannot be loaded."""
    if not Path(path).is_dir() and not _HUB_ID.fullmatch(path):
        raise DataError(f"{path}: no such folder; check the path")
    try:
        AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be loaded ({one_line(error)}); check the path") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise DataError(f"{path}: its tokenizer cannot be read ({one_line(error)}); add its files") from error
    try:
        return Pretrained(AutoModelForCausalLM.from_pretrained(path, dtype=dtype), tokenizer)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be loaded ({one_line(error)}); check its files") from error


def refuse_adapter(path: str) -> None:
    """Raises DataError for an adapter: transformers would load it inside its base, and neither of the two would be
    trained."""
    try:
        adapter_config = find_adapter_config_file(path)
    except (OSError, ValueError):  # the path does not exist; loading it says why
        return
    if adapter_config:
        raise DataError(f"{path}: is an adapter; merge it into its base with lva merge first")


def weight_dtype(*, is_adapted: bool) -> torch.dtype:
    """The type of the model's own weights, under an adapter or trained themselves."""
    return torch.bfloat16 if is_adapted and torch.cuda.is_available() else torch.float32


def lora_config(lora: Lora | None) -> Any:
    """peft's configuration of an adapter, or None."""
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=lora.target_modules, task_type="CAUSAL_LM")
