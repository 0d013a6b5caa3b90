"""A master taught on what a good team did, and adapters merged into their base."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.core.context import Style
from longvideoagent.core.protocol import normalize_look_tag
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Question
from longvideoagent.errors import DataError
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video
from longvideoagent.models.scripted import ScriptedModel
from longvideoagent.run import answer
from longvideoagent.training.config import SftConfig, read_config
from longvideoagent.training.rollouts import MasterFormat
from longvideoagent.training.sft_data import read_good, sequences_of
from longvideoagent.training.tokens import Limits, PromptFormat
from tests.fakes.release import question, write_release
from tests.plugins.cli import LVA
from tests.plugins.timelines import make_timeline

TIMELINE = make_timeline(["Mira: the sign is red"], ["Otto: the rope is torn"])
PROMPT = "$question\n$options\n$located\n"
MOVE, END = (
    "<think>elsewhere</think><request_grounding>rope</request_grounding>",
    "<think>so</think><answer>a1</answer>",
)


def lva(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LVA, *arguments], capture_output=True, text=True, check=False)


def trace_of(*replies: str) -> Trace:
    from dataclasses import replace

    from longvideoagent.agents.master import ModelMaster

    team = replace(load_team(), master=ModelMaster(ScriptedModel(replies)))
    asked = Question("What is red?", ("the sign", "the rope"), "q")
    return answer(asked, Video(ClipFoldersReader(None, TIMELINE), TIMELINE, "", ()), team, RolloutSettings(3))


@pytest.mark.parametrize(
    ("said", "told"),
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
def test_a_look_is_spelt_as_the_prompt_teaches_it(said: str, told: str) -> None:
    assert normalize_look_tag(said, "search") == told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the offline team."""
    folder = tmp_path_factory.mktemp("run")
    data = write_release(folder / "data", [question(number) for number in range(4)], "val")
    done = lva("eval", data, "--agents", "grounding", "--run", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def choosing(*runs: Path, **told: Any) -> SftConfig:
    return SftConfig(model="m", out=Path("o"), runs=list(runs), **told)


def test_only_what_ends_right_is_read_unless_told_otherwise(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    questions = [json.loads(line) for line in (run / "questions.jsonl").read_text().splitlines()]
    gold = questions[0]["gold"]
    gold["option_index"] = (gold["option_index"] + 1) % 5  # its trajectory ends wrong, now
    (tmp_path / "run" / "questions.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in questions))
    one = tmp_path / "run"
    assert len(read_good(choosing(one))) == 3
    assert len(read_good(choosing(one, reward={"right": 1.0, "look_cost": 0.5, "relocation_cost": 0.5}))) == 3
    assert len(read_good(choosing(one, run, only_right=False))) == 8
    many = {"action": 1.0, "right": 1.0}  # a wrong answer earns as much as the least that is asked for
    assert len(read_good(choosing(one, least_reward=1.0, reward=many))) == 3
    assert len(read_good(choosing(one, least_reward=1.0, reward=many, only_right=False))) == 4
    with pytest.raises(DataError, match=r"no trajectory ends right and earns 9\.0; lower least_reward"):
        read_good(choosing(one, least_reward=9.0))
    with pytest.raises(DataError, match="is its folder a run"):
        read_good(choosing(tmp_path))


@pytest.mark.torch
@pytest.mark.skipif(
    not importlib.util.find_spec("transformers"), reason="needs transformers: make test-all installs it"
)
@pytest.mark.parametrize("style", list(Style))
def test_what_is_learnt_is_what_was_said_in_the_context_it_was_said_in(style: Style, random_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_model)
    limits = Limits(prompt=900, response=900, reply=200, least_reply=8)
    sequences = sequences_of(trace_of(MOVE, END), MasterFormat(tokenizer, PromptFormat(style, PROMPT), limits))
    assert len(sequences) == (2 if style is Style.ACCUMULATED else 1)
    said = "".join(
        tokenizer.decode([number for number, mask in zip(each.ids, each.mask, strict=True) if mask])
        for each in sequences
    )
    end = tokenizer.eos_token
    assert said == (f"{MOVE}{END}{end}" if style is Style.CONTINUATION else f"{MOVE}{end}{END}{end}")
    assert "the sign is red" in sequences[0].text
    assert "the rope is torn" in sequences[-1].text
    on_throttled = Limits(prompt=900, response=40, reply=30, least_reply=8)
    assert sequences_of(trace_of(MOVE, END), MasterFormat(tokenizer, PromptFormat(style, PROMPT), on_throttled)) == []


def write_config(path: Path, **told: Any) -> Path:
    tables = {name: told.pop(name) for name in list(told) if isinstance(told[name], dict)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it")
def test_a_master_learns_what_it_is_taught_and_goes_on_where_it_was_stopped(
    run: Path, random_model: Path, tmp_path: Path
) -> None:
    told = {
        "model": str(random_model), "runs": [str(run)], "out": str(tmp_path / "taught"), "steps": 30, "batch": 2,
        "learning_rate": 0.01, "save_every": 10, "only_right": False,
        "limits": {"prompt": 6000, "response": 2000, "reply": 1500},
    }  # fmt: skip
    config = write_config(tmp_path / "c.toml", **told)
    assert "rollouts a step" in lva("train", "sft", config, "--dry-run").stdout
    done = lva("train", "sft", config)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "taught"
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 30
    assert losses[-1] < losses[0] * 0.7
    whole = (out / "model" / "model.safetensors").read_bytes()
    subprocess.run(["rm", "-r", out / "model", out / "checkpoint-30"], check=True)
    assert lva("train", "sft", config).returncode == 0
    assert (out / "model" / "model.safetensors").read_bytes() == whole


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("peft"), reason="needs peft: make test-all installs it")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # peft of transformers, and of itself
def test_a_merged_model_says_what_base_and_adapter_say(random_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(random_model)
    adapted = get_peft_model(base, LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    ids = torch.tensor([[5, 6, 7, 8]])
    expected = adapted(input_ids=ids).logits
    done = lva("merge", tmp_path / "adapter", "--base", str(random_model), "--out", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert not isinstance(merged, PeftModel)
    assert torch.allclose(merged(input_ids=ids).logits, expected, atol=1e-4)
    assert "is not empty" in lva("merge", tmp_path / "adapter", "--out", tmp_path / "merged").stderr

    lone = tmp_path / "lone.safetensors"
    lone.write_bytes((tmp_path / "adapter" / "adapter_model.safetensors").read_bytes())
    alone = lva("merge", lone, "--base", str(random_model), "--out", tmp_path / "other")
    assert (alone.returncode, "adapter_config.json: no such file" in alone.stderr) == (2, True)
    settings = tmp_path / "adapter" / "adapter_config.json"
    done = lva("merge", lone, "--base", str(random_model), "--out", tmp_path / "other", "--config", settings)
    assert done.returncode == 0, done.stderr
    other = AutoModelForCausalLM.from_pretrained(tmp_path / "other")
    assert torch.equal(other(input_ids=ids).logits, merged(input_ids=ids).logits)


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("peft"), reason="needs peft: make test-all installs it")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # peft of transformers, and of itself
def test_an_adapter_of_another_base_is_refused(random_model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

    wide = Qwen3ForCausalLM(Qwen3Config(vocab_size=300, hidden_size=48, intermediate_size=64, num_hidden_layers=1,
                                        num_attention_heads=2, num_key_value_heads=1, head_dim=16))  # fmt: skip
    get_peft_model(wide, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")
    done = lva("merge", tmp_path / "adapter", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "does not go with" in done.stderr
    assert not (tmp_path / "merged").exists()
    for layers in (1, 4):  # as wide as the base, which has two
        other = AutoConfig.from_pretrained(
            random_model, num_hidden_layers=layers, layer_types=["full_attention"] * layers
        )
        folder, out = tmp_path / f"of-{layers}", tmp_path / f"merged-{layers}"
        low = LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        get_peft_model(Qwen3ForCausalLM(other), low).save_pretrained(folder)
        done = lva("merge", folder, "--base", str(random_model), "--out", out)
        assert done.returncode == 2, done.stderr
        assert ("it has no base_model" if layers == 1 else "the base has no place for base_model") in done.stderr
        assert not out.exists()
    done = lva("merge", tmp_path / "of-4", "--base", tmp_path / "none", "--out", tmp_path / "merged")
    assert f"{tmp_path / 'none'}: no such folder" in done.stderr
    (tmp_path / "of-4" / "adapter_model.safetensors").write_bytes(b"no weights at all")
    done = lva("merge", tmp_path / "of-4", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    told = json.loads((tmp_path / "of-1" / "adapter_config.json").read_text())
    (tmp_path / "of-1" / "adapter_config.json").write_text(json.dumps(told | {"r": "two"}))
    done = lva("merge", tmp_path / "of-1", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    deeper = get_peft_model(
        AutoModelForCausalLM.from_pretrained(random_model), LoraConfig(r=2, target_modules=["q_proj"])
    )
    deeper.save_pretrained(tmp_path / "fits")
    text = (tmp_path / "fits" / "adapter_config.json").read_text().replace("q_proj", "nothing_like_it")
    (tmp_path / "fits" / "adapter_config.json").write_text(text)
    done = lva("merge", tmp_path / "fits", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "nothing_like_it" in done.stderr) == (2, True), done.stderr


@pytest.mark.torch
@pytest.mark.skipif(not importlib.util.find_spec("peft"), reason="needs peft: make test-all installs it")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # peft of transformers, and of itself
def test_a_merge_leaves_no_half_a_model(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from longvideoagent.training.merge import merge

    base = AutoModelForCausalLM.from_pretrained(random_model)
    get_peft_model(base, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    (tmp_path / "outs" / "out").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "save_pretrained", fail)
        with pytest.raises(OSError, match="no space left"):
            merge(tmp_path / "adapter", tmp_path / "outs" / "out", str(random_model))
    assert list((tmp_path / "outs").rglob("*")) == [tmp_path / "outs" / "out"]
    merge(tmp_path / "adapter", tmp_path / "outs" / "out", str(random_model))
    assert (tmp_path / "outs" / "out" / "model.safetensors").exists()


def test_muon_and_an_adapter_do_not_go_together(tmp_path: Path) -> None:
    told = {"model": "m", "runs": ["r"], "out": "o", "optimizer": "muon"}
    assert read_config(write_config(tmp_path / "c.toml", **told), SftConfig).optimizer == "muon"
    path = write_config(tmp_path / "c.toml", **told, lora={"rank": 2})
    with pytest.raises(DataError, match="optimizer: muon trains no adapter, so leave"):
        read_config(path, SftConfig)
