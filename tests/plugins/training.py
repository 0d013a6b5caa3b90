"""Exported rows, and configurations of training runs over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.datasets.export import ExportConfig, export_dataset
from longvideoagent.datasets.first_clips import ground_dataset
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.index.first_clips import FirstClips
from tests.fakes.release import question, write_release

ROOT = Path(__file__).resolve().parents[2]


def export_rows(folder: Path, records: list[dict[str, Any]]) -> None:
    """Write a data set into ``folder/data`` and its rows into ``folder/rows``."""
    data = open_dataset(write_release(folder / "data", records, "train"), "train")
    cache = FirstClips(folder / "clips.json", "offline")
    ground_dataset(data, load_team(), cache)
    export_dataset(data, cache, folder / "rows", ExportConfig())


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set of four questions (``data``) and its rows (``rows/train.parquet``)."""
    folder = tmp_path_factory.mktemp("exported")
    export_rows(folder, [question(number) for number in range(4)])
    return folder


def write_toml(path: Path, fields: dict[str, Any]) -> Path:
    """Write fields, and tables for those that are dicts."""
    tables = {name: value for name, value in fields.items() if isinstance(value, dict)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items() if name not in tables]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_rl_config(exported: Path, out: Path, model: Path | str, **changes: Any) -> Path:
    """A small RL configuration next to the run folder ``out``."""
    fields = {
        "model": str(model), "data": str(exported / "data"), "rows": str(exported / "rows" / "train.parquet"),
        "out": str(out), "max_steps": 4, "questions_per_step": 1, "num_generations": 2, "save_steps": 2,
        "max_rounds": 2, "learning_rate": 0.001, **changes,
        "limits": {
            "max_prompt_tokens": 6000, "max_response_tokens": 900, "max_reply_tokens": 64, "min_reply_tokens": 8,
        },
    }  # fmt: skip
    return write_toml(out.with_suffix(".toml"), fields)
