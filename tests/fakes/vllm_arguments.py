"""vLLM's checks of a ``vllm serve`` command, by their documented rules: its arguments, the model's own length, and the
memory of the key-value cache. Independent of ``models.vllm_serve``."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

GIB = 2**30
BLOCK_TOKENS = 16
PEAK_GIB = 2.5
"""Activations, CUDA graphs and the CUDA context, as vLLM measures them for models of this size."""
CONFIGS: dict[str, dict[str, Any]] = {
    "qwen3-4b": {
        "model_type": "qwen3",
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "max_position_embeddings": 262144,
    },
    "qwen2.5-7b": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "max_position_embeddings": 32768,
    },
    "qwen2.5-3b": {
        "model_type": "qwen2",
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "max_position_embeddings": 32768,
    },
}
"""The published ``config.json`` of the models that the checkpoints were trained from."""


def check_serve(command: str, config: dict[str, Any], gpu_gib: float) -> argparse.Namespace:
    """The command's arguments. Raises ValueError where vLLM does, and SystemExit for an unknown argument."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=["vllm"])
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--generation-config", default="auto")
    parser.add_argument("--gpu-memory-utilization", type=float, default=0.9)
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args(shlex.split(command))
    if not 0 < arguments.gpu_memory_utilization <= 1:
        raise ValueError("gpu_memory_utilization must be in (0, 1]")
    if arguments.max_model_len > config["max_position_embeddings"]:
        raise ValueError("max_model_len is greater than the derived max_model_len")
    available = (arguments.gpu_memory_utilization * gpu_gib - PEAK_GIB) * GIB - 2 * num_parameters(config)
    num_blocks = -(-arguments.max_model_len // BLOCK_TOKENS) + 1  # one block is never given to a request
    if num_blocks * BLOCK_TOKENS * kv_bytes_per_token(config) > available:
        raise ValueError("the KV cache of one sequence is larger than the available memory")
    return arguments


def kv_bytes_per_token(config: dict[str, Any]) -> int:
    """A key and a value in bfloat16, for each layer."""
    return int(2 * 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * head_dim(config))


def head_dim(config: dict[str, Any]) -> int:
    return int(config.get("head_dim", config["hidden_size"] // config["num_attention_heads"]))


def num_parameters(config: dict[str, Any]) -> int:
    """Parameters of a Qwen2 or Qwen3 model: biases of q, k and v in the one, norms of q and k in the other."""
    hidden, width = config["hidden_size"], head_dim(config)
    q, kv = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    extra = 2 * width if config["model_type"] == "qwen3" else q + 2 * kv
    layer = hidden * (q + 2 * kv) + q * hidden + extra + 3 * hidden * config["intermediate_size"] + 2 * hidden
    embeddings = config["vocab_size"] * hidden * (1 if config["tie_word_embeddings"] else 2)
    return int(config["num_hidden_layers"] * layer + embeddings + hidden)
