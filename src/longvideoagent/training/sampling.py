"""Continues contexts, each to the end of its first action: with a model of transformers, or with vLLM beside the
trainer (extra ``train``)."""

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
from longvideoagent.training.rollouts import Sampled
from longvideoagent.training.stopping import SampledReply


class ModelSampler:
    """Samples from the model's own distribution at a temperature, nothing cut off it, so that the log-probabilities
    are those that were sampled from."""

    def __init__(self, model: Any, tokenizer: Any, temperature: float = 1.0) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._temperature = temperature

    def __call__(self, contexts: Sequence[list[int]], most: Sequence[int]) -> list[Sampled]:
        """See ``rollouts.Sample``. A reply that is cut at its limit is returned as far as it came. Raises
        FloatingPointError where the model's scores are no numbers."""
        width = max(map(len, contexts))
        pad = self._tokenizer.pad_token_id
        rows = [[pad] * (width - len(ids)) + ids for ids in contexts]
        seen = [[0] * (width - len(ids)) + [1] * len(ids) for ids in contexts]
        device = self._model.device
        replies = [SampledReply(self._tokenizer, ids, count) for ids, count in zip(contexts, most, strict=True)]
        watch = _Watch(replies, self._temperature)
        plain = GenerationConfig(
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=max(most), pad_token_id=pad
        )
        with torch.no_grad(), _generates_by(self._model, plain):
            self._model.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(seen, device=device),
                logits_processor=LogitsProcessorList([watch]),
                stopping_criteria=StoppingCriteriaList([_Ends(watch)]),
            )
        return [(each.ids, each.logprobs) for each in replies]


@contextmanager
def _generates_by(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Has a model generate by this and nothing else: transformers would fill what is not set here from what the model
    was published with, such as a penalty for repetitions."""
    own = {each: each.generation_config for each in model.modules() if "generation_config" in vars(each)}
    try:
        for each in own:
            each.generation_config = config
        yield
    finally:
        for each, kept in own.items():
            each.generation_config = kept


class _Watch(LogitsProcessor):  # type: ignore[misc]
    """Scales the scores by the temperature, and keeps what is sampled from them, row by row, up to each row's end."""

    def __init__(self, replies: Sequence[SampledReply], temperature: float) -> None:
        self.replies = replies
        self._temperature = temperature
        self._scores: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 (transformers calls it so)
        self._scores = torch.log_softmax(scores.float() / self._temperature, dim=-1)
        if self._scores.isnan().any():
            raise FloatingPointError("the model's scores are no numbers")
        return self._scores

    def take(self, sampled: Sequence[int]) -> None:
        """The latest token of each row."""
        chosen = torch.tensor(sampled, device=self._scores.device)
        logprobs = self._scores.gather(1, chosen.unsqueeze(1)).squeeze(1).tolist()
        for reply, number, logprob in zip(self.replies, sampled, logprobs, strict=True):
            if not reply.is_done:
                reply.take([number], [logprob])


class _Ends(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, watch: _Watch) -> None:
        self._watch = watch

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002 (transformers calls it so)
        self._watch.take(input_ids[:, -1].tolist())
        return torch.tensor([each.is_done for each in self._watch.replies], device=input_ids.device)


class EngineSampler:
    """The same with the vLLM that TRL keeps beside its trainer (``vllm.LLM``, 0.11 and later), which stops at the
    closing tag of an action. One inside a thought is talk: such a reply goes on."""

    def __init__(self, engine: Any, tokenizer: Any, temperature: float = 1.0) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._temperature = temperature

    def __call__(self, contexts: Sequence[list[int]], most: Sequence[int]) -> list[Sampled]:
        """See ``rollouts.Sample``."""
        replies = [SampledReply(self._tokenizer, ids, count) for ids, count in zip(contexts, most, strict=True)]
        while going_on := [row for row, reply in enumerate(replies) if not reply.is_done]:
            asked = [contexts[row] + replies[row].ids for row in going_on]
            said = self._continue(asked, [replies[row].room for row in going_on])
            for row, (ids, logprobs) in zip(going_on, said, strict=True):
                replies[row].take_piece(ids, logprobs, ACTION_ENDS)
        return [(each.ids, each.logprobs) for each in replies]

    def _continue(self, contexts: Sequence[list[int]], most: Sequence[int]) -> list[Sampled]:
        from vllm import SamplingParams

        options = {"temperature": self._temperature, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "logprobs": 0}
        stop = {"stop": list(ACTION_ENDS), "include_stop_str_in_output": True}
        bounds = [SamplingParams(max_tokens=count, **options, **stop) for count in most]
        outputs = self._engine.generate([{"prompt_token_ids": ids} for ids in contexts], bounds, use_tqdm=False)
        said = [each.outputs[0] for each in outputs]
        return [
            (
                list(each.token_ids),
                [told[number].logprob for number, told in zip(each.token_ids, each.logprobs, strict=True)],
            )
            for each in said
        ]
