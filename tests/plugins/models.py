"""Tiny models of random or set weights, and the module that replaces vLLM."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FAKES = Path(__file__).resolve().parents[1] / "fakes"

needs_torch = [
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch: make test-all installs it"),
]


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny language model of random weights. Needs PyTorch."""
    return _tiny_model(tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny language model that looks first, and answers after an observation in the
    continuation style. Needs PyTorch."""
    looks = ("<|im_start|>assistant\n", "<think>hm</think><search>the wall</search>")
    answers = ("</information>\n\n", "so <answer>a1</answer> and more")
    return _tiny_model(tmp_path_factory.mktemp("trained"), *looks, *answers)


def _tiny_model(folder: Path, *completions: str) -> Path:
    return write_tiny_model(folder, "plain", *completions)


def write_tiny_model(folder: Path, family: str, *completions: str) -> Path:
    """Write a tiny model with the architecture and the chat template of a family; returns its folder. Needs PyTorch."""
    script = FAKES / "tiny_model.py"
    subprocess.run([sys.executable, script, "--family", family, folder / "model", "--", *completions], check=True)
    return folder / "model"


@pytest.fixture
def fake_vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module that replaces vLLM, which needs a GPU."""
    monkeypatch.syspath_prepend(str(FAKES))
    yield importlib.import_module("vllm")
    for name in [name for name in sys.modules if name.split(".")[0] == "vllm"]:
        del sys.modules[name]
