"""Training configurations: which files are valid, and how others are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longvideoagent.errors import DataError
from longvideoagent.training.config import RLConfig, SftConfig, read_config
from tests.plugins.training import ROOT, write_toml


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("max_steps = 0", "max_steps: "),
        ("max_steps = true", "max_steps: "),
        ('look_tag = "foo"', "look_tag: "),
        (
            "[limits]\nmax_reply_tokens = 48",
            "limits.min_reply_tokens: 64 is more than limits.max_reply_tokens 48",
        ),
        (
            "[limits]\nmax_response_tokens = 48\nmax_reply_tokens = 200",
            "limits.min_reply_tokens: 64 is more than limits.max_response_tokens 48",
        ),
        ("colour = 1", "colour: unknown field"),
        ('reward = "gold"', "no preset 'gold'"),
        ("reward = {corect = 1}", "no such weight"),
        ("max_steps = ", "TOML"),
        ("[trl]\nmax_steps = 9", "trl: max_steps is set by the field max_steps"),
        ("[trl]\nbeta = 0.0\ntemperature = 0.5", "trl: temperature is set by the field temperature"),
    ],
)
def test_config_invalid_field(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'model = "m"\ndata = "d"\nrows = "r"\nout = "o"\n{line}\n')
    with pytest.raises(DataError, match=re.escape(message)):
        _ = read_config(path, RLConfig).weights


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("eval_step = 5", "did you mean eval_steps?"),
        ("learning_rat = 0.1", "did you mean learning_rate?"),
        ("[limits]\nmin_reply = 9", "did you mean min_reply_tokens?"),
        ("[limits]\nzzz = 9", "there are max_prompt_tokens, max_response_tokens, max_reply_tokens, min_reply_tokens"),
    ],
)
def test_config_unknown_field_names_nearest(line: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'model = "m"\ndata = "d"\nrows = "r"\nout = "o"\n{line}\n')
    with pytest.raises(DataError, match=re.escape(hint)):
        read_config(path, RLConfig)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_config_shipped_files(path: Path) -> None:
    config = read_config(path, RLConfig)
    assert config.weights.correct == 1.0
    assert config.settings.max_rounds >= 4
    if path.stem != "tiny-cpu":
        rank = config.lora and config.lora.rank
        assert (config.questions_per_step, rank, config.learning_rate) == (16, 128, 5e-6)


def test_config_shipped_verl_rollout() -> None:
    limits = read_config(ROOT / "configs" / "verl" / "rollout.toml", RLConfig).limits
    assert limits.model_dump() == {
        "max_prompt_tokens": 12000, "max_response_tokens": 1500, "max_reply_tokens": 1024, "min_reply_tokens": 64,
    }  # fmt: skip


def test_config_muon_excludes_lora(tmp_path: Path) -> None:
    fields = {"model": "m", "runs": ["r"], "out": "o", "optimizer": "muon"}
    assert read_config(write_toml(tmp_path / "c.toml", fields), SftConfig).optimizer == "muon"
    path = write_toml(tmp_path / "c.toml", fields | {"lora": {"rank": 2}})
    with pytest.raises(DataError, match="optimizer: muon trains no adapter; leave"):
        read_config(path, SftConfig)


def test_config_sft_owned_field(tmp_path: Path) -> None:
    fields = {"model": "m", "runs": ["r"], "out": "o", "trl": {"gradient_accumulation_steps": 2}}
    with pytest.raises(DataError, match="gradient_accumulation_steps is set by the field sequences_per_step"):
        read_config(write_toml(tmp_path / "c.toml", fields), SftConfig)
