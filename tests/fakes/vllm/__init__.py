"""Stands in for vLLM where there is no GPU: the documented signatures (0.11 and later), and an engine that
says what ``SAYS`` holds, three characters a step."""

from __future__ import annotations

from dataclasses import dataclass

from vllm.sampling_params import SamplingParams

__all__ = ["SAYS", "AsyncEngineArgs", "SamplingParams"]

SAYS = ["hi there"]


@dataclass
class AsyncEngineArgs:
    model: str = "Qwen/Qwen3-0.6B"
    max_model_len: int | None = None
