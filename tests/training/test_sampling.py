"""Samplers: transformers, and vLLM in the trainer's process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.plugins.trl import LOOK, RELOCATE, needs_trl

pytestmark = needs_trl


@pytest.mark.parametrize("published", [{}, {"repetition_penalty": 1.5, "suppress_tokens": [5], "top_k": 3}])
def test_sampler_logprobs_are_the_models(random_model: Path, published: dict[str, Any]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.sampling import TransformersSampler

    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    model.generation_config.update(**published)
    contexts = [tokenizer(text)["input_ids"] for text in ("What is torn?", "Who is late today, and why?")]
    torch.manual_seed(3)
    replies = TransformersSampler(model, tokenizer, temperature=0.7)(contexts, [9, 14])
    torch.manual_seed(3)
    assert TransformersSampler(model, tokenizer, temperature=0.7)(contexts, [9, 14]) == replies
    assert all(0 < len(reply.ids) <= limit for reply, limit in zip(replies, [9, 14], strict=True))
    for context, (ids, logprobs) in zip(contexts, replies, strict=True):
        logits = model(input_ids=torch.tensor([context + ids])).logits[0, len(context) - 1 : -1]
        expected = torch.log_softmax(logits / 0.7, -1).gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1)
        assert logprobs == pytest.approx(expected.tolist(), abs=1e-4)
    restored = model.generation_config.to_dict()
    assert {name: restored[name] for name in published} == published


def test_sampler_nan_logits(random_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.sampling import TransformersSampler

    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="logits are NaN"):
        TransformersSampler(model, tokenizer)([tokenizer("What is torn?")["input_ids"]], [4])


@dataclass
class FakeEngine:
    """Has the methods of ``vllm.LLM``: replies from ``replies``, one per call and row, and stops at stop texts."""

    tokenizer: Any
    replies: list[list[str]]
    stops: bool = True
    requests: list[Any] = field(default_factory=list)

    def generate(self, prompts: list[dict[str, Any]], params: list[Any], use_tqdm: bool = True) -> list[Any]:
        assert not use_tqdm
        self.requests.append((prompts, params))
        outputs = []
        for row, (reply, own) in enumerate(zip(self.replies.pop(0), params, strict=True)):
            ends = [reply.find(text) + len(text) for text in own.stop if self.stops and text in reply]
            ids = self.tokenizer(reply[: min(ends, default=None)])["input_ids"][: own.max_tokens]
            logprobs = [{token: SimpleNamespace(logprob=-0.5 - row)} for token in ids]
            outputs.append(SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, logprobs=logprobs)]))
        return outputs


def test_vllm_stop_inside_thought_continues(tokenizer: Any, fake_vllm: Any) -> None:
    from longvideoagent.training.sampling import VLLMSampler

    thought = ["<think>not <answer>a0</answer>", "</think><answer>a1</answer> and more"]
    engine = FakeEngine(tokenizer, [[f"{LOOK} and more", thought[0], "no action"], [thought[1]]])
    contexts = [tokenizer(text)["input_ids"] for text in ("one", "two", "three")]
    replies = VLLMSampler(engine, tokenizer, temperature=0.7)(contexts, [90, 90, 9])
    texts = [tokenizer.decode(reply.ids) for reply in replies]
    assert texts == [LOOK, "<think>not <answer>a0</answer></think><answer>a1</answer>", "no action"]
    assert all(len(reply.ids) == len(reply.logprobs) for reply in replies)
    (first, params), (second, rest) = engine.requests
    assert [prompt["prompt_token_ids"] for prompt in first] == contexts
    assert {(each.temperature, each.top_p, each.top_k, each.min_p, each.logprobs) for each in params} == {
        (0.7, 1.0, -1, 0.0, 0)
    }
    assert second == [{"prompt_token_ids": contexts[1] + tokenizer(thought[0])["input_ids"]}]
    assert rest[0].max_tokens == 90 - len(tokenizer(thought[0])["input_ids"])
    assert isinstance(rest[0], fake_vllm.SamplingParams)


def test_vllm_action_anywhere_ends_reply(tokenizer: Any, fake_vllm: Any) -> None:  # noqa: ARG001
    from longvideoagent.training.sampling import VLLMSampler

    engine = FakeEngine(tokenizer, [["<think>not <answer>a0</answer>, or"]])
    (reply,) = VLLMSampler(engine, tokenizer, actions_anywhere=True)([tokenizer("one")["input_ids"]], [90])
    assert tokenizer.decode(reply.ids) == "<think>not <answer>a0</answer>"


def test_vllm_reply_ends_at_first_action(tokenizer: Any, fake_vllm: Any) -> None:  # noqa: ARG001
    from longvideoagent.training.sampling import VLLMSampler

    engine = FakeEngine(tokenizer, [[f"so {LOOK}\n{RELOCATE}", "no action, and"]], stops=False)
    contexts = [tokenizer(text)["input_ids"] for text in ("one", "two")]
    replies = VLLMSampler(engine, tokenizer)(contexts, [200, 200])
    assert [tokenizer.decode(reply.ids) for reply in replies] == [f"so {LOOK}", "no action, and"]
    assert all(len(reply.ids) == len(reply.logprobs) for reply in replies)
