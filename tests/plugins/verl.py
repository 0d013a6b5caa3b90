"""Helpers for tests of the verl plugin: verl's configuration and its rows."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.plugins.training import ROOT

needs_verl = [
    pytest.mark.filterwarnings("default"),  # verl and Ray warn about their own dependencies
    pytest.mark.verl,
    pytest.mark.skipif(not importlib.util.find_spec("verl"), reason="needs verl: make test-verl installs it"),
]


def compose(name: str, *overrides: str) -> Any:
    """verl's configuration, as its command composes it from ``configs/verl``."""
    import hydra

    with hydra.initialize_config_dir(str(ROOT / "configs" / "verl"), version_base=None):
        return hydra.compose(name, ["hydra.searchpath=[pkg://verl.trainer.config]", *overrides])


def read_rows(config: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """The training rows, as verl's data set reads them."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    data = RLHFDataset([config.data.train_files], tokenizer, config.data)
    return [data[index] for index in range(len(data))]
