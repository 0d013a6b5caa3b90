"""A language model in this process, through transformers (extra ``transformers``).

Requests that wait while others are being answered are answered together: one thread takes whatever
has come, as many as ``max_concurrency`` on equal terms, and generates one batch. So rollouts that run side
by side are batched without knowing of each other.
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
from typing import Any

from longvideoagent.core.protocol import has_action, reasoning_prefix
from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ContextOverflowError, ModelError, one_line
from longvideoagent.models.base import DEFAULTS, CallSettings, TextCallback
from longvideoagent.models.chat_template import render_prompt

GATHER_S = 0.005
"""How long a batch waits for company; little beside any generation."""
TOKENS_PER_UPDATE = 8
"""Tokens between two tellings of a reply that is being heard."""


@dataclass(eq=False)
class _Request:
    """One reply that is owed."""

    ids: list[int]
    opened: str
    settings: CallSettings
    on_text: TextCallback | None
    text: str = ""
    new_tokens: int = 0
    failure: ModelError | None = None
    is_done: bool = False
    is_complete: bool = False
    """Whether it ended by a rule of its own and not by a failure of its batch."""

    @property
    def terms(self) -> str:
        """What must be equal within a batch."""
        return json.dumps([self.settings.temperature, self.settings.extra_body], sort_keys=True)


@dataclass
class TransformersModel:
    """The causal language model in the folder, or of the id, ``path``. ``extra_body`` of the settings
    holds further options of ``generate``, such as ``top_k``. A JSON schema is not enforced."""

    path: str
    max_concurrency: int = 8
    max_context_tokens: int | None = None
    """The longest prompt and reply together; None: what the model was made for."""
    batches: int = 0
    """How many batches it has generated: fewer than its calls where some ran side by side."""
    _waiting: list[_Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def complete(
        self, messages: Sequence[Message], settings: CallSettings = DEFAULTS, on_text: TextCallback | None = None
    ) -> Reply:
        """The reply, generated together with whatever else is waiting. Raises ModelError where the
        model cannot be loaded or run."""
        loop = asyncio.get_running_loop()
        request = await loop.run_in_executor(self._thread, self._prepare, messages, settings, on_text)
        with self._lock:
            self._waiting.append(request)
        try:
            await loop.run_in_executor(self._thread, self._work_until_done, request)
        finally:
            request.on_text = None  # nobody listens any more where the call was cancelled
            with self._lock:
                if request in self._waiting:
                    self._waiting.remove(request)
        if request.failure is not None:
            raise request.failure
        if not request.is_complete:
            raise ModelError(f"transformers:{self.path}: its batch failed")
        if not request.text.strip():
            raise ModelError(f"transformers:{self.path}: an empty reply")
        return Reply(request.opened + request.text, usage=Usage(1, len(request.ids), request.new_tokens))

    async def close(self) -> None:
        """Nothing to let go of; the weights stay loaded for as long as the model is in use."""

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "transformers")

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Tokenizer and model."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.path, padding_side="left")
            model = AutoModelForCausalLM.from_pretrained(self.path, dtype="auto").to(device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            told = one_line(error)
            raise ModelError(f"transformers:{self.path}: cannot be loaded ({told})") from error
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer, model

    def _prepare(self, messages: Sequence[Message], settings: CallSettings, on_text: TextCallback | None) -> _Request:
        tokenizer, model = self._loaded
        prompt = render_prompt(tokenizer, messages)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        bound = self.max_context_tokens or getattr(model.config, "max_position_embeddings", None)
        if bound is not None and len(ids) + settings.max_tokens > bound:
            told = f"{len(ids)} tokens and a reply of {settings.max_tokens} are more than its context of {bound}"
            raise ContextOverflowError(f"transformers:{self.path}: {told}")
        return _Request(ids, reasoning_prefix(prompt), settings, on_text)

    def _work_until_done(self, request: _Request) -> None:
        """Answer batches, oldest request first, until this one is answered."""
        if not request.is_done:
            time.sleep(GATHER_S)
        while not request.is_done:
            with self._lock:
                terms = self._waiting[0].terms
                batch = [each for each in self._waiting if each.terms == terms][: self.max_concurrency]
                self._waiting = [each for each in self._waiting if each not in batch]
            try:
                self._generate(batch)
            except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:  # out of memory, …
                told = one_line(error)
                for each in batch:
                    each.failure = ModelError(f"transformers:{self.path}: {told}")
            else:
                for each in batch:
                    each.is_complete = True
            finally:
                for each in batch:
                    each.is_done = True

    def _generate(self, batch: Sequence[_Request]) -> None:
        import torch

        self.batches += 1
        tokenizer, model = self._loaded
        given = tokenizer.pad({"input_ids": [each.ids for each in batch]}, return_tensors="pt").to(model.device)
        temperature = batch[0].settings.temperature
        sampling: dict[str, Any] = {"temperature": temperature} if temperature else {}
        ends = _Ends(batch, tokenizer, model.generation_config.eos_token_id, given["input_ids"].shape[1])
        with torch.inference_mode():
            model.generate(
                **given,
                **sampling,
                **batch[0].settings.extra_body,
                do_sample=temperature > 0,
                max_new_tokens=max(each.settings.max_tokens for each in batch),
                pad_token_id=tokenizer.pad_token_id,
                stopping_criteria=[ends],
            )


class _Ends:
    """Ends each row of a batch where its own reply ends (transformers' stopping criteria): at the end of
    the turn, at its max_tokens, or at its first action where nothing more is wanted. Keeps the text."""

    def __init__(self, batch: Sequence[_Request], tokenizer: Any, end_ids: int | list[int] | None, width: int) -> None:
        self._batch = batch
        self._tokenizer = tokenizer
        self._end_ids = set(end_ids) if isinstance(end_ids, list) else {end_ids}
        self._width = width
        self._is_done = [False] * len(batch)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002 (transformers calls it so)
        import torch

        for row, request in enumerate(self._batch):
            if not self._is_done[row]:
                self._is_done[row] = self._read(request, input_ids[row, self._width :].tolist())
        return torch.tensor(self._is_done, device=input_ids.device)

    def _read(self, request: _Request, made: list[int]) -> bool:
        """Take in the latest token of a row; True where its reply ends there."""
        request.new_tokens = len(made)
        is_over = made[-1] in self._end_ids or len(made) >= request.settings.max_tokens
        may_act = request.settings.stop_at_action and ">" in self._tokenizer.decode(made[-1:])
        is_reported = request.on_text is not None and len(made) % TOKENS_PER_UPDATE == 0
        if is_over or may_act or is_reported:
            request.text = self._tokenizer.decode(made, skip_special_tokens=True)
        if request.on_text is not None and (is_reported or is_over):
            request.on_text(request.opened + request.text)
        return is_over or (may_act and has_action(request.opened + request.text))
