"""A training run from files to a model: resumed bit for bit, watched, refused where it cannot be."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.datasets.export import ExportConfig, export_dataset
from longvideoagent.datasets.first_clips import ground_dataset
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, ModelError, UsageError
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.progress import no_progress
from longvideoagent.training.config import TrainConfig, read_config
from longvideoagent.training.rows import read_training_samples
from longvideoagent.training.run_dir import TrainingFolder
from tests.fakes.release import CLIPS, question, write_release
from tests.plugins.cli import LVA
from tests.plugins.training import write_config

ROOT = Path(__file__).resolve().parents[2]


def train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LVA, "train", *arguments], capture_output=True, text=True, check=False)


def test_rows_become_lessons(rows: Path) -> None:
    data = open_dataset(rows / "data", "train")
    lessons = read_training_samples(rows / "rows" / "train.parquet", data, RolloutSettings(3))
    assert len(lessons) == 4
    for lesson, sample in zip(lessons, data.samples, strict=True):
        right = sample.question.options[sample.gold.option_index or 0]
        assert lesson.task.question.options[lesson.gold_option] == right
        assert lesson.task.episode.timeline.find(lesson.task.first_clip or "") is not None


def test_rows_that_are_none_are_named(rows: Path, tmp_path: Path) -> None:
    data = open_dataset(rows / "data", "train")
    whole = pq.read_table(rows / "rows" / "train.parquet").to_pylist()
    faults: list[tuple[list[dict[str, Any]], str]] = [
        ([], "holds no row"),
        ([{"prompt": "x"}], "has no column extra_info"),
        ([whole[0] | {"reward_model": {"ground_truth": "a9"}}], "'a9' names none of 5 options"),
        ([whole[0] | {"extra_info": whole[0]["extra_info"] | {"clip": "gone"}}], "has no clip 'gone'"),
        ([whole[0] | {"extra_info": {"qid": "1"}}], "has no column extra_info.video"),
        ([whole[0] | {"extra_info": None}], "holds nothing in column extra_info"),
    ]
    for number, (broken, told) in enumerate(faults):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.Table.from_pylist(broken), path)
        with pytest.raises(DataError, match=told):
            read_training_samples(path, data, RolloutSettings())
    with pytest.raises(DataError, match="no such file"):
        read_training_samples(tmp_path / "none.parquet", data, RolloutSettings())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("steps = 0", "steps: "),
        ("steps = true", "steps: "),
        ('look_tag = "foo"', "look_tag: "),
        ("[limits]\nreply = 48", "limits.least_reply: 64 is more than limits.reply 48"),
        ("[limits]\nresponse = 48\nreply = 200", "limits.least_reply: 64 is more than limits.response 48"),
        ("colour = 1", "colour: no such field"),
        ('reward = "gold"', "no preset 'gold'"),
        ("reward = {rihgt = 1}", "no such weight"),
        ("steps = ", "no TOML"),
        ("[trl]\nmax_steps = 9", "trl: max_steps is what the field steps decides"),
        ("[trl]\nbeta = 0.0\ntemperature = 0.5", "trl: temperature is what the field temperature decides"),
    ],
)
def test_a_configuration_that_cannot_be_is_told_by_its_field(line: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'model = "m"\ndata = "d"\nrows = "r"\nout = "o"\n{line}\n')
    with pytest.raises(DataError, match=told):
        _ = read_config(path, TrainConfig).weights


def test_the_latest_checkpoint_is_one_that_was_written_to_its_end(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    for name in ("checkpoint-2", "checkpoint-10", "checkpoint-11", "checkpoint-x"):
        (tmp_path / name).mkdir()
    assert folder.checkpoint is None
    for name, text in (("checkpoint-2", "{}"), ("checkpoint-10", "{}"), ("checkpoint-11", '{"half')):
        (tmp_path / name / "trainer_state.json").write_text(text)
    assert folder.checkpoint == tmp_path / "checkpoint-10"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_the_configurations_that_are_shipped_can_be_read(path: Path) -> None:
    config = read_config(path, TrainConfig)
    assert config.weights.right == 1.0
    assert config.settings.max_rounds >= 4
    if path.stem != "tiny-cpu":
        assert (config.batch, config.lora and config.lora.rank, config.learning_rate) == (16, 128, 5e-6)


# --- with TRL ------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_a_run_goes_on_bit_for_bit_where_it_was_stopped(rows: Path, taught_model: Path, tmp_path: Path) -> None:
    config = write_config(rows, tmp_path / "run", taught_model, group=6, temperature=1.1)
    done = train("grpo", config)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("lva: ")] == []
    out = tmp_path / "run"
    whole = (out / "model" / "model.safetensors").read_bytes()
    assert whole != (taught_model / "model.safetensors").read_bytes()
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [each["step"] for each in metrics] == [1, 2, 3, 4]
    assert any(each["grad_norm"] > 0 for each in metrics[2:])  # what is done again is no standing still
    assert "holds a finished run" in train("grpo", config).stderr
    shutil.rmtree(out / "model")
    (out / "checkpoint-4" / "trainer_state.json").unlink()  # a kill left it half-written
    (out / "checkpoint-4" / "model.safetensors").write_bytes(b"half")
    assert "a run of other settings (algorithm: grpo -> dapo)" in train("dapo", config).stderr
    assert train("grpo", config).returncode == 0
    assert (out / "model" / "model.safetensors").read_bytes() == whole
    assert [json.loads(line)["reward"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [
        each["reward"] for each in metrics
    ]


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_lessons_that_fill_no_step_are_refused_before_the_model_is_loaded(rows: Path, tmp_path: Path) -> None:
    from longvideoagent.training.rl import train as reinforce

    config = read_config(write_config(rows, tmp_path / "run", "no model", batch=5), TrainConfig)
    with pytest.raises(UsageError, match=r"train\.parquet: 4 questions, batch 5; lower batch"):
        reinforce(config, "grpo")


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_what_a_dry_run_says_yes_to_would_start(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_model: Path
) -> None:
    from typer.testing import CliRunner

    from longvideoagent.cli.main import app

    def refused(algorithm: str, path: Path) -> str:
        return str(CliRunner().invoke(app, ["train", algorithm, str(path), "--dry-run"]).exception)

    at, other = tmp_path / "run", tmp_path / "other"
    gone = write_config(rows, at, random_model)
    gone.write_text(gone.read_text().replace("train.parquet", "none.parquet"))
    assert "no such file" in refused("grpo", gone)
    other.mkdir()
    (other / "file").touch()
    assert "holds other files" in refused("grpo", write_config(rows, other, random_model))
    assert "lower batch" in refused("grpo", write_config(rows, at, random_model, batch=5))
    assert "cannot be shared" in refused("grpo", write_config(rows, at, random_model, at_once=3))
    monkeypatch.setattr("longvideoagent.training.rl.find_spec", lambda _name: None)
    assert "vLLM is not installed" in refused("grpo", write_config(rows, at, random_model, vllm_memory=0.3))
    (tmp_path / "sft.toml").write_text(f'model = "{random_model}"\nruns = ["{tmp_path}"]\nout = "{at}"\n')
    assert "is its folder a run" in refused("sft", tmp_path / "sft.toml")


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_a_model_that_is_half_there_is_told_by_what_it_lacks(random_model: Path, tmp_path: Path) -> None:
    from longvideoagent.training.loading import load_model

    for name, invalid_fields in (("cut", "model.safetensors"), ("mute", "tokenizer.json")):
        shutil.copytree(random_model, tmp_path / name)
        (tmp_path / name / invalid_fields).write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"cannot be loaded \(.*\); check its files") as raised:
        load_model(str(tmp_path / "cut"), is_adapted=False)
    assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="has no tokenizer that can be read"):
        load_model(str(tmp_path / "mute"), is_adapted=False)
    with pytest.raises(DataError, match="no such folder; check the path"):
        load_model("no/such/folder", is_adapted=False)


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_prompts_none_of_which_fits_are_refused(rows: Path, random_model: Path) -> None:
    from transformers import AutoTokenizer

    from longvideoagent.training.rl import check_prompts
    from longvideoagent.training.rollouts import MasterFormat
    from longvideoagent.training.tokens import Limits

    lessons = read_training_samples(
        rows / "rows" / "train.parquet", open_dataset(rows / "data", "train"), RolloutSettings(3)
    )
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    check_prompts(rows, lessons, MasterFormat(tokenizer))
    with pytest.raises(DataError, match=r"no prompt fits limits\.prompt, which is 100 tokens; raise it"):
        check_prompts(rows, lessons, MasterFormat(tokenizer, limits=Limits(prompt=100)))


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft of transformers
def test_a_forecast_counts_the_adapter_that_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import Qwen3Config

    from longvideoagent.training.cost import forecast

    Qwen3Config(vocab_size=200_000, hidden_size=512, intermediate_size=1024, num_hidden_layers=3,
                num_attention_heads=8, num_key_value_heads=4, head_dim=64).save_pretrained(tmp_path)  # fmt: skip
    plain = {"model": str(tmp_path), "data": "d", "rows": "r", "out": "o", "batch": 2, "group": 3}
    whole = forecast(TrainConfig.model_validate(plain), "dapo")
    weights = whole["weights"]
    assert (whole["trained weights"], whole["rollouts a step"]) == (weights, 6)
    assert whole["GB at least"] == math.ceil(weights * 16 / 1e9)
    with_kl = TrainConfig.model_validate(plain | {"trl": {"beta": 0.1}})
    assert forecast(with_kl, "dapo")["GB at least"] == math.ceil(weights * 20 / 1e9)
    low = TrainConfig.model_validate(plain | {"lora": {"rank": 4, "modules": ["q_proj"]}})
    on_cpu = forecast(low, "dapo")
    assert on_cpu["trained weights"] == 3 * 4 * (512 + 512)  # layers, rank, width and heads
    assert on_cpu["GB at least"] == 1
    huge = TrainConfig.model_validate(plain | {"lora": {"rank": 4096, "modules": ["q_proj"]}})
    on_cpu = forecast(huge, "dapo")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    on_gpu = forecast(huge, "dapo")
    trained = on_cpu["trained weights"]
    assert on_cpu["GB at least"] == math.ceil((trained * 16 + weights * 4) / 1e9)
    assert on_gpu["GB at least"] == math.ceil((trained * 16 + weights * 2) / 1e9)
    unknown = TrainConfig.model_validate(plain | {"lora": {"modules": ["nothing_like_it"]}})
    with pytest.raises(DataError, match="nothing_like_it"):
        forecast(unknown, "grpo")


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_an_adapter_is_no_model_to_train(random_model: Path, tmp_path: Path) -> None:
    from longvideoagent.training.cost import forecast
    from longvideoagent.training.loading import load_model

    told = {"base_model_name_or_path": str(random_model), "peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match="is an adapter; put it into its base with lva merge first"):
        load_model(str(tmp_path), is_adapted=True)
    plain = {"model": str(tmp_path), "data": "d", "rows": "r", "out": "o"}
    with pytest.raises(DataError, match="is an adapter"):
        forecast(TrainConfig.model_validate(plain), "grpo")


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_a_run_that_breaks_says_why_and_claims_no_checkpoint_that_it_has_not(tmp_path: Path) -> None:
    import torch

    from longvideoagent.training.callbacks import Watch, run_trainer

    def broken(error: Exception) -> Any:
        def fail(**_: Any) -> None:
            raise error

        return SimpleNamespace(remove_callback=id, add_callback=id, train=fail)

    folder = TrainingFolder(tmp_path)
    watch = Watch(folder, no_progress, lambda _step: {})
    for error in (torch.OutOfMemoryError("no memory"), FloatingPointError("no numbers")):
        with pytest.raises(ModelError, match=f"training stopped \\({error}\\); choose another out") as raised:
            run_trainer(broken(error), folder, watch)
        assert raised.value.__cause__ is error
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        run_trainer(broken(RuntimeError("a mistake of ours")), folder, watch)
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_text("{}")
    with pytest.raises(ModelError, match="the checkpoints are kept"):
        run_trainer(broken(FloatingPointError("no numbers")), folder, watch)


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib: make test-all installs it")
def test_a_run_is_drawn_whatever_its_first_step_lacked(tmp_path: Path) -> None:
    from longvideoagent.training.plots import write_training_report

    folder = TrainingFolder(tmp_path)
    (tmp_path / "config.json").write_text('{"algorithm": "grpo", "limits": {"prompt": 9}}')
    done = subprocess.run([LVA, "report", tmp_path], capture_output=True, text=True, check=False)
    assert "no step has been made yet" in done.stderr
    folder.add("metrics.jsonl", {"step": 1, "epoch": 0.1})
    folder.add("metrics.jsonl", {"step": 2, "accuracy": 0.5, "reward": 1.0})
    asked: list[dict[str, Any]] = [
        {"step": 0, "n": 0, "failed": 4, "did_not_fit": 3, "by_kind": {}},
        {"step": 2, "n": 4, "accuracy": 0.25, "rounds": 2.0, "looks": 1.0, "relocations": 0.0, "failed": 0},
    ]
    for told in asked:
        folder.add("held_out.jsonl", told)
    page = write_training_report(tmp_path).read_text()
    assert "<td>0</td><td></td><td>0</td><td></td><td></td><td></td><td>4</td><td>3</td>" in page
    assert "<td>2</td><td>25.0 %</td><td>4</td><td>2.00</td>" in page
    assert "limits prompt 9" in page
    assert "Rollouts" not in page


def test_the_command_is_a_module_as_torchrun_asks_for() -> None:
    command = [sys.executable, "-m", "longvideoagent", "train", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Train the master" in done.stdout


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_an_adapter_is_trained_where_one_is_asked_for(rows: Path, random_model: Path, tmp_path: Path) -> None:
    config = write_config(rows, tmp_path / "run", random_model, steps=1)
    with config.open("a") as file:
        file.write("\n[lora]\nrank = 2\nalpha = 4\n")
    told = train("dapo", config, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "rollouts a step" in told.stdout
    assert not (tmp_path / "run").exists()
    done = train("dapo", config)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "adapter_model.safetensors").exists()


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_weights_that_are_no_numbers_stop_a_run_and_leave_its_checkpoints(
    rows: Path, taught_model: Path, tmp_path: Path
) -> None:
    told = {"group": 6, "temperature": 1.1, "learning_rate": 1e30, "save_every": 1, "steps": 12}
    done = train("grpo", write_config(rows, tmp_path / "run", taught_model, **told))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "training stopped (" in done.stderr
    assert list((tmp_path / "run").glob("checkpoint-*"))
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_what_cannot_be_trained_is_refused_in_one_line(rows: Path, random_model: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(random_model, bare)
    (bare / "chat_template.jinja").unlink()
    whole = write_config(rows, tmp_path / "run", random_model).read_text()
    faults = [
        (whole.replace(str(random_model), str(tmp_path / "none")), "grpo", "no such folder"),
        (whole.replace(str(random_model), str(bare)), "grpo", "no chat template"),
        (whole.replace("train.parquet", "none.parquet"), "grpo", "none.parquet"),
        (whole, "ppo", "no such algorithm"),
        (whole + '\n[lora]\nmodules = ["nothing_like_it"]\n', "grpo", "nothing_like_it"),
        (whole.replace("batch = 1", "batch = 1\nat_once = 3"), "grpo", "2 rollouts a step cannot be shared"),
        (f'held_out = "{rows / "rows" / "train.parquet"}"\n' + whole, "grpo", "episode s01e01 is trained on as well"),
        (whole.replace(str(tmp_path / "run"), str(bare)), "grpo", "holds other files and no run"),
        (whole + "\n[trl]\nbeta = 0.0\nno_such_field = 1\n", "grpo", "trl.no_such_field: no field of TRL's"),
    ]
    for number, (text, algorithm, told) in enumerate(faults):
        config = tmp_path / f"{number}.toml"
        config.write_text(text)
        done = train(algorithm, config)
        assert done.returncode == 2, done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_held_out_questions_are_asked_and_change_nothing(tmp_path: Path, taught_model: Path) -> None:
    folder = tmp_path / "data"
    records = [question(number) for number in range(3)]
    records += [question(9, episode_name="s01e02", occur_clip=CLIPS[3], bbox=None)]
    data = open_dataset(write_release(folder, records, "train"), "train")
    cache = FirstClips(tmp_path / "clips.json", "offline")
    ground_dataset(data, load_team(), cache)
    export_dataset(data, cache, tmp_path / "rows", ExportConfig())
    whole = pq.read_table(tmp_path / "rows" / "train.parquet").num_rows
    models = []
    for name, more in (
        ("with", {"held_out": str(tmp_path / "rows" / "val.parquet"), "held_out_every": 2}),
        ("without", {}),
    ):
        config = write_config(tmp_path, tmp_path / name, taught_model, steps=3, group=6, temperature=1.1, **more)
        done = train("grpo", config)
        assert done.returncode == 0, done.stderr
        models.append((tmp_path / name / "model" / "model.safetensors").read_bytes())
    told = [json.loads(line) for line in (tmp_path / "with" / "held_out.jsonl").read_text().splitlines()]
    assert [each["step"] for each in told] == [0, 2, 3]
    assert {each["n"] for each in told} == {4 - whole}
    assert told[0]["by_kind"].keys() == {"what"}
    assert models[0] == models[1]
    (tmp_path / "with" / "report.html").unlink()
    done = subprocess.run([LVA, "report", tmp_path / "with"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "with" / "report.html").read_text()
    assert page.count("<article>") == 3
    assert "right, held out" in page
