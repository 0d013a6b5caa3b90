"""The folder of a training run: checkpoints, earlier versions, its report."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.errors import DataError, UsageError
from longvideoagent.training.config import RLConfig, SftConfig, TrainingConfig
from longvideoagent.training.run_dir import RunDir, is_training_run, read_settings
from tests.plugins.cli import lva

VERSION_1: dict[str, Any] = {
    "algorithm": "grpo", "model": "m", "style": "continuation", "look_tag": "search", "prompt_file": None,
    "reward": {"right": 1.0, "look_cost": 0.05},
    "limits": {"prompt": 600, "response": 900, "reply": 48, "least_reply": 24},
    "steps": 40, "batch": 8, "at_once": 64, "learning_rate": 0.0004, "seed": 0,
    "lora": {"rank": 4, "alpha": 8, "modules": ["q_proj"]}, "trl": {"beta": 0.0},
    "data": "d", "rows": "r", "split": "train", "held_out": "h", "held_out_every": 10, "team": "offline",
    "max_rounds": 4, "window": 1, "group": 8, "temperature": 1.0, "vllm_memory": None,
}  # fmt: skip
"""config.json of a run folder before versions were numbered."""
CONFIG = {
    "model": "m", "out": "o", "reward": {"correct": 1.0, "look_cost": 0.05},
    "limits": {
        "max_prompt_tokens": 600, "max_response_tokens": 900, "max_reply_tokens": 48, "min_reply_tokens": 24,
    },
    "max_steps": 40, "questions_per_step": 8, "per_device_batch_size": 64, "learning_rate": 0.0004,
    "lora": {"rank": 4, "alpha": 8, "target_modules": ["q_proj"]}, "trl": {"beta": 0.0},
    "data": "d", "rows": "r", "eval_rows": "h", "eval_steps": 10, "max_rounds": 4,
    "num_generations": 8,
}  # fmt: skip
"""The same run as a configuration of today."""


def settings(config: TrainingConfig, algorithm: str) -> dict[str, Any]:
    return {"algorithm": algorithm, **config.model_dump(mode="json", exclude={"out", "save_steps"})}


def test_run_dir_latest_complete_checkpoint(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    for name in ("checkpoint-2", "checkpoint-10", "checkpoint-11", "checkpoint-x"):
        (tmp_path / name).mkdir()
    assert run_dir.checkpoint is None
    for name, text in (("checkpoint-2", "{}"), ("checkpoint-10", "{}"), ("checkpoint-11", '{"half')):
        (tmp_path / name / "trainer_state.json").write_text(text)
    assert run_dir.checkpoint == tmp_path / "checkpoint-10"


def test_run_dir_version_1_resumes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(VERSION_1))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "reward_right": 0.5, "did_not_fit": 2}\n{"step": 2}\n')
    (tmp_path / "held_out.jsonl").write_text('{"step": 0, "n": 4, "accuracy": 0.5, "did_not_fit": 0}\n')
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_text("{}")
    now = settings(RLConfig.model_validate(CONFIG), "grpo")
    RunDir(tmp_path).claim(now)
    assert read_settings(tmp_path) == now
    assert json.loads((tmp_path / "config.json").read_text())["version"] == 3
    assert list(RunDir(tmp_path).lines("metrics.jsonl")) == [{"step": 1, "reward_correct": 0.5, "prompt_too_long": 2}]
    evaluation = {"step": 0, "questions": 4, "accuracy": 0.5, "prompt_too_long": 0}
    assert list(RunDir(tmp_path).lines("eval.jsonl")) == [evaluation]
    assert (tmp_path / "held_out.jsonl").exists()  # nothing is deleted
    assert (tmp_path / "checkpoint-1").exists()


def test_run_dir_version_2_resumes(tmp_path: Path) -> None:
    now = settings(RLConfig.model_validate(CONFIG), "grpo")
    (tmp_path / "config.json").write_text(json.dumps({"format": 2, **now}))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "reward_correct": 0.5}\n{"step": 2}\n')
    (tmp_path / "rollouts.jsonl").write_text('{"step": 1, "trace": {}}\n')
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_text("{}")
    assert read_settings(tmp_path) == now
    RunDir(tmp_path).claim(now)
    assert json.loads((tmp_path / "config.json").read_text()) == {"version": 3, **now}
    assert list(RunDir(tmp_path).lines("metrics.jsonl")) == [{"step": 1, "reward_correct": 0.5}]
    assert list(RunDir(tmp_path).lines("rollouts.jsonl")) == [{"step": 1, "trace": {}}]


def test_run_dir_version_1_sft(tmp_path: Path) -> None:
    rl_only = {"data", "rows", "split", "held_out", "held_out_every", "team", "max_rounds", "window", "group"}
    old = {name: value for name, value in VERSION_1.items() if name not in rl_only | {"temperature", "vllm_memory"}}
    old |= {"algorithm": "sft", "runs": ["r"], "only_right": False, "least_reward": None, "optimizer": "adamw"}
    (tmp_path / "config.json").write_text(json.dumps(old))
    rl_fields = {"questions_per_step", "data", "rows", "eval_rows", "eval_steps", "max_rounds", "num_generations"}
    new = {name: value for name, value in CONFIG.items() if name not in rl_fields}
    new |= {"runs": ["r"], "only_correct": False, "sequences_per_step": 8}
    RunDir(tmp_path).check(settings(SftConfig.model_validate(new), "sft"))


def test_run_dir_before_texts_for_tools(tmp_path: Path) -> None:
    now = settings(RLConfig.model_validate({**CONFIG, "layout": {"prompt_end": "!"}}), "grpo")
    layout = {name: text for name, text in now["layout"].items() if not name.startswith("tool_")}
    (tmp_path / "config.json").write_text(json.dumps({"version": 3, **now, "layout": layout}))
    RunDir(tmp_path).check(now)


def test_run_dir_before_added_settings(tmp_path: Path) -> None:
    """A run that was begun before some settings existed resumes if they are at what it did."""
    now = settings(RLConfig.model_validate(CONFIG), "grpo")
    added = {"updates_per_batch", "max_generation_batches", "overlong_buffer_tokens", "overlong_penalty", "actions"}
    old = {name: value for name, value in now.items() if name not in added | {"layout", "layout_file"}}
    (tmp_path / "config.json").write_text(json.dumps({"version": 3, **old}))
    RunDir(tmp_path).check(now)
    changed = settings(RLConfig.model_validate(CONFIG | {"updates_per_batch": 2}), "grpo")
    with pytest.raises(UsageError, match=r"other settings \(updates_per_batch: 1 -> 2\)"):
        RunDir(tmp_path).check(changed)


def test_run_dir_other_settings(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(VERSION_1))
    now = settings(RLConfig.model_validate(CONFIG | {"max_steps": 41}), "grpo")
    with pytest.raises(UsageError, match=r"other settings \(max_steps: 40 -> 41\); choose another out"):
        RunDir(tmp_path).check(now)
    assert json.loads((tmp_path / "config.json").read_text()) == VERSION_1  # a check writes nothing


def test_run_dir_other_layout(tmp_path: Path) -> None:
    """The message names the field of the layout, and not all of its texts."""
    now = settings(RLConfig.model_validate(CONFIG | {"layout": {"prompt": "Watch.\n" * 99 + "$question"}}), "grpo")
    (tmp_path / "config.json").write_text(json.dumps({"version": 3, **now}))
    changed = settings(RLConfig.model_validate(CONFIG | {"layout": {"prompt": "Look.\n" * 99 + "$question"}}), "grpo")
    with pytest.raises(UsageError, match=r"other settings \(layout\.prompt differs\); choose another out"):
        RunDir(tmp_path).check(changed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 4, "algorithm": "grpo"}', "has version 4.* upgrade longvideoagent"),
        ("[1]", "not a JSON object"),
        ("{", "not the settings of a training run"),
    ],
)
def test_run_dir_config_invalid(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_settings(tmp_path)
    assert is_training_run(tmp_path) == ("grpo" in text)


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib: make test-all installs it")
def test_training_report_without_first_metrics(tmp_path: Path) -> None:
    from longvideoagent.training.plots import write_training_report

    run_dir = RunDir(tmp_path)
    (tmp_path / "config.json").write_text('{"version": 3, "algorithm": "grpo", "limits": {"max_prompt_tokens": 9}}')
    assert "no step has finished yet" in lva("report", tmp_path).stderr
    run_dir.append("metrics.jsonl", {"step": 1, "epoch": 0.1})
    run_dir.append("metrics.jsonl", {"step": 2, "accuracy": 0.5, "reward": 1.0})
    evaluations: list[dict[str, Any]] = [
        {"step": 0, "questions": 0, "failed": 4, "prompt_too_long": 3, "by_kind": {}},
        {"step": 2, "questions": 4, "accuracy": 0.25, "rounds": 2.0, "looks": 1.0, "relocations": 0.0, "failed": 0},
    ]
    for evaluation in evaluations:
        run_dir.append("eval.jsonl", evaluation)
    page = write_training_report(tmp_path).read_text()
    assert "<td>0</td><td></td><td>0</td><td></td><td></td><td></td><td>4</td><td>3</td>" in page
    assert "<td>2</td><td>25.0 %</td><td>4</td><td>2.00</td>" in page
    assert "limits max_prompt_tokens 9" in page
    assert "Rollouts" not in page


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib: make test-all installs it")
def test_training_report_version_1(tmp_path: Path) -> None:
    from longvideoagent.training.plots import write_training_report

    (tmp_path / "config.json").write_text(json.dumps(VERSION_1))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "accuracy": 0.5, "did_not_fit": 1}\n')
    line = {"step": 1, "n": 4, "accuracy": 0.25, "rounds": 2, "looks": 1, "relocations": 0, "failed": 0}
    (tmp_path / "held_out.jsonl").write_text(json.dumps(line | {"did_not_fit": 7}) + "\n")
    page = write_training_report(tmp_path).read_text()
    assert "<td>1</td><td>25.0 %</td><td>4</td>" in page
    assert "<td>7</td>" in page
    assert "max_steps 40" in page
