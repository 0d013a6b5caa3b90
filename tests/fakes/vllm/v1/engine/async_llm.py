from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import vllm
from vllm.sampling_params import SamplingParams


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: list[int]
    finish_reason: str | None = None


@dataclass
class RequestOutput:
    request_id: str
    outputs: list[CompletionOutput]
    finished: bool


class AsyncLLM:
    started: list[AsyncLLM] = []

    def __init__(self, engine_args: vllm.AsyncEngineArgs) -> None:
        self.engine_args = engine_args
        self.requests: list[tuple[dict[str, Any], SamplingParams, str]] = []
        self.aborted: list[str] = []
        self.is_shut_down = False
        AsyncLLM.started.append(self)

    @classmethod
    def from_engine_args(
        cls, engine_args: vllm.AsyncEngineArgs, start_engine_loop: bool = True, usage_context: Any = None
    ) -> AsyncLLM:
        return cls(engine_args)

    async def generate(
        self,
        prompt: dict[str, Any],
        sampling_params: SamplingParams,
        request_id: str,
        *,
        prompt_text: str | None = None,
        lora_request: Any = None,
        priority: int = 0,
    ) -> AsyncGenerator[RequestOutput, None]:
        assert not self.is_shut_down
        max_length = self.engine_args.max_model_len
        if max_length is not None and len(prompt["prompt_token_ids"]) > max_length:
            raise ValueError(f"The prompt is longer than the maximum model length of {max_length}.")
        self.requests.append((prompt, sampling_params, request_id))
        text = vllm.REPLIES[0]
        try:
            for end in range(3, len(text) + 3, 3):
                await asyncio.sleep(0)
                output = CompletionOutput(0, text[:end], list(range(len(text[:end]))))
                yield RequestOutput(request_id, [output], end >= len(text))
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted.append(request_id)
            raise

    def shutdown(self) -> None:
        self.is_shut_down = True
