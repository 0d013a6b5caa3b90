"""Models in this process: a tiny one that was taught what to say, and vLLM's documented signatures."""

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
ASKED = [Message(role="user", content="What colour?")]
TOLD = "<think>hm</think><search>x</search>\n\n<information>\nred\n</information>\n\n"
SURE = CallSettings(temperature=0.0, max_tokens=80)


def replies(model: TransformersModel | VLLMModel, *chats: list[Message], settings: CallSettings = SURE) -> list[Reply]:
    async def run() -> list[Reply]:
        try:
            return await asyncio.gather(*(model.complete(chat, settings) for chat in chats))
        finally:
            await model.close()

    return asyncio.run(run())


def going_on(said: str = TOLD) -> list[Message]:
    return [*ASKED, Message(role="assistant", content=said)]


# --- transformers --------------------------------------------------------------------------------


def test_a_whole_rollout_in_this_process(taught_model: Path, short_video: Path) -> None:
    role = AgentConfig(model=f"transformers:{taught_model}", temperature=0.0, max_tokens=80)
    team_config = TeamConfig(master=role, style=Style.CONTINUATION, look_tag="search")
    trace = ask(short_video, "What colour?", ["red", "grey"], team=team_config)
    assert [each.reply.text for each in trace.rounds] == [
        "<think>hm</think><search>the wall</search>",
        "so <answer>a1</answer>",
    ]
    assert (trace.outcome, trace.answer) == (Outcome.ANSWERED, "grey")
    assert trace.usage.prompt_tokens > 1000


def test_a_reply_ends_at_its_first_action_where_nothing_more_is_wanted(taught_model: Path) -> None:
    model = TransformersModel(str(taught_model))
    (whole,) = replies(model, going_on())
    (stopped,) = replies(model, going_on(), settings=CallSettings(0.0, 80, stop_at_action=True))
    assert (whole.text, stopped.text) == ("so <answer>a1</answer> and more", "so <answer>a1</answer>")
    assert stopped.usage.completion_tokens == len(stopped.text)
    assert whole.usage.completion_tokens == len(whole.text) + 1  # and the end of the turn


def test_what_runs_side_by_side_is_batched_and_says_the_same(taught_model: Path) -> None:
    model = TransformersModel(str(taught_model), max_concurrency=8)
    chats = [ASKED, going_on(), [Message(role="user", content="What? " * 50)], going_on("x" * 99 + TOLD)] * 4
    alone = [replies(TransformersModel(str(taught_model)), chat)[0] for chat in chats[:4]]
    assert replies(model, *chats) == alone * 4
    assert 2 <= model.num_batches < 16


def test_each_reply_of_a_batch_keeps_its_own_length(taught_model: Path) -> None:
    model = TransformersModel(str(taught_model))

    async def run() -> list[Reply]:
        return await asyncio.gather(*(model.complete(ASKED, CallSettings(0.0, most)) for most in (5, 12, 80)))

    short, longer, whole = asyncio.run(run())
    assert whole.text.startswith(longer.text)
    assert longer.text.startswith(short.text)
    assert [short.usage.completion_tokens, longer.usage.completion_tokens] == [5, 12]


def test_a_thought_that_the_template_opens_stands_in_the_reply_once(random_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model)
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n", "assistant\n<think>\n")
    tokenizer.save_pretrained(tmp_path)
    AutoModelForCausalLM.from_pretrained(random_model).save_pretrained(tmp_path)
    model = TransformersModel(str(tmp_path))
    first, then = replies(model, ASKED, going_on(f"<think>\n{TOLD}"))
    assert first.text.startswith("<think>\n")
    assert not then.text.startswith("<think>")
    asked, told = (len(tokenizer(text)["input_ids"]) for text in ("<think>\n", f"<think>\n{TOLD}"))
    assert then.usage.prompt_tokens - first.usage.prompt_tokens == told - asked


