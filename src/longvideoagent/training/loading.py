"""Models and adapters to train, loaded or refused in one line (extra ``train``)."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging
from transformers.utils.peft_utils import find_adapter_config_file

from longvideoagent.errors import DataError, one_line
from longvideoagent.training.config import Lora

_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
"""What a model of the hub can be called."""


def is_main_process() -> bool:
    """Whether this is the one of several processes (torchrun's) that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def keep_quiet() -> None:
    """Have transformers say nothing of what it loads, nor of its own future."""
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def load_model(path: str, *, is_adapted: bool) -> tuple[Any, Any]:
    """Model and tokenizer. Weights that are trained have 32 bits; those under an adapter have 16 on a GPU. Raises
    DataError where they cannot be loaded or trained."""
    keep_quiet()
    refuse_adapter(path)
    model, tokenizer = load_both(path, dtype_of(is_adapted=is_adapted))
    if not tokenizer.chat_template:
        raise DataError(f"{path}: has no chat template; take a model that was trained to chat")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def load_both(path: str, dtype: Any) -> tuple[Any, Any]:
    """Model and tokenizer. Raises DataError where they cannot be loaded."""
    if not Path(path).is_dir() and not _ID.fullmatch(path):
        raise DataError(f"{path}: no such folder; check the path")
    try:
        AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be loaded ({one_line(error)}); check the path") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise DataError(
            f"{path}: has no tokenizer that can be read ({one_line(error)}); put its files there"
        ) from error
    try:
        return AutoModelForCausalLM.from_pretrained(path, dtype=dtype), tokenizer
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be loaded ({one_line(error)}); check its files") from error


def refuse_adapter(path: str) -> None:
    """Raises DataError for a folder, or an id, of an adapter: transformers would load it inside its base, and what is
    trained then would be neither."""
    try:
        found = find_adapter_config_file(path)
    except (OSError, ValueError):  # no id of anything; loading tells why
        return
    if found:
        raise DataError(f"{path}: is an adapter; put it into its base with lva merge first")


def dtype_of(*, is_adapted: bool) -> torch.dtype:
    """That of a model's own weights, whether an adapter is trained over them or they are."""
    return torch.bfloat16 if is_adapted and torch.cuda.is_available() else torch.float32


def adapter_of(lora: Lora | None) -> Any:
    """peft's configuration of an adapter; None for none."""
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=lora.modules, task_type="CAUSAL_LM")


def machine_arguments() -> dict[str, Any]:
    """What the machine at hand decides of a trainer's arguments."""
    has_gpu = torch.cuda.is_available()
    return {"use_cpu": not has_gpu, "bf16": has_gpu, "gradient_checkpointing": has_gpu}
