"""Adapters merged into their base."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.cli import lva

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("peft"), reason="needs peft: make test-all installs it"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),  # peft of transformers, and of itself
]


def test_merge_logits_equal_base_and_adapter(random_model: Path, tmp_path: Path) -> None:
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

    weights_file = tmp_path / "weights.safetensors"
    weights_file.write_bytes((tmp_path / "adapter" / "adapter_model.safetensors").read_bytes())
    alone = lva("merge", weights_file, "--base", str(random_model), "--out", tmp_path / "other")
    assert (alone.returncode, "adapter_config.json: no such file" in alone.stderr) == (2, True)
    adapter_config = tmp_path / "adapter" / "adapter_config.json"
    done = lva(
        "merge",
        weights_file,
        "--base",
        str(random_model),
        "--out",
        tmp_path / "other",
        "--adapter-config",
        adapter_config,
    )
    assert done.returncode == 0, done.stderr
    other = AutoModelForCausalLM.from_pretrained(tmp_path / "other")
    assert torch.equal(other(input_ids=ids).logits, merged(input_ids=ids).logits)


def test_merge_other_base(random_model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

    wide = Qwen3ForCausalLM(Qwen3Config(vocab_size=300, hidden_size=48, intermediate_size=64, num_hidden_layers=1,
                                        num_attention_heads=2, num_key_value_heads=1, head_dim=16))  # fmt: skip
    get_peft_model(wide, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")
    done = lva("merge", tmp_path / "adapter", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "does not fit" in done.stderr
    assert not (tmp_path / "merged").exists()
    for layers in (1, 4):  # as wide as the base, which has two
        other = AutoConfig.from_pretrained(
            random_model, num_hidden_layers=layers, layer_types=["full_attention"] * layers
        )
        folder, out = tmp_path / f"of-{layers}", tmp_path / f"merged-{layers}"
        lora = LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        get_peft_model(Qwen3ForCausalLM(other), lora).save_pretrained(folder)
        done = lva("merge", folder, "--base", str(random_model), "--out", out)
        assert done.returncode == 2, done.stderr
        assert ("it has no base_model" if layers == 1 else "the base has no place for base_model") in done.stderr
        assert not out.exists()
    done = lva("merge", tmp_path / "of-4", "--base", tmp_path / "none", "--out", tmp_path / "merged")
    assert f"{tmp_path / 'none'}: no such folder" in done.stderr
    (tmp_path / "of-4" / "adapter_model.safetensors").write_bytes(b"no weights at all")
    done = lva("merge", tmp_path / "of-4", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    settings = json.loads((tmp_path / "of-1" / "adapter_config.json").read_text())
    (tmp_path / "of-1" / "adapter_config.json").write_text(json.dumps(settings | {"r": "two"}))
    done = lva("merge", tmp_path / "of-1", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    same_depth = get_peft_model(
        AutoModelForCausalLM.from_pretrained(random_model), LoraConfig(r=2, target_modules=["q_proj"])
    )
    same_depth.save_pretrained(tmp_path / "fits")
    text = (tmp_path / "fits" / "adapter_config.json").read_text().replace("q_proj", "nothing_like_it")
    (tmp_path / "fits" / "adapter_config.json").write_text(text)
    done = lva("merge", tmp_path / "fits", "--base", str(random_model), "--out", tmp_path / "merged")
    assert (done.returncode, "nothing_like_it" in done.stderr) == (2, True), done.stderr


def test_merge_is_atomic(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from longvideoagent.training.merge import merge_adapter

    base = AutoModelForCausalLM.from_pretrained(random_model)
    get_peft_model(base, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    (tmp_path / "runs" / "out").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "save_pretrained", fail)
        with pytest.raises(OSError, match="no space left"):
            merge_adapter(tmp_path / "adapter", tmp_path / "runs" / "out", str(random_model))
    assert list((tmp_path / "runs").rglob("*")) == [tmp_path / "runs" / "out"]
    merge_adapter(tmp_path / "adapter", tmp_path / "runs" / "out", str(random_model))
    assert (tmp_path / "runs" / "out" / "model.safetensors").exists()
