"""Continues contexts, each to the end of its first action: with a model of transformers, or with vLLM beside the
trainer (extra ``train``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from longvideoagent.protocol import ACTION_ENDS
from longvideoagent.training.reply_end import ReplyEnd
from longvideoagent.training.rollouts import Sampled


class ModelSampler:
    """Samples from the model's own distribution at a temperature, nothing cut off it, so that the log-probabilities
    are those that were sampled from."""

    def __init__(self, model: Any, tokenizer: Any, temperature: float = 1.0) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._temperature = temperature

    def __call__(self, contexts: Sequence[list[int]], most: Sequence[int]) -> list[Sampled]:
        """See ``rollouts.Sample``. A reply that is cut at its limit is returned as far as it came."""
        width = max(map(len, contexts))
        pad = self._tokenizer.pad_token_id
        rows = [[pad] * (width - len(ids)) + ids for ids in contexts]
        seen = [[0] * (width - len(ids)) + [1] * len(ids) for ids in contexts]
        device = self._model.device
        watch = _Watch(self._tokenizer, contexts, most, self._temperature)
        with torch.no_grad():
            self._model.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(seen, device=device),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=max(most),
                pad_token_id=pad,
                eos_token_id=None,
                logits_processor=LogitsProcessorList([watch]),
                stopping_criteria=StoppingCriteriaList([_Ends(watch)]),
            )
        return [(ids, logprobs) for ids, logprobs in zip(watch.ids, watch.logprobs, strict=True)]


class _Watch(LogitsProcessor):  # type: ignore[misc]
    """Scales the scores by the temperature, and keeps what is sampled from them, row by row, up to each row's end."""

    def __init__(self, tokenizer: Any, contexts: Sequence[list[int]], most: Sequence[int], temperature: float) -> None:
        self.ids: list[list[int]] = [[] for _ in contexts]
        self.logprobs: list[list[float]] = [[] for _ in contexts]
        self.is_done = [False] * len(contexts)
        self._most = most
        self._temperature = temperature
        self._ends = [ReplyEnd(tokenizer, ids) for ids in contexts]
        self._scores: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 (transformers calls it so)
        self._scores = torch.log_softmax(scores.float() / self._temperature, dim=-1)
        return self._scores

    def take(self, sampled: Sequence[int]) -> None:
        """The latest token of each row."""
        chosen = torch.tensor(sampled, device=self._scores.device)
        logprobs = self._scores.gather(1, chosen.unsqueeze(1)).squeeze(1).tolist()
        for row, (number, logprob) in enumerate(zip(sampled, logprobs, strict=True)):
            if not self.is_done[row]:
                self.ids[row].append(number)
                self.logprobs[row].append(logprob)
                said = self.ids[row]
                self.is_done[row] = len(said) >= self._most[row] or self._ends[row].is_at(said)


class _Ends(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, watch: _Watch) -> None:
        self._watch = watch

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002 (transformers calls it so)
        self._watch.take(input_ids[:, -1].tolist())
        return torch.tensor(self._watch.is_done, device=input_ids.device)


class EngineSampler:
    """The same with the vLLM that TRL keeps beside its trainer (``vllm.LLM``, 0.11 and later), which stops at the
    closing tag of an action. One inside a thought is talk: such a reply goes on."""

    def __init__(self, engine: Any, tokenizer: Any, temperature: float = 1.0) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._temperature = temperature

    def __call__(self, contexts: Sequence[list[int]], most: Sequence[int]) -> list[Sampled]:
        """See ``rollouts.Sample``."""
        replies: list[Sampled] = [([], []) for _ in contexts]
        ends = [ReplyEnd(self._tokenizer, ids) for ids in contexts]
        going_on = list(range(len(contexts)))
        while going_on:
            said = self._continue(
                [contexts[row] + replies[row][0] for row in going_on],
                [most[row] - len(replies[row][0]) for row in going_on],
            )
            for row, (ids, logprobs) in zip(going_on, said, strict=True):
                replies[row][0].extend(ids)
                replies[row][1].extend(logprobs)
            going_on = [
                row
                for row, (ids, _) in zip(going_on, said, strict=True)
                if ids and len(replies[row][0]) < most[row] and not ends[row].is_at(replies[row][0])
            ]
        return replies

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
