"""Rows to train on, and the configuration of a run over them."""

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


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, and beside it the rows made of it."""
    folder = tmp_path_factory.mktemp("rows")
    data = open_dataset(write_release(folder / "data", [question(number) for number in range(4)], "train"), "train")
    cache = FirstClips(folder / "clips.json", "offline")
    ground_dataset(data, load_team(), cache)
    export_dataset(data, cache, folder / "rows", ExportConfig())
    return folder


def write_config(rows: Path, out: Path, model: Path | str, **changed: Any) -> Path:
    told = {
        "model": str(model), "data": str(rows / "data"), "rows": str(rows / "rows" / "train.parquet"), "out": str(out),
        "steps": 4, "batch": 1, "group": 2, "save_every": 2, "max_rounds": 2, "learning_rate": 0.001,
    } | changed  # fmt: skip
    path = out.with_suffix(".toml")
    tables = {"limits": {"prompt": 6000, "response": 900, "reply": 64, "least_reply": 8}}
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    lines += [
        f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in table.items()) for name, table in tables.items()
    ]
    path.write_text("\n".join(lines))
    return path
