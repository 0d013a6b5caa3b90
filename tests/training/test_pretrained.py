"""Models to train: loading, what they need, what is refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from longvideoagent.core.trace import RolloutSettings
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError
from longvideoagent.training.config import RLConfig
from longvideoagent.training.rollouts import MasterFormat
from longvideoagent.training.rows import read_training_samples
from longvideoagent.training.tokens import TokenLimits
from tests.plugins.trl import needs_trl

pytestmark = needs_trl


def test_load_model_incomplete_folder(random_model: Path, tmp_path: Path) -> None:
    from longvideoagent.training.pretrained import load_model

    for name, file in (("half", "model.safetensors"), ("mute", "tokenizer.json")):
        shutil.copytree(random_model, tmp_path / name)
        (tmp_path / name / file).write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"cannot be loaded \(.*\); check its files") as raised:
        load_model(str(tmp_path / "half"), is_adapted=False)
    assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="its tokenizer cannot be read"):
        load_model(str(tmp_path / "mute"), is_adapted=False)
    with pytest.raises(DataError, match="no such folder; check the path"):
        load_model("no/such/folder", is_adapted=False)


def test_load_model_refuses_adapter(random_model: Path, tmp_path: Path) -> None:
    from longvideoagent.training.cost import forecast
    from longvideoagent.training.pretrained import load_model

    settings = {"base_model_name_or_path": str(random_model), "peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(DataError, match="is an adapter; merge it into its base with lva merge first"):
        load_model(str(tmp_path), is_adapted=True)
    fields = {"model": str(tmp_path), "data": "d", "rows": "r", "out": "o"}
    with pytest.raises(DataError, match="is an adapter"):
        forecast(RLConfig.model_validate(fields), "grpo")


def test_check_prompts_none_fits(exported: Path, random_model: Path) -> None:
    from transformers import AutoTokenizer

    from longvideoagent.training.rl import check_prompts

    rows = exported / "rows" / "train.parquet"
    samples = read_training_samples(rows, open_dataset(exported / "data", "train"), RolloutSettings(3))
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    check_prompts(rows, samples, MasterFormat(tokenizer))
    with pytest.raises(DataError, match=r"no prompt fits limits\.max_prompt_tokens \(100\); raise it"):
        check_prompts(rows, samples, MasterFormat(tokenizer, limits=TokenLimits(max_prompt_tokens=100)))


def test_forecast_counts_adapter_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import Qwen3Config

    from longvideoagent.training.cost import forecast

    Qwen3Config(vocab_size=200_000, hidden_size=512, intermediate_size=1024, num_hidden_layers=3,
                num_attention_heads=8, num_key_value_heads=4, head_dim=64).save_pretrained(tmp_path)  # fmt: skip
    fields = {
        "model": str(tmp_path), "data": "d", "rows": "r", "out": "o", "questions_per_step": 2, "num_generations": 3,
    }  # fmt: skip
    full = forecast(RLConfig.model_validate(fields), "dapo")
    weights = full["weights"]
    assert (full["trained weights"], full["rollouts per step"]) == (weights, 6)
    assert full["min GB"] == math.ceil(weights * 16 / 1e9)
    with_kl = RLConfig.model_validate(fields | {"trl": {"beta": 0.1}})
    assert forecast(with_kl, "dapo")["min GB"] == math.ceil(weights * 20 / 1e9)
    low_rank = RLConfig.model_validate(fields | {"lora": {"rank": 4, "target_modules": ["q_proj"]}})
    on_cpu = forecast(low_rank, "dapo")
    assert on_cpu["trained weights"] == 3 * 4 * (512 + 512)  # layers, rank, width and heads
    assert on_cpu["min GB"] == 1
    high_rank = RLConfig.model_validate(fields | {"lora": {"rank": 4096, "target_modules": ["q_proj"]}})
    on_cpu = forecast(high_rank, "dapo")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    on_gpu = forecast(high_rank, "dapo")
    trained = on_cpu["trained weights"]
    assert on_cpu["min GB"] == math.ceil((trained * 16 + weights * 4) / 1e9)
    assert on_gpu["min GB"] == math.ceil((trained * 16 + weights * 2) / 1e9)
    unknown = RLConfig.model_validate(fields | {"lora": {"target_modules": ["nothing_like_it"]}})
    with pytest.raises(DataError, match="nothing_like_it"):
        forecast(unknown, "grpo")
