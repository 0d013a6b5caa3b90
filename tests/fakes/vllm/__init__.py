"""A fake vLLM for machines without a GPU: the documented signatures (0.11 and later), and an engine that replies with
``REPLIES[0]``, three characters a step."""

from __future__ import annotations

from dataclasses import dataclass

from vllm.sampling_params import SamplingParams

__all__ = ["REPLIES", "AsyncEngineArgs", "SamplingParams"]

REPLIES = ["hi there"]


@dataclass
class AsyncEngineArgs:
    model: str = "Qwen/Qwen3-0.6B"
    max_model_len: int | None = None
