"""Runs of reinforcement learning from files to a model: resumed bit for bit, evaluated, refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from longvideoagent.cli.main import app
from longvideoagent.errors import ModelError, UsageError
from longvideoagent.progress import no_progress
from longvideoagent.training.config import RLConfig, read_config
from longvideoagent.training.run_dir import RunDir
from tests.fakes.public_rows import write_public_rows
from tests.fakes.release import CLIPS, question
from tests.plugins.cli import lva, lva_process
from tests.plugins.training import export_rows, write_rl_config
from tests.plugins.trl import needs_trl

pytestmark = needs_trl


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rl_resumes_bit_for_bit(exported: Path, trained_model: Path, tmp_path: Path) -> None:
    config = write_rl_config(exported, tmp_path / "run", trained_model, num_generations=6, temperature=1.1)
    done = lva_process("train", "grpo", config)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("lva: ")] == []
    out = tmp_path / "run"
    weights = (out / "model" / "model.safetensors").read_bytes()
    assert weights != (trained_model / "model.safetensors").read_bytes()
    metrics = read_jsonl(out / "metrics.jsonl")
    assert [line["step"] for line in metrics] == [1, 2, 3, 4]
    assert any(line["grad_norm"] > 0 for line in metrics[2:])  # the steps that are done again change the model
    assert "holds a finished run" in lva("train", "grpo", config).stderr
    shutil.rmtree(out / "model")
    (out / "checkpoint-4" / "trainer_state.json").unlink()  # a kill left it incomplete
    (out / "checkpoint-4" / "model.safetensors").write_bytes(b"half")
    assert 'a run with other settings (algorithm: "grpo" -> "dapo")' in lva("train", "dapo", config).stderr
    assert 'other settings (grounding: null -> "scripted:x"' in lva("train", "grpo", config, "-m", "scripted:x").stderr
    assert lva_process("train", "grpo", config).returncode == 0
    assert (out / "model" / "model.safetensors").read_bytes() == weights
    assert [line["reward"] for line in read_jsonl(out / "metrics.jsonl")] == [line["reward"] for line in metrics]


def test_rl_updates_per_batch_of_public_rows(exported: Path, random_model: Path, tmp_path: Path) -> None:
    """Two optimizer steps with one batch, by DAPO with replaced groups."""
    changes = {
        "rows": str(write_public_rows(tmp_path / "rows.parquet")), "reward": "public", "max_steps": 2,
        "temperature": 1.1, "updates_per_batch": 2, "max_generation_batches": 2, "overlong_buffer_tokens": 4096,
    }  # fmt: skip
    done = lva_process("train", "dapo", write_rl_config(exported, tmp_path / "run", random_model, **changes))
    assert done.returncode == 0, done.stderr
    metrics = read_jsonl(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in metrics] == [1, 2]
    assert {line["generation_batches"] for line in metrics} <= {1, 2}
    assert [line["step"] for line in read_jsonl(tmp_path / "run" / "rollouts.jsonl")] == [1]


def test_rl_too_few_questions(exported: Path, tmp_path: Path) -> None:
    from longvideoagent.training.rl import train_rl

    config = read_config(write_rl_config(exported, tmp_path / "run", "no model", questions_per_step=5), RLConfig)
    message = r"train\.parquet: 4 questions, questions_per_step 5; lower questions_per_step"
    with pytest.raises(UsageError, match=message):
        train_rl(config, "grpo")


def test_rl_dry_run_refuses_what_a_run_would(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_model: Path
) -> None:
    from longvideoagent.training.rl import train_rl

    def refusal(algorithm: str, path: Path) -> str:
        return str(CliRunner().invoke(app, ["train", algorithm, str(path), "--dry-run"]).exception)

    out, other = tmp_path / "run", tmp_path / "other"
    config = write_rl_config(exported, out, random_model)
    config.write_text(config.read_text().replace("train.parquet", "none.parquet"))
    assert "no such file" in refusal("grpo", config)
    other.mkdir()
    (other / "file").touch()
    assert "holds other files" in refusal("grpo", write_rl_config(exported, other, random_model))
    config = write_rl_config(exported, out, random_model, questions_per_step=5)
    assert "lower questions_per_step" in refusal("grpo", config)
    config = write_rl_config(exported, out, random_model, per_device_batch_size=3)
    assert "cannot share" in refusal("grpo", config)
    monkeypatch.setattr("longvideoagent.training.rl.find_spec", lambda _name: None)
    config = write_rl_config(exported, out, random_model, vllm_gpu_memory_utilization=0.3)
    with pytest.raises(UsageError, match="vLLM is not installed"):
        train_rl(read_config(config, RLConfig), "grpo")
    result = CliRunner().invoke(app, ["train", "grpo", str(config), "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "vLLM is not installed" in result.output
    assert "rollouts per step" in result.output
    config.write_text(re.sub(r"(?m)^data = .*$", 'data = "none"', config.read_text()))
    assert "data: none is not a folder; paths begin at the working directory" in refusal("grpo", config)
    (tmp_path / "sft.toml").write_text(f'model = "{random_model}"\nruns = ["{tmp_path}"]\nout = "{out}"\n')
    assert "is its folder a run" in refusal("sft", tmp_path / "sft.toml")


def test_run_trainer_reports_cause_and_checkpoints(tmp_path: Path) -> None:
    import torch

    from longvideoagent.training.callbacks import MetricsCallback, run_trainer

    def failing_trainer(error: Exception) -> Any:
        def fail(**_: Any) -> None:
            raise error

        return SimpleNamespace(remove_callback=id, add_callback=id, train=fail)

    run_dir = RunDir(tmp_path)
    callback = MetricsCallback(run_dir, no_progress, lambda _step: {})
    for error in (torch.OutOfMemoryError("no memory"), FloatingPointError("NaN")):
        with pytest.raises(ModelError, match=f"training stopped \\({error}\\); choose another out") as raised:
            run_trainer(failing_trainer(error), run_dir, callback)
        assert raised.value.__cause__ is error
    with pytest.raises(RuntimeError, match="a bug of ours"):
        run_trainer(failing_trainer(RuntimeError("a bug of ours")), run_dir, callback)
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_text("{}")
    with pytest.raises(ModelError, match="the checkpoints are kept"):
        run_trainer(failing_trainer(FloatingPointError("NaN")), run_dir, callback)


def test_train_command_as_module() -> None:
    """As torchrun needs it."""
    command = [sys.executable, "-m", "longvideoagent", "train", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Train the master" in done.stdout


def test_rl_trains_adapter(exported: Path, random_model: Path, tmp_path: Path) -> None:
    config = write_rl_config(exported, tmp_path / "run", random_model, max_steps=1)
    with config.open("a") as file:
        file.write("\n[lora]\nrank = 2\nalpha = 4\n")
    dry_run = lva("train", "dapo", config, "--dry-run")
    assert dry_run.returncode == 0, dry_run.stderr
    assert "rollouts per step" in dry_run.stdout
    assert not (tmp_path / "run").exists()
    done = lva_process("train", "dapo", config)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "adapter_model.safetensors").exists()


def test_rl_loss_not_finite_keeps_checkpoints(exported: Path, trained_model: Path, tmp_path: Path) -> None:
    changes = {"num_generations": 6, "temperature": 1.1, "learning_rate": 1e30, "save_steps": 1, "max_steps": 12}
    done = lva_process("train", "grpo", write_rl_config(exported, tmp_path / "run", trained_model, **changes))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "training stopped (" in done.stderr
    assert list((tmp_path / "run").glob("checkpoint-*"))
    assert not (tmp_path / "run" / "model").exists()


def test_rl_refusals_in_one_line(exported: Path, random_model: Path, tmp_path: Path) -> None:
    no_template = tmp_path / "no-template"
    shutil.copytree(random_model, no_template)
    (no_template / "chat_template.jinja").unlink()
    valid = write_rl_config(exported, tmp_path / "run", random_model).read_text()
    eval_rows = f'eval_rows = "{exported / "rows" / "train.parquet"}"\n'
    per_device = valid.replace("questions_per_step = 1", "questions_per_step = 1\nper_device_batch_size = 3")
    cases = [
        (valid.replace(str(random_model), str(tmp_path / "none")), "grpo", "no such folder"),
        (valid.replace(str(random_model), str(no_template)), "grpo", "no chat template"),
        (valid.replace("train.parquet", "none.parquet"), "grpo", "none.parquet"),
        (valid, "ppo", "no such algorithm"),
        (valid + '\n[lora]\ntarget_modules = ["nothing_like_it"]\n', "grpo", "nothing_like_it"),
        (per_device, "grpo", "cannot share 2 sequences per step evenly"),
        (eval_rows + valid, "grpo", "video s01e01 is in rows, too"),
        (valid.replace(str(tmp_path / "run"), str(no_template)), "grpo", "holds other files and no training run"),
        (valid + "\n[trl]\nbeta = 0.0\nno_such_field = 1\n", "grpo", "trl.no_such_field: no field of TRL's"),
    ]
    for number, (text, algorithm, message) in enumerate(cases):
        config = tmp_path / f"{number}.toml"
        config.write_text(text)
        done = lva("train", algorithm, config)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_rl_evaluation_does_not_change_training(tmp_path: Path, trained_model: Path) -> None:
    records = [question(number) for number in range(3)]
    records += [question(9, episode_name="s01e02", occur_clip=CLIPS[3], bbox=None)]
    export_rows(tmp_path, records)
    num_train = pq.read_table(tmp_path / "rows" / "train.parquet").num_rows
    weights = []
    for name, fields in (
        ("with", {"eval_rows": str(tmp_path / "rows" / "val.parquet"), "eval_steps": 2}),
        ("without", {}),
    ):
        changes = {"max_steps": 3, "num_generations": 6, "temperature": 1.1, **fields}
        done = lva_process("train", "grpo", write_rl_config(tmp_path, tmp_path / name, trained_model, **changes))
        assert done.returncode == 0, done.stderr
        weights.append((tmp_path / name / "model" / "model.safetensors").read_bytes())
    evaluations = read_jsonl(tmp_path / "with" / "eval.jsonl")
    assert [line["step"] for line in evaluations] == [0, 2, 3]
    assert {line["questions"] for line in evaluations} == {4 - num_train}
    assert evaluations[0]["by_kind"].keys() == {"what"}
    assert weights[0] == weights[1]
    (tmp_path / "with" / "report.html").unlink()
    done = lva("report", tmp_path / "with")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "with" / "report.html").read_text()
    assert page.count("<article>") == 3
    assert "accuracy, eval" in page
