"""Models in this process: a tiny one that was trained to give fixed replies, and vLLM's documented signatures."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from longvideoagent import RolloutSettings, TeamConfig, ask
from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import AgentConfig
from longvideoagent.core.context import Style
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.types import Jpeg, Message, Reply
from longvideoagent.errors import ContextOverflowError, ModelError, UsageError
from longvideoagent.models.base import CallSettings
from longvideoagent.models.transformers import TransformersModel
from longvideoagent.models.vllm import VLLMModel
from tests.plugins.models import needs_torch

pytestmark = needs_torch
USER = [Message(role="user", content="What colour?")]
EARLIER = "<think>hm</think><search>x</search>\n\n<information>\nred\n</information>\n\n"
GREEDY = CallSettings(temperature=0.0, max_tokens=80)


def replies(
    model: TransformersModel | VLLMModel, *chats: list[Message], settings: CallSettings = GREEDY
) -> list[Reply]:
    async def run() -> list[Reply]:
        try:
            return await asyncio.gather(*(model.complete(chat, settings) for chat in chats))
        finally:
            await model.close()

    return asyncio.run(run())


def continued(text: str = EARLIER) -> list[Message]:
    return [*USER, Message(role="assistant", content=text)]


# --- transformers --------------------------------------------------------------------------------


def test_transformers_rollout(trained_model: Path, short_video: Path) -> None:
    role = AgentConfig(model=f"transformers:{trained_model}", temperature=0.0, max_tokens=80)
    team_config = TeamConfig(master=role, style=Style.CONTINUATION, look_tag="search")
    trace = ask(short_video, "What colour?", ["red", "grey"], team=team_config)
    assert [each.reply.text for each in trace.rounds] == [
        "<think>hm</think><search>the wall</search>",
        "so <answer>a1</answer>",
    ]
    assert (trace.outcome, trace.answer) == (Outcome.ANSWERED, "grey")
    assert trace.usage.prompt_tokens > 1000


def test_transformers_stops_at_action(trained_model: Path) -> None:
    model = TransformersModel(str(trained_model))
    (whole,) = replies(model, continued())
    (stopped,) = replies(model, continued(), settings=CallSettings(0.0, 80, stop_at_action=True))
    assert (whole.text, stopped.text) == ("so <answer>a1</answer> and more", "so <answer>a1</answer>")
    assert stopped.usage.completion_tokens == len(stopped.text)
    assert whole.usage.completion_tokens == len(whole.text) + 1  # and the end of the turn


def test_transformers_batches_equal_single_calls(trained_model: Path) -> None:
    model = TransformersModel(str(trained_model), max_concurrency=8)
    chats = [USER, continued(), [Message(role="user", content="What? " * 50)], continued("x" * 99 + EARLIER)] * 4
    alone = [replies(TransformersModel(str(trained_model)), chat)[0] for chat in chats[:4]]
    assert replies(model, *chats) == alone * 4
    assert 2 <= model.num_batches < 16


def test_transformers_max_tokens_per_reply(trained_model: Path) -> None:
    model = TransformersModel(str(trained_model))

    async def run() -> list[Reply]:
        return await asyncio.gather(
            *(model.complete(USER, CallSettings(0.0, max_tokens)) for max_tokens in (5, 12, 80))
        )

    short, longer, whole = asyncio.run(run())
    assert whole.text.startswith(longer.text)
    assert longer.text.startswith(short.text)
    assert [short.usage.completion_tokens, longer.usage.completion_tokens] == [5, 12]


def test_transformers_reasoning_opened_by_template(random_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model)
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n", "assistant\n<think>\n")
    tokenizer.save_pretrained(tmp_path)
    AutoModelForCausalLM.from_pretrained(random_model).save_pretrained(tmp_path)
    model = TransformersModel(str(tmp_path))
    first, then = replies(model, USER, continued(f"<think>\n{EARLIER}"))
    assert first.text.startswith("<think>\n")
    assert not then.text.startswith("<think>")
    short, long = (len(tokenizer(text)["input_ids"]) for text in ("<think>\n", f"<think>\n{EARLIER}"))
    assert then.usage.prompt_tokens - first.usage.prompt_tokens == long - short


def test_transformers_context_overflow(random_model: Path) -> None:
    with pytest.raises(ContextOverflowError, match="context of 100"):
        replies(TransformersModel(str(random_model), max_context_tokens=100), [Message(role="user", content="x" * 90)])


def test_overflow_shortens_subtitles(trained_model: Path, short_video: Path, tmp_path: Path) -> None:
    lines = [
        f"{n}\n00:00:0{n % 10},000 --> 00:00:0{n % 10},900\nMira: this is line {n} {'la ' * 40}\n" for n in range(1, 60)
    ]
    (tmp_path / "long.srt").write_text("\n".join(lines))
    role = AgentConfig(model=f"transformers:{trained_model}", temperature=0.0, max_tokens=80)
    team_config = TeamConfig(master=role, style=Style.CONTINUATION)
    trace = ask(short_video, "What?", ["red", "grey"], subtitles=tmp_path / "long.srt", team=team_config)
    assert trace.answer == "grey"
    assert any("of each clip's subtitles fitted the master model" in warning for warning in trace.warnings)


def test_transformers_sampling(trained_model: Path) -> None:
    model = TransformersModel(str(trained_model))
    off: dict[str, Any] = {"top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0}
    (greedy,) = replies(model, USER)
    assert replies(model, USER, settings=CallSettings(0.0, 80, **off)) == [greedy]
    assert replies(model, USER, settings=CallSettings(9.0, 80, top_k=1)) == [greedy]
    assert replies(model, USER, settings=CallSettings(9.0, 80, **off)) != [greedy]
    assert replies(model, USER, settings=CallSettings(0.0, 80, repetition_penalty=9.0)) != [greedy]


def test_transformers_cut_inside_reasoning(trained_model: Path) -> None:
    model = TransformersModel(str(trained_model))
    (cut,) = replies(model, USER, settings=CallSettings(0.0, 9))
    assert (cut.text, cut.is_truncated) == ("<think>hm", True)
    assert "cut at 9 tokens inside its reasoning; raise --max-reply-tokens" in cut.warnings[0]
    assert replies(model, USER)[0].warnings == ()


def test_transformers_errors(random_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be loaded"):
        replies(TransformersModel(str(tmp_path)), USER)
    with pytest.raises(ModelError, match="no images"):
        replies(TransformersModel(str(random_model)), [Message(role="user", content=(Jpeg(b"x"), "what?"))])
    with pytest.raises(ModelError, match="top_k"):
        replies(TransformersModel(str(random_model)), USER, settings=CallSettings(0.5, 4, extra_body={"top_k": -5}))


def test_transformers_missing_folder(short_video: Path, tmp_path: Path) -> None:
    team_config = TeamConfig(master=AgentConfig(model=f"transformers:{tmp_path}"))
    trace = ask(short_video, "What?", team=team_config, settings=RolloutSettings(max_rounds=1))
    assert trace.outcome is Outcome.FAILED
    assert trace.cause.startswith("master: transformers:")


# --- vLLM ----------------------------------------------------------------------------------------


def engine() -> Any:
    return importlib.import_module("vllm.v1.engine.async_llm").AsyncLLM.started[-1]


def test_vllm_signatures(fake_vllm: Any, random_model: Path) -> None:
    fake_vllm.REPLIES[0] = "hi there"
    schema = {"type": "object"}
    settings = CallSettings(0.3, 50, json_schema=schema, extra_body={"top_k": 20}, top_k=-1, repetition_penalty=1.1)
    (reply,) = replies(VLLMModel(str(random_model), 4096), continued(), settings=settings)
    assert reply.text == "hi there"
    assert (engine().engine_args.model, engine().engine_args.max_model_len) == (str(random_model), 4096)
    ((prompt, sampling, _),) = engine().requests
    assert reply.usage.prompt_tokens == len(prompt["prompt_token_ids"])
    assert reply.usage.completion_tokens == 8
    assert (sampling.temperature, sampling.max_tokens, sampling.top_k) == (0.3, 50, 20)
    assert (sampling.top_p, sampling.repetition_penalty) == (1.0, 1.1)
    assert sampling.structured_outputs.json == schema
    assert engine().is_shut_down


def test_vllm_stops_at_action(fake_vllm: Any, random_model: Path) -> None:
    fake_vllm.REPLIES[0] = "<think><answer>a0</answer></think><answer>a1</answer> and much more of it"
    (reply,) = replies(VLLMModel(str(random_model)), USER, settings=CallSettings(0.0, 80, stop_at_action=True))
    assert reply.text.startswith("<think><answer>a0</answer></think><answer>a1</answer>")
    assert "much more" not in reply.text
    assert len(engine().aborted) == 1
    settings = CallSettings(0.0, 80, stop_at_action=True, actions_anywhere=True)
    (reply,) = replies(VLLMModel(str(random_model)), USER, settings=settings)
    assert reply.text.startswith("<think><answer>a0</answer>")
    assert "<answer>a1</answer>" not in reply.text


def test_vllm_context_overflow(fake_vllm: Any, random_model: Path) -> None:  # noqa: ARG001
    with pytest.raises(ContextOverflowError, match="maximum model length"):
        replies(VLLMModel(str(random_model), 5), USER)


def test_vllm_extra_missing() -> None:
    with pytest.raises(UsageError, match=r"longvideoagent\[vllm\]"):
        load_team(TeamConfig(master=AgentConfig(model="vllm:some/model")))