def test_a_prompt_that_is_too_long_is_an_overflow(random_model: Path) -> None:
    with pytest.raises(ContextOverflowError, match="context of 100"):
        replies(TransformersModel(str(random_model), max_context_tokens=100), [Message(role="user", content="x" * 90)])


def test_an_overflow_shortens_the_subtitles_and_it_is_said(
    taught_model: Path, short_video: Path, tmp_path: Path
) -> None:
    lines = [
        f"{n}\n00:00:0{n % 10},000 --> 00:00:0{n % 10},900\nMira: this is line {n} {'la ' * 40}\n" for n in range(1, 60)
    ]
    (tmp_path / "long.srt").write_text("\n".join(lines))
    role = AgentConfig(model=f"transformers:{taught_model}", temperature=0.0, max_tokens=80)
    team_config = TeamConfig(master=role, style=Style.CONTINUATION)
    trace = ask(short_video, "What?", ["red", "grey"], subtitles=tmp_path / "long.srt", team=team_config)
    assert trace.answer == "grey"
    assert any("of each clip's subtitles fitted the master model" in warning for warning in trace.warnings)


def test_what_cannot_be_loaded_or_shown_is_the_models_failure(random_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be loaded"):
        replies(TransformersModel(str(tmp_path)), ASKED)
    with pytest.raises(ModelError, match="no images"):
        replies(TransformersModel(str(random_model)), [Message(role="user", content=(Jpeg(b"x"), "what?"))])
    with pytest.raises(ModelError, match="top_k"):
        replies(TransformersModel(str(random_model)), ASKED, settings=CallSettings(0.5, 4, extra_body={"top_k": -5}))


def test_a_missing_folder_ends_the_question_as_failed(short_video: Path, tmp_path: Path) -> None:
    team_config = TeamConfig(master=AgentConfig(model=f"transformers:{tmp_path}"))
    trace = ask(short_video, "What?", team=team_config, settings=RolloutSettings(max_rounds=1))
    assert trace.outcome is Outcome.FAILED
    assert trace.cause.startswith("master: transformers:")


# --- vLLM ----------------------------------------------------------------------------------------


def started() -> Any:
    return importlib.import_module("vllm.v1.engine.async_llm").AsyncLLM.started[-1]


def test_the_engine_is_asked_by_its_signatures(fake_vllm: Any, random_model: Path) -> None:
    fake_vllm.SAYS[0] = "hi there"
    schema = {"type": "object"}
    settings = CallSettings(0.3, 50, schema=schema, extra_body={"top_k": 20})
    (reply,) = replies(VLLMModel(str(random_model), 4096), going_on(), settings=settings)
    assert reply.text == "hi there"
    assert (started().engine_args.model, started().engine_args.max_model_len) == (str(random_model), 4096)
    ((prompt, sampling, _),) = started().asked
    assert reply.usage.prompt_tokens == len(prompt["prompt_token_ids"])
    assert reply.usage.completion_tokens == 8
    assert (sampling.temperature, sampling.max_tokens, sampling.top_k) == (0.3, 50, 20)
    assert sampling.structured_outputs.json == schema
    assert started().is_shut_down


def test_the_engine_is_told_to_stop_at_the_first_action(fake_vllm: Any, random_model: Path) -> None:
    fake_vllm.SAYS[0] = "<think><answer>a0</answer></think><answer>a1</answer> and much more of it"
    (reply,) = replies(VLLMModel(str(random_model)), ASKED, settings=CallSettings(0.0, 80, stop_at_action=True))
    assert reply.text.startswith("<think><answer>a0</answer></think><answer>a1</answer>")
    assert "much more" not in reply.text
    assert len(started().aborted) == 1


def test_the_engines_refusals_are_the_models_failures(fake_vllm: Any, random_model: Path) -> None:  # noqa: ARG001
    with pytest.raises(ContextOverflowError, match="maximum model length"):
        replies(VLLMModel(str(random_model), 5), ASKED)


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(UsageError, match=r"longvideoagent\[vllm\]"):
        load_team(TeamConfig(master=AgentConfig(model="vllm:some/model")))
