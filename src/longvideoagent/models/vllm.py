"""A language model in this process, through vLLM's asynchronous engine (extra ``vllm``; needs a GPU).

The engine batches continuously by itself; each call is one request to it. Written for the signatures of vLLM 0.11
and later.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from longvideoagent.core.protocol import reasoning_prefix
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ContextOverflowError, ModelError, one_line
from longvideoagent.models import openai
from longvideoagent.models.base import (
    DEFAULT_CALL_SETTINGS,
    CallSettings,
    Model,
    ModelOptions,
    TextCallback,
    cut_warnings,
)
from longvideoagent.models.chat_template import render_prompt
from longvideoagent.models.spec import ModelSpec
from longvideoagent.models.stopping import end_reply, may_end


def load_model(spec: ModelSpec, options: ModelOptions) -> Model:
    """The model of ``vllm:PATH``, or of ``vllm:URL``, which is on a server."""
    if spec.url:
        return openai.load_model(spec, options)
    return VLLMModel(spec.name, options.max_context_tokens, options.completion_template)


class _StartedEngine(NamedTuple):
    engine: Any
    tokenizer: Any


@dataclass
class VLLMModel:
    """The model at ``path``, a folder or a Hugging Face id. ``extra_body`` of the settings holds further sampling
    parameters, such as ``top_k``."""

    path: str
    max_context_tokens: int | None = None
    """The longest prompt and reply together; None: the model's own limit."""
    completion_template: str | None = None
    """The chat template written out, with ``$prompt``; None: the tokenizer's own."""
    _request_numbers: itertools.count[int] = field(default_factory=itertools.count)
    _started: _StartedEngine | None = field(default=None, init=False, repr=False, compare=False)
    """None until the first request, and after ``close``."""

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The reply, aborted after its first action if the settings stop there. Raises ModelError if the engine
        cannot be started or refuses."""
        engine, tokenizer = self._start()
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        prompt = render_prompt(tokenizer, messages, self.completion_template)
        prefix = reasoning_prefix(prompt)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        completion = None
        try:
            outputs = engine.generate(
                {"prompt_token_ids": ids}, _sampling(settings), f"lva-{next(self._request_numbers)}"
            )
            async with aclosing(outputs):  # leaving early aborts the request
                async for output in outputs:
                    old_length = len(completion.text) if completion else 0
                    completion = output.outputs[0]
                    new_text = completion.text[old_length:]
                    if on_text is not None:
                        on_text(prefix + completion.text)
                    may_act = settings.stop_at_action and ">" in new_text
                    if may_act and may_end(prefix + completion.text, settings):
                        break
        except (RuntimeError, ValueError, TypeError, EngineDeadError, EngineGenerateError) as error:
            raise self._model_error(error) from error
        if completion is None or not completion.text.strip():
            raise ModelError(f"vllm:{self.path}: an empty reply")
        usage = Usage(1, len(ids), len(completion.token_ids))
        text, is_stopped, warnings = end_reply(self.path, prefix + completion.text, settings)
        is_truncated = completion.finish_reason == "length"
        warnings += cut_warnings(self.path, text, settings) if is_truncated and not is_stopped else ()
        return Reply(text, usage=usage, warnings=warnings, is_truncated=is_truncated or is_stopped)

    async def close(self) -> None:
        """Shut the engine down; the next request starts it again. It belongs to one event loop."""
        started, self._started = self._started, None
        if started is not None:
            started.engine.shutdown()

    def _start(self) -> _StartedEngine:
        """Start the engine, unless it runs already."""
        if self._started is not None:
            return self._started
        from transformers import AutoTokenizer
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        try:
            engine = AsyncLLM.from_engine_args(AsyncEngineArgs(model=self.path, max_model_len=self.max_context_tokens))
            self._started = _StartedEngine(engine, AutoTokenizer.from_pretrained(self.path))
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"vllm:{self.path}: cannot be started ({one_line(error)})") from error
        return self._started

    def _model_error(self, error: Exception) -> ModelError:
        message = one_line(error)
        is_overflow = "model length" in message or "context length" in message
        return (ContextOverflowError if is_overflow else ModelError)(f"vllm:{self.path}: {message}")


def _sampling(settings: CallSettings) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    options: dict[str, Any] = {**settings.sampling, **settings.extra_body}
    if settings.json_schema is not None:
        options["structured_outputs"] = StructuredOutputsParams(json=dict(settings.json_schema))
    return SamplingParams(temperature=settings.temperature, max_tokens=settings.max_tokens, **options)
