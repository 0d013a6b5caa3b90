"""Training configurations: which files are valid, and how others are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longvideoagent.errors import DataError, UsageError
from longvideoagent.training.config import ALGORITHMS, RLConfig, SftConfig, read_config
from longvideoagent.training.reward import REWARD_PRESETS
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


def test_config_models_of_the_agents(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('model = "m"\ndata = "d"\nrows = "r"\nout = "o"\nvision = "ollama:qwen2.5vl"\n')
    config = read_config(path, RLConfig)
    assert [agent.model for agent in config.team_config.agents.values()] == ["offline", "offline", "ollama:qwen2.5vl"]
    with pytest.raises(UsageError, match="nosuch:x: no such model"):
        _ = config.model_copy(update={"grounding": "nosuch:x"}).team_config


SHIPPED = {path.stem: path for path in sorted((ROOT / "configs").glob("*.toml")) if path.stem != "prices"}


@pytest.mark.parametrize("path", SHIPPED.values(), ids=lambda path: path.stem)
def test_config_shipped_files(path: Path) -> None:
    config = read_config(path, RLConfig)
    assert config.weights.correct == 1.0
    assert config.settings.max_rounds >= 4
    assert config.save_steps % config.updates_per_batch == 0
    assert config.max_steps % config.updates_per_batch == 0
    if path.stem == "tiny-cpu":
        return
    assert (config.lora and config.lora.rank, config.lora and config.lora.alpha) == (128, 64)
    assert (config.learning_rate, config.trl["loss_type"], str(config.out)) == (5e-6, "dapo", f"runs/{path.stem}")
    assert (ROOT / config.team).is_file()


@pytest.mark.parametrize(
    ("name", "algorithm", "batch", "limits", "rounds"),
    [
        ("qwen2.5-3b-grpo", "grpo", (401, 16, 8, 8, 25), (12_000, 12_000, 1500), 6),
        ("qwen2.5-7b-grpo", "grpo", (401, 16, 8, 8, 25), (12_800, 12_800, 1500), 6),
        ("qwen2.5-7b-grpo-newversion", "grpo", (401, 16, 8, 8, 25), (12_800, 1500, 1500), 5),
        ("qwen2.5-7b-dapo", "dapo", (3001, 4, 2, 4, 50), (8100, 8100, 1500), 6),
    ],
)
def test_config_values_of_public_scripts(
    name: str, algorithm: str, batch: tuple[int, ...], limits: tuple[int, ...], rounds: int
) -> None:
    """Batches, questions a batch and an update, group and batches between checkpoints; prompt, response and reply."""
    config = read_config(SHIPPED[name], RLConfig)
    updates = config.updates_per_batch
    assert batch == (
        config.max_steps // updates,
        config.questions_per_batch,
        config.questions_per_step,
        config.group_size(algorithm),
        config.save_steps // updates,
    )
    assert limits == (
        config.limits.max_prompt_tokens,
        config.limits.max_response_tokens,
        config.limits.max_reply_tokens,
    )
    assert (config.max_rounds, config.weights) == (rounds, REWARD_PRESETS["public"])
    trl = {**ALGORITHMS[algorithm].trl_fields, **config.trl}
    if algorithm == "dapo":
        assert (trl["beta"], trl["epsilon"], trl["epsilon_high"], trl["delta"], trl["weight_decay"]) == (
            0, 0.2, 0.28, 10, 0.1,
        )  # fmt: skip
        assert (config.overlong_buffer_tokens, config.overlong_penalty, config.max_generation_batches) == (4096, 1, 10)
    else:
        assert (trl["beta"], trl["epsilon"], trl["delta"], trl["weight_decay"]) == (0.001, 0.2, 3, 0.01)


def test_config_values_of_paper() -> None:
    config = read_config(SHIPPED["paper-qwen2.5-7b"], RLConfig)
    assert (config.questions_per_batch, config.group_size("grpo"), config.max_steps) == (4, 4, 2000)
    assert (config.max_rounds, config.weights) == (5, REWARD_PRESETS["paper"])


@pytest.mark.parametrize(
    ("name", "limits"), [("rollout", (12_800, 1500, 1500, 64)), ("rollout-dapo", (8100, 8100, 1500, 64))]
)
def test_config_shipped_verl_rollout(name: str, limits: tuple[int, ...]) -> None:
    config = read_config(ROOT / "configs" / "verl" / f"{name}.toml", RLConfig)
    assert tuple(config.limits.model_dump().values()) == limits
    assert config.weights == REWARD_PRESETS["public"]


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
