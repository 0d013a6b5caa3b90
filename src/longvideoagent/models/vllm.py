"""A language model in this process, through vLLM's asynchronous engine (extra ``vllm``; needs a GPU).

The engine batches continuously by itself; each call is one request to it. Tested against the
signatures of vLLM 0.11 and later, and run wherever there is a GPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from longvideoagent.core.protocol import has_action, reasoning_prefix
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ContextOverflowError, ModelError, one_line
from longvideoagent.models.base import DEFAULTS, CallSettings, TextCallback
from longvideoagent.models.chat_template import render_prompt


@dataclass
class VLLMModel:
    """The model in the folder, or of the id, ``path``. ``extra_body`` of the settings holds further
    sampling parameters, such as ``top_k``."""

    path: str
    max_context_tokens: int | None = None
    """The longest prompt and reply together; None: what the model was made for."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def complete(
        self, messages: Sequence[Message], settings: CallSettings = DEFAULTS, on_text: TextCallback | None = None
    ) -> Reply:
        """The reply, given up at its first action where nothing more is wanted. Raises ModelError where
        the engine cannot be started or refuses."""
        engine, tokenizer = self._started
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        prompt = render_prompt(tokenizer, messages)
        opened = reasoning_prefix(prompt)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        said = None
        try:
            outputs = engine.generate({"prompt_token_ids": ids}, _sampling(settings), f"lva-{next(self._numbers)}")
            async with aclosing(outputs):  # leaving early aborts the request
                async for output in outputs:
                    before, said = said, output.outputs[0]
                    fresh = said.text[len(before.text) if before else 0 :]
                    if on_text is not None:
                        on_text(opened + said.text)
                    if settings.stop_at_action and ">" in fresh and has_action(opened + said.text):
                        break
        except (RuntimeError, ValueError, TypeError, EngineDeadError, EngineGenerateError) as error:
            raise self._refusal(error) from error
        if said is None or not said.text.strip():
            raise ModelError(f"vllm:{self.path}: an empty reply")
        return Reply(opened + said.text, usage=Usage(1, len(ids), len(said.token_ids)))

    async def close(self) -> None:
        """Shut the engine down; the next request starts it again. It belongs to one event loop."""
        started = self.__dict__.pop("_started", None)
        if started is not None:
            started[0].shutdown()

    @cached_property
    def _started(self) -> tuple[Any, Any]:
        """Engine and tokenizer."""
        from transformers import AutoTokenizer
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        try:
            engine = AsyncLLM.from_engine_args(AsyncEngineArgs(model=self.path, max_model_len=self.max_context_tokens))
            return engine, AutoTokenizer.from_pretrained(self.path)
        except (RuntimeError, ValueError, OSError) as error:
            told = one_line(error)
            raise ModelError(f"vllm:{self.path}: cannot be started ({told})") from error

    def _refusal(self, error: Exception) -> ModelError:
        told = one_line(error)
        is_overflow = "model length" in told or "context length" in told
        return (ContextOverflowError if is_overflow else ModelError)(f"vllm:{self.path}: {told}")


def _sampling(settings: CallSettings) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    options: dict[str, Any] = dict(settings.extra_body)
    if settings.schema is not None:
        options["structured_outputs"] = StructuredOutputsParams(json=dict(settings.schema))
    return SamplingParams(temperature=settings.temperature, max_tokens=settings.max_tokens, **options)
