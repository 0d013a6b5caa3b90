"""The ``vllm serve`` command of a released checkpoint, with the longest context that the GPU holds.

vLLM refuses a ``--max-model-len`` above the model's ``max_position_embeddings`` (unless
VLLM_ALLOW_LONG_MAX_MODEL_LEN is set), and one whose key-value cache does not fit the memory that the weights leave.
Both limits are computed here, before anything is downloaded.
"""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass
from typing import NamedTuple

from longvideoagent.errors import UsageError

GIB = 2**30
MIB_PER_GIB = 1024
BYTES_PER_VALUE = 2
"""Of weights and of the key-value cache: bfloat16."""
MAX_UTILIZATION = 0.9
"""The fraction of a GPU's memory that vLLM may use: its documented default."""
OVERHEAD_GIB = 3.0
"""Activations, CUDA graphs and the CUDA context, an upper bound for models of this size."""
ASSUMED_GPU_GIB = 24.0
"""The memory of a GPU if none is found and none is given."""
LENGTH_STEP = 1024
"""Context lengths are rounded down to a multiple."""
NVIDIA_SMI_TIMEOUT_S = 30.0
"""A driver that hangs counts as one without a GPU."""
MIN_MODEL_LEN = 8192
"""Tokens for a prompt with the subtitles of a clip, some observations and a reply."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What decides the memory of a language model, from its published ``config.json``."""

    num_parameters: int
    num_layers: int
    num_kv_heads: int
    head_dim: int
    max_positions: int
    """Its ``max_position_embeddings``: the longest context that vLLM accepts."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights."""
        return self.num_parameters * BYTES_PER_VALUE

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of the key-value cache for one token: a key and a value in each layer."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * BYTES_PER_VALUE


QWEN3_4B = Architecture(4_022_468_096, 36, 8, 128, 262_144)
QWEN25_7B = Architecture(7_615_616_512, 28, 4, 128, 32_768)
QWEN25_3B = Architecture(3_085_938_688, 36, 2, 128, 32_768)
ARCHITECTURES = {
    "longvideoagent/longvideoagent-qwen3-4b": QWEN3_4B,
    "longvideoagent/longvideoagent-qwen2.5-7b": QWEN25_7B,
    "longvideoagent/longvideoagent-qwen2.5-3b": QWEN25_3B,
}
"""The released checkpoints, which have the shapes of Qwen3-4B-Thinking-2507 and Qwen2.5-{7B,3B}-Instruct."""


class Gpu(NamedTuple):
    """A GPU's memory."""

    name: str
    total_gib: float
    free_gib: float


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """A ``vllm serve`` command, and what it rests on."""

    command: str
    max_model_len: int
    notes: tuple[str, ...]


def serve_command(model: str, port: int, gpu: Gpu | None) -> ServeCommand:
    """The command that serves a released checkpoint on a GPU, with the longest context that fits.

    Args:
        model: A key of ``ARCHITECTURES``.
        port: The port to serve on.
        gpu: The GPU; None assumes one of ``ASSUMED_GPU_GIB``.

    Returns:
        The command, with the sampling defaults of vLLM and not those of the model's ``generation_config.json``.

    Raises:
        UsageError: The model does not fit the GPU with a context of ``MIN_MODEL_LEN``.
    """
    shape = ARCHITECTURES[model]
    used = gpu or Gpu("an assumed GPU", ASSUMED_GPU_GIB, ASSUMED_GPU_GIB)
    utilization = _utilization(used)
    kv_gib = used.total_gib * utilization - shape.weight_bytes / GIB - OVERHEAD_GIB
    fitting = math.floor(max(0.0, kv_gib) * GIB / shape.kv_bytes_per_token)
    length = min(shape.max_positions, fitting // LENGTH_STEP * LENGTH_STEP)
    sizes = f"weights {shape.weight_bytes / GIB:.1f} GiB, other {OVERHEAD_GIB:.1f} GiB"
    memory = f"{used.name}: {used.total_gib:.1f} GiB, of which vLLM may use {utilization:.0%}"
    if length < MIN_MODEL_LEN:
        room = f"{fitting:,} tokens of context fit, {MIN_MODEL_LEN:,} are needed"
        raise UsageError(f"{memory}; {sizes}: {room}; free memory on it, or give --gpu-memory-gib for another GPU")
    cache = f"key-value cache {length * shape.kv_bytes_per_token / GIB:.1f} GiB for {length:,} tokens"
    limit = f"max_position_embeddings {shape.max_positions:,}"
    origin = (
        f"the model's own limit ({limit})" if length == shape.max_positions else f"what fits, of the model's {limit}"
    )
    notes = [f"{memory}; {sizes}, {cache}", f"--max-model-len {length} is {origin}"]
    if gpu is None:
        assumed = f"nvidia-smi shows no GPU, so one with {ASSUMED_GPU_GIB:.0f} GiB is assumed"
        notes.insert(0, f"{assumed}; --gpu-memory-gib gives the memory of the one that will serve")
    arguments = {
        "max-model-len": length,
        "generation-config": "vllm",
        "gpu-memory-utilization": utilization,
        "port": port,
    }
    options = " ".join(f"--{name} {value}" for name, value in arguments.items())
    return ServeCommand(f"vllm serve {model} {options}", length, tuple(notes))


def _utilization(gpu: Gpu) -> float:
    """The fraction of the memory that is free, up to vLLM's default, in steps of 0.01. vLLM starts only if that
    much is free when it begins."""
    return min(MAX_UTILIZATION, math.floor(100 * gpu.free_gib / gpu.total_gib) / 100)


def query_gpus(fields: str, *, with_units: bool = True) -> list[str]:
    """Return a line of nvidia-smi for each GPU: its values of these fields; empty if it shows none, fails or hangs."""
    output_format = "csv,noheader" if with_units else "csv,noheader,nounits"
    command = ["nvidia-smi", f"--query-gpu={fields}", f"--format={output_format}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=NVIDIA_SMI_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [] if done.returncode else [line.strip() for line in done.stdout.splitlines() if line.strip()]


def largest_gpu() -> Gpu | None:
    """The GPU with the most memory, by nvidia-smi; None if it shows none."""
    lines = query_gpus("name,memory.total,memory.free", with_units=False)
    gpus = [gpu for line in lines if (gpu := _parse_gpu(line)) is not None]
    return max(gpus, key=lambda gpu: gpu.total_gib, default=None)


def _parse_gpu(line: str) -> Gpu | None:
    """A line of nvidia-smi, with MiB; None if it has no numbers, as for a GPU that is shared."""
    name, _, numbers = line.partition(",")
    try:
        total_mib, free_mib = (float(number) for number in numbers.split(","))
    except ValueError:
        return None
    return Gpu(name.strip(), total_mib / MIB_PER_GIB, free_mib / MIB_PER_GIB) if total_mib > 0 else None
