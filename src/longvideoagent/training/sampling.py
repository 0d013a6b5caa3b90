"""Sample replies to contexts, each up to its first action: with transformers, or with the vLLM in the trainer's
process (extra ``train``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from longvideoagent.core.protocol import ACTION_ENDS
from longvideoagent.training.rollouts import SampledTokens
from longvideoagent.training.stopping import ReplyBuffer


class TransformersSampler:
    """Samples from the model's full distribution at a temperature (no top-k, top-p or penalties), so that the
    log-probabilities are those of the distribution that was sampled."""

    def __init__(self, model: Any, tokenizer: Any, temperature: float = 1.0, *, actions_anywhere: bool = False) -> None:
        self._actions_anywhere = actions_anywhere
        self._model = model
        self._tokenizer = tokenizer
        self._temperature = temperature

    def __call__(self, contexts: Sequence[list[int]], max_tokens: Sequence[int]) -> list[SampledTokens]:
        """See ``rollouts.SampleBatchFn``. A reply that reaches its limit ends there. Raises FloatingPointError if the
        model's logits are NaN."""
        width = max(map(len, contexts))
        pad = self._tokenizer.pad_token_id
        input_ids = [[pad] * (width - len(ids)) + ids for ids in contexts]  # padded on the left
        attention_mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in contexts]
        device = self._model.device
        rows = zip(contexts, max_tokens, strict=True)
        replies = [ReplyBuffer(self._tokenizer, *row, anywhere=self._actions_anywhere) for row in rows]
        recorder = _LogprobRecorder(replies, self._temperature)
        config = GenerationConfig(
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=max(max_tokens), pad_token_id=pad
        )
        with torch.no_grad(), _generation_config(self._model, config):
            self._model.generate(
                input_ids=torch.tensor(input_ids, device=device),
                attention_mask=torch.tensor(attention_mask, device=device),
                logits_processor=LogitsProcessorList([recorder]),
                stopping_criteria=StoppingCriteriaList([_ReplyEndCriteria(recorder)]),
            )
        return [SampledTokens(reply.ids, reply.logprobs) for reply in replies]


@contextmanager
def _generation_config(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Make ``config`` the model's only generation config: transformers fills fields that a config does not set from
    the one that the model was published with, such as a repetition penalty."""
    modules = [module for module in model.modules() if "generation_config" in vars(module)]
    published = [module.generation_config for module in modules]
    try:
        for module in modules:
            module.generation_config = config
        yield
    finally:
        for module, own in zip(modules, published, strict=True):
            module.generation_config = own


class _LogprobRecorder(LogitsProcessor):  # type: ignore[misc]
    """Scales the logits by the temperature, and records each row's sampled tokens and log-probabilities up to the end
    of its reply."""

    def __init__(self, replies: Sequence[ReplyBuffer], temperature: float) -> None:
        self.replies = replies
        self._temperature = temperature
        self._logprobs: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 (transformers' signature)
        self._logprobs = torch.log_softmax(scores.float() / self._temperature, dim=-1)
        if self._logprobs.isnan().any():
            raise FloatingPointError("the model's logits are NaN")
        return self._logprobs

    def record(self, tokens: Sequence[int]) -> None:
        """Record the latest token of each row."""
        index = torch.tensor(tokens, device=self._logprobs.device).unsqueeze(1)
        logprobs = self._logprobs.gather(1, index).squeeze(1).tolist()
        for reply, token, logprob in zip(self.replies, tokens, logprobs, strict=True):
            if not reply.is_done:
                reply.add([token], [logprob])


class _ReplyEndCriteria(StoppingCriteria):  # type: ignore[misc]
    """Stops each row at the end of its reply; transformers calls it once per step, after sampling."""

    def __init__(self, recorder: _LogprobRecorder) -> None:
        self._recorder = recorder

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002 (transformers' signature)
        self._recorder.record(input_ids[:, -1].tolist())
        return torch.tensor([reply.is_done for reply in self._recorder.replies], device=input_ids.device)


class VLLMSampler:
    """Samples with the vLLM of TRL's trainer (``vllm.LLM``, 0.11 and later), which stops at an action's closing tag. If
    that tag was inside a thought, the reply is not over and the engine is called again."""

    def __init__(
        self, engine: Any, tokenizer: Any, temperature: float = 1.0, *, actions_anywhere: bool = False
    ) -> None:
        self._actions_anywhere = actions_anywhere
        self._engine = engine
        self._tokenizer = tokenizer
        self._temperature = temperature

    def __call__(self, contexts: Sequence[list[int]], max_tokens: Sequence[int]) -> list[SampledTokens]:
        """See ``rollouts.SampleBatchFn``."""
        rows = zip(contexts, max_tokens, strict=True)
        replies = [ReplyBuffer(self._tokenizer, *row, anywhere=self._actions_anywhere) for row in rows]
        while unfinished := [row for row, reply in enumerate(replies) if not reply.is_done]:
            prompts = [contexts[row] + replies[row].ids for row in unfinished]
            outputs = self._generate(prompts, [replies[row].tokens_left for row in unfinished])
            for row, output in zip(unfinished, outputs, strict=True):
                replies[row].add_engine_output(output.ids, output.logprobs, ACTION_ENDS)
        return [SampledTokens(reply.ids, reply.logprobs) for reply in replies]

    def _generate(self, contexts: Sequence[list[int]], max_tokens: Sequence[int]) -> list[SampledTokens]:
        from vllm import SamplingParams

        options = {"temperature": self._temperature, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "logprobs": 0}
        stop = {"stop": list(ACTION_ENDS), "include_stop_str_in_output": True}
        params = [SamplingParams(max_tokens=count, **options, **stop) for count in max_tokens]
        requests = self._engine.generate([{"prompt_token_ids": ids} for ids in contexts], params, use_tqdm=False)
        return [_read_output(request.outputs[0]) for request in requests]


def _read_output(completion: Any) -> SampledTokens:
    """vLLM's completion; its ``logprobs`` are one dict per position, by token id."""
    ids = list(completion.token_ids)
    logprobs = [by_id[token].logprob for token, by_id in zip(ids, completion.logprobs, strict=True)]
    return SampledTokens(ids, logprobs)
