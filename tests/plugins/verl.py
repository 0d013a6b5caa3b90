"""What verl makes of our configuration and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def compose(name: str, *overrides: str) -> Any:
    """verl's configuration, as its command makes it of ours."""
    import hydra

    with hydra.initialize_config_dir(str(ROOT / "configs" / "verl"), version_base=None):
        return hydra.compose(name, ["hydra.searchpath=[pkg://verl.trainer.config]", *overrides])


def rows_of(config: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """The rows, as verl's data set reads them."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    data = RLHFDataset([config.data.train_files], tokenizer, config.data)
    return [data[number] for number in range(len(data))]
