"""The presets of the released checkpoints, end to end: on ``transformers serve`` and in this process, with tiny models
of the same architectures and chat templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from longvideoagent import TeamConfig, ask
from longvideoagent.agents.presets import PRESETS
from longvideoagent.agents.team_file import load_team_config
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.types import VisionResult
from longvideoagent.models.chat_template import render_prompt
from tests.fakes.transformers_server import serving
from tests.plugins.cli import lva
from tests.plugins.models import needs_torch, write_tiny_model

pytestmark = needs_torch
OPTIONS = ("red", "grey")
LOOK = "<search>the wall</search>"
REPLIES = {
    "qwen2.5": ("<|im_start|>assistant\n", f"<think>hm</think>{LOOK}"),
    "qwen3": ("<|im_start|>assistant\n<think>\n", f"hm</think>{LOOK}"),
}
"""The first reply after each family's chat template."""
BOTH = (
    ("a1: grey", f"<think>hm</think>{LOOK}"),
    ("</information>", "so <answer>a1</answer>"),
    ("</information>\n\n", "so <answer>a1</answer>"),
)
"""The first reply without a chat template, and the reply to an observation."""


class ServedModel(NamedTuple):
    """A tiny model in a folder, and the spec of its server."""

    folder: Path
    spec: str


ServeFamily = Callable[[str], ServedModel]


@pytest.fixture(scope="module")
def serve_family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeFamily]:
    """Serves a model of a family that looks and then answers; each family is trained and served once."""
    with ExitStack() as stack:

        @cache
        def serve(family: str) -> ServedModel:
            endings = [text for pair in (REPLIES[family], *BOTH) for text in pair]
            folder = write_tiny_model(tmp_path_factory.mktemp(family), family, *endings)
            return ServedModel(folder, stack.enter_context(serving(folder, tmp_path_factory.mktemp("home"))))

        yield serve


def each_preset(ending: str) -> pytest.MarkDecorator:
    """Run a test with each preset of that ending, and a model of its family."""
    chosen = [preset for preset in PRESETS if preset.endswith(ending)]
    pairs = [(family, preset) for family in REPLIES for preset in chosen if preset.startswith(family)]
    return pytest.mark.parametrize(("family", "preset"), pairs)


def team_of(preset: str, model: str) -> TeamConfig:
    """A preset with another model as master."""
    return load_team_config(preset).with_models(master=model)


def check_looks_and_answers(team_config: TeamConfig, video: Path, first_reply: str) -> None:
    trace = ask(video, "What colour?", OPTIONS, team=team_config)
    assert (trace.outcome, trace.answer) == (Outcome.ANSWERED, "grey"), trace.cause
    assert [round_.context_text for round_ in trace.rounds] == [first_reply, "so <answer>a1</answer>"]
    assert isinstance(trace.rounds[0].observation, VisionResult)


@each_preset("")
def test_preset_served(family: str, preset: str, serve_family: ServeFamily, short_video: Path) -> None:
    opened = "<think>\n" if preset == "qwen3-4b-as-trained" else "<think>"
    check_looks_and_answers(team_of(preset, serve_family(family).spec), short_video, f"{opened}hm</think>{LOOK}")


@each_preset("-as-trained")
def test_preset_in_process(family: str, preset: str, serve_family: ServeFamily, short_video: Path) -> None:
    opened = "<think>\n" if preset == "qwen3-4b-as-trained" else "<think>"
    team_config = team_of(preset, f"transformers:{serve_family(family).folder}")
    master = team_config.master.model_copy(update={"max_context_tokens": None, "max_tokens": 80})
    check_looks_and_answers(team_config.model_copy(update={"master": master}), short_video, f"{opened}hm</think>{LOOK}")


@each_preset("-as-trained")
def test_preset_template_is_the_models(family: str, preset: str, serve_family: ServeFamily) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(serve_family(family).folder)
    template = load_team_config(preset).master.completion_template
    assert template is not None
    rendered = render_prompt(tokenizer, [{"role": "user", "content": "What colour?\na0: red"}])
    assert template.replace("$prompt", "What colour?\na0: red") == rendered


@each_preset("7b-as-trained")
def test_preset_sampling_in_run_config(
    family: str, preset: str, serve_family: ServeFamily, release: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = lva(
        "eval", release, "--team", preset, "--master", serve_family(family).spec, "--run", run, "--no-cache",
        "--limit", "1", "--max-rounds", "1", "--max-reply-tokens", "40",
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    master = json.loads((run / "config.json").read_text())["team"]["master"]
    names = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens")
    assert [master[name] for name in names] == [0.6, 1.0, -1, 1.0, 40]
    assert "refuses top_k" in done.stderr  # transformers serve has no such field


@each_preset("4b-as-trained")
def test_doctor_calls_real_server(family: str, preset: str, serve_family: ServeFamily) -> None:
    done = lva("doctor", "--team", preset, "--master", serve_family(family).spec, "--json", "--max-reply-tokens", "60")
    assert done.returncode == 0, done.stdout
    server = json.loads(done.stdout)["master"]["server"]
    assert "it refuses top_k, which is left out" in server["adaptations"]
    assert server["reasoning"] == "<think> in the reply"
    assert server["usage"]["prompt_tokens"] > 100
