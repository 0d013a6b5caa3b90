"""A master fine-tuned on trajectories of a good team."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.agents.master import ModelMaster
from longvideoagent.core.context import Style
from longvideoagent.core.protocol import normalize_look_tag
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Question
from longvideoagent.errors import DataError
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video
from longvideoagent.models.scripted import ScriptedModel
from longvideoagent.run import answer
from longvideoagent.training.config import SftConfig
from longvideoagent.training.rollouts import MasterFormat
from longvideoagent.training.sft_data import select_traces, token_sequences
from longvideoagent.training.tokens import PromptFormat
from tests.fakes.release import question, write_release
from tests.plugins.cli import lva, lva_process
from tests.plugins.timelines import make_timeline
from tests.plugins.training import write_toml
from tests.plugins.trl import LAYOUT, limits

TIMELINE = make_timeline(["Mira: the sign is red"], ["Otto: the rope is torn"])
RELOCATE = "<think>elsewhere</think><request_grounding>rope</request_grounding>"
ANSWER = "<think>so</think><answer>a1</answer>"


def make_trace(*replies: str) -> Trace:
    team = replace(load_team(), master=ModelMaster(ScriptedModel(replies)))
    video = Video(ClipFoldersReader(None, TIMELINE), TIMELINE, "", ())
    return answer(Question("What is red?", ("the sign", "the rope"), "q"), video, team, RolloutSettings(3))


@pytest.mark.parametrize(
    ("reply", "normalized"),
    [
        ("so <visual_query>a rope</visual_query>", "so <search>a rope</search>"),
        (
            "<think><search>no</search></think><SEARCH >x</search>",
            "<think><search>no</search></think><search>x</search>",
        ),
        ("<answer>a1</answer>", "<answer>a1</answer>"),
        ("nothing at all", "nothing at all"),
        ("<search>cut off", "<search>cut off"),
    ],
)
def test_look_tag_normalized(reply: str, normalized: str) -> None:
    assert normalize_look_tag(reply, "search") == normalized


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the offline team."""
    folder = tmp_path_factory.mktemp("run")
    data = write_release(folder / "data", [question(number) for number in range(4)], "val")
    done = lva("eval", data, "--agents", "grounding", "--run", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def sft_config(*runs: Path, **fields: Any) -> SftConfig:
    return SftConfig(model="m", out=Path("o"), runs=list(runs), **fields)


def test_select_traces(run: Path, tmp_path: Path) -> None:
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    questions = [json.loads(line) for line in (run / "questions.jsonl").read_text().splitlines()]
    gold = questions[0]["gold"]
    gold["option_index"] = (gold["option_index"] + 1) % 5  # now its trajectory has a wrong answer
    (changed / "questions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in questions))
    costly = {"correct": 1.0, "look_cost": 0.5, "relocation_cost": 0.5}
    assert len(select_traces(sft_config(changed))) == 3
    assert len(select_traces(sft_config(changed, reward=costly))) == 3
    assert len(select_traces(sft_config(changed, run, only_correct=False))) == 8
    generous = {"action": 1.0, "correct": 1.0}  # a wrong answer earns as much as min_reward
    assert len(select_traces(sft_config(changed, min_reward=1.0, reward=generous))) == 3
    assert len(select_traces(sft_config(changed, min_reward=1.0, reward=generous, only_correct=False))) == 4
    with pytest.raises(DataError, match=r"with a correct answer and a reward of 9\.0; lower min_reward"):
        select_traces(sft_config(changed, min_reward=9.0))
    with pytest.raises(DataError, match="is its folder a run"):
        select_traces(sft_config(tmp_path))


@pytest.mark.torch
@pytest.mark.parametrize("style", list(Style))
def test_trajectory_tokens_in_context(style: Style, random_model: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(random_model)
    trace = make_trace(RELOCATE, ANSWER)
    prompt_format = PromptFormat(style, LAYOUT)
    wide = MasterFormat(tokenizer, prompt_format, limits(prompt=900, response=900, reply=200))
    sequences = token_sequences(trace, wide)
    assert len(sequences) == (2 if style in (Style.ACCUMULATED, Style.RAW) else 1)
    sampled = "".join(
        tokenizer.decode([token for token, mask in zip(sequence.ids, sequence.mask, strict=True) if mask])
        for sequence in sequences
    )
    eos = tokenizer.eos_token
    expected = f"{RELOCATE}{ANSWER}{eos}" if style is Style.CONTINUATION else f"{RELOCATE}{eos}{ANSWER}{eos}"
    assert sampled == expected
    assert "the sign is red" in sequences[0].text
    assert "the rope is torn" in sequences[-1].text
    narrow = MasterFormat(tokenizer, prompt_format, limits(prompt=900, response=40, reply=30))
    assert token_sequences(trace, narrow) == []


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_sft_learns_and_resumes(run: Path, random_model: Path, tmp_path: Path) -> None:
    fields = {
        "model": str(random_model), "runs": [str(run)], "out": str(tmp_path / "sft"), "max_steps": 30,
        "sequences_per_step": 2, "learning_rate": 0.01, "save_steps": 10, "only_correct": False,
        "limits": {"max_prompt_tokens": 6000, "max_response_tokens": 2000, "max_reply_tokens": 1500},
    }  # fmt: skip
    config = write_toml(tmp_path / "c.toml", fields)
    assert "sequences per step" in lva("train", "sft", config, "--dry-run").stdout
    assert "sft calls no agent; leave out --model" in lva("train", "sft", config, "-m", "ollama:m").stderr
    done = lva_process("train", "sft", config)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "sft"
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 30
    assert losses[-1] < losses[0] * 0.7
    weights = (out / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(out / "model")
    shutil.rmtree(out / "checkpoint-30")
    assert lva_process("train", "sft", config).returncode == 0
    assert (out / "model" / "model.safetensors").read_bytes() == weights
