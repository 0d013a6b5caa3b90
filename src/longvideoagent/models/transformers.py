"""A language model in this process, through transformers (extra ``transformers``).

Calls that arrive while others are being generated form the next batch: one thread takes up to ``max_concurrency``
waiting requests with equal sampling options and generates them together. So concurrent rollouts are batched without
knowing of each other.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from longvideoagent.core.protocol import reasoning_prefix
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ContextOverflowError, ModelError, one_line
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, ModelOptions, TextCallback, cut_warnings
from longvideoagent.models.chat_template import render_prompt
from longvideoagent.models.logprobs import MIN_LOGPROB, TokenLogprobs, with_logprobs
from longvideoagent.models.spec import ModelSpec
from longvideoagent.models.stopping import end_reply, may_end

BATCH_WAIT_S = 0.005
"""How long a batch waits for further requests; short next to any generation."""
TOKENS_PER_UPDATE = 8
"""Tokens between two calls of ``on_text``."""
MAX_CONCURRENCY = 8
"""Replies in one batch, unless the configuration says otherwise."""


def load_model(spec: ModelSpec, options: ModelOptions) -> TransformersModel:
    """The model of ``transformers:PATH``."""
    return TransformersModel(
        spec.name, options.max_concurrency or MAX_CONCURRENCY, options.max_context_tokens, options.completion_template
    )


@dataclass(eq=False)
class _Request:
    """One reply to generate."""

    ids: list[int]
    prefix: str
    """The reasoning tag that the prompt opened and that belongs to the reply."""
    settings: CallSettings
    on_text: TextCallback | None
    text: str = ""
    new_tokens: int = 0
    error: ModelError | None = None
    is_truncated: bool = False
    """Whether max_tokens ended it."""
    is_done: bool = False
    is_complete: bool = False
    """Whether it ended by its own rules and not by a failure of its batch."""
    logprobs: tuple[TokenLogprobs, ...] = ()

    @property
    def sampling_key(self) -> str:
        """What must be equal within a batch."""
        settings = self.settings
        fields = [settings.temperature, settings.sampling, settings.extra_body, settings.top_logprobs]
        return json.dumps(fields, sort_keys=True)


class _LoadedModel(NamedTuple):
    tokenizer: Any
    model: Any


@dataclass
class TransformersModel:
    """The causal language model at ``path``, a folder or a Hugging Face id. ``extra_body`` of the settings holds
    further options of ``generate``, such as ``top_k``. A JSON schema is not enforced."""

    path: str
    max_concurrency: int = MAX_CONCURRENCY
    max_context_tokens: int | None = None
    """The longest prompt and reply together; None: the model's own limit."""
    completion_template: str | None = None
    """The chat template written out, with ``$prompt``; None: the tokenizer's own."""
    num_batches: int = 0
    """Batches generated so far: fewer than calls if some ran together."""
    _waiting: list[_Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The reply, generated together with the other waiting requests. Raises ModelError if the model cannot be
        loaded or run."""
        loop = asyncio.get_running_loop()
        request = await loop.run_in_executor(self._thread, self._prepare, messages, settings, on_text)
        with self._lock:
            self._waiting.append(request)
        try:
            await loop.run_in_executor(self._thread, self._work_until_done, request)
        finally:
            request.on_text = None  # a cancelled call must not be updated
            with self._lock:
                if request in self._waiting:
                    self._waiting.remove(request)
        if request.error is not None:
            raise request.error
        if not request.is_complete:
            raise ModelError(f"transformers:{self.path}: its batch failed")
        if not request.text.strip() and not request.logprobs:
            raise ModelError(f"transformers:{self.path}: an empty reply")
        usage = Usage(1, len(request.ids), request.new_tokens)
        text, is_stopped, warnings = end_reply(self.path, request.prefix + request.text, settings)
        warnings += cut_warnings(self.path, text, settings) if request.is_truncated and not is_stopped else ()
        reply = Reply(text, usage=usage, warnings=warnings, is_truncated=request.is_truncated or is_stopped)
        return with_logprobs(reply, request.logprobs)

    async def close(self) -> None:
        """Nothing to close; the weights stay loaded while the model is in use."""

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "transformers")

    @cached_property
    def _loaded(self) -> _LoadedModel:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.path, padding_side="left")
            model = AutoModelForCausalLM.from_pretrained(self.path, dtype="auto").to(device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"transformers:{self.path}: cannot be loaded ({one_line(error)})") from error
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return _LoadedModel(tokenizer, model)

    def _prepare(self, messages: Sequence[Message], settings: CallSettings, on_text: TextCallback | None) -> _Request:
        tokenizer, model = self._loaded
        prompt = render_prompt(tokenizer, messages, self.completion_template)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        limit = self.max_context_tokens or getattr(model.config, "max_position_embeddings", None)
        if limit is not None and len(ids) + settings.max_tokens > limit:
            problem = f"{len(ids)} tokens and a reply of {settings.max_tokens} exceed its context of {limit}"
            raise ContextOverflowError(f"transformers:{self.path}: {problem}")
        return _Request(ids, reasoning_prefix(prompt), settings, on_text)

    def _work_until_done(self, request: _Request) -> None:
        """Generate batches, oldest request first, until this one is done."""
        if not request.is_done:
            time.sleep(BATCH_WAIT_S)
        while not request.is_done:
            with self._lock:
                key = self._waiting[0].sampling_key
                batch = [each for each in self._waiting if each.sampling_key == key][: self.max_concurrency]
                self._waiting = [each for each in self._waiting if each not in batch]
            try:
                self._generate(batch)
            except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:  # out of memory, …
                for each in batch:
                    each.error = ModelError(f"transformers:{self.path}: {one_line(error)}")
            else:
                for each in batch:
                    each.is_complete = True
            finally:
                for each in batch:
                    each.is_done = True

    def _generate(self, batch: Sequence[_Request]) -> None:
        import torch

        self.num_batches += 1
        tokenizer, model = self._loaded
        inputs = tokenizer.pad({"input_ids": [each.ids for each in batch]}, return_tensors="pt").to(model.device)
        settings = batch[0].settings
        stopping = _StopAtReplyEnd(batch, tokenizer, model.generation_config.eos_token_id, inputs["input_ids"].shape[1])
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                **_generate_options(settings),
                do_sample=settings.temperature > 0,
                max_new_tokens=max(each.settings.max_tokens for each in batch),
                pad_token_id=tokenizer.pad_token_id,
                stopping_criteria=[stopping],
                return_dict_in_generate=True,
                output_logits=settings.top_logprobs > 0,
            )
        if settings.top_logprobs:
            for row, request in enumerate(batch):
                steps = [logits[row] for logits in output.logits[: request.new_tokens]]
                new_ids = output.sequences[row, inputs["input_ids"].shape[1] :].tolist()
                request.logprobs = _token_logprobs(tokenizer, steps, new_ids, settings.top_logprobs)


def _token_logprobs(
    tokenizer: Any, steps: Sequence[Any], token_ids: Sequence[int], top_logprobs: int
) -> tuple[TokenLogprobs, ...]:
    """The log-probabilities of the likeliest tokens at each step, from the model's own logits."""
    result = []
    for logits, token_id in zip(steps, token_ids, strict=False):
        top = logits.float().log_softmax(-1).topk(min(top_logprobs, logits.shape[-1]))
        texts = [tokenizer.decode([each]) for each in top.indices.tolist()]
        values = [max(MIN_LOGPROB, value) for value in top.values.tolist()]
        result.append(TokenLogprobs(tokenizer.decode([token_id]), tuple(zip(texts, values, strict=True))))
    return tuple(result)


def _generate_options(settings: CallSettings) -> dict[str, Any]:
    """The options of ``generate`` for these settings. An option that is not set keeps the model's own default."""
    options: dict[str, Any] = {**settings.sampling}
    if settings.temperature > 0:
        options["temperature"] = settings.temperature
        if options.get("top_k") == -1:
            options["top_k"] = 0  # transformers' value for "all tokens"
    else:  # greedy: the options of sampling have no effect, and transformers warns about them
        options = {name: value for name, value in options.items() if name not in ("top_p", "top_k")}
    return {**options, **settings.extra_body}


class _StopAtReplyEnd:
    """Ends each row of a batch at the end of its own reply (transformers' stopping criteria): the end of the turn, its
    max_tokens, or its first action if it stops there. Keeps the text."""

    def __init__(self, batch: Sequence[_Request], tokenizer: Any, end_ids: int | list[int] | None, width: int) -> None:
        self._batch = batch
        self._tokenizer = tokenizer
        self._end_ids = set(end_ids) if isinstance(end_ids, list) else {end_ids}
        self._width = width
        self._is_done = [False] * len(batch)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002 (transformers' signature)
        import torch

        for row, request in enumerate(self._batch):
            if not self._is_done[row]:
                self._is_done[row] = self._update(request, input_ids[row, self._width :].tolist())
        return torch.tensor(self._is_done, device=input_ids.device)

    def _update(self, request: _Request, new_ids: list[int]) -> bool:
        """Process the latest token of a row; True if its reply ends there."""
        request.new_tokens = len(new_ids)
        is_end_of_turn = new_ids[-1] in self._end_ids
        is_over = is_end_of_turn or len(new_ids) >= request.settings.max_tokens
        request.is_truncated = is_over and not is_end_of_turn
        may_act = request.settings.stop_at_action and ">" in self._tokenizer.decode(new_ids[-1:])
        is_update = request.on_text is not None and len(new_ids) % TOKENS_PER_UPDATE == 0
        if is_over or may_act or is_update:
            request.text = self._tokenizer.decode(new_ids, skip_special_tokens=True)
        if request.on_text is not None and (is_update or is_over):
            request.on_text(request.prefix + request.text)
        if is_over or not may_act:
            return is_over
        return may_end(request.prefix + request.text, request.settings)
