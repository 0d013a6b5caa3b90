"""Training samples from exported rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longvideoagent.core.trace import RolloutSettings
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError
from longvideoagent.training.rows import read_training_samples


def test_rows_become_samples(exported: Path) -> None:
    data = open_dataset(exported / "data", "train")
    samples = read_training_samples(exported / "rows" / "train.parquet", data, RolloutSettings(3))
    assert len(samples) == 4
    for training_sample, source in zip(samples, data.samples, strict=True):
        correct = source.question.options[source.gold.option_index or 0]
        assert training_sample.task.question.options[training_sample.gold_option] == correct
        assert training_sample.task.video.timeline.find_clip(training_sample.task.first_clip or "") is not None


def test_rows_invalid(exported: Path, tmp_path: Path) -> None:
    data = open_dataset(exported / "data", "train")
    valid = pq.read_table(exported / "rows" / "train.parquet").to_pylist()
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([], "holds no row"),
        ([{"prompt": "x"}], "has no column extra_info"),
        ([valid[0] | {"reward_model": {"ground_truth": "a9"}}], "'a9' is not one of 5 options"),
        ([valid[0] | {"extra_info": valid[0]["extra_info"] | {"clip": "gone"}}], "has no clip 'gone'"),
        ([valid[0] | {"extra_info": {"qid": "1"}}], "has no column extra_info.video"),
        ([valid[0] | {"extra_info": None}], "has an empty column extra_info"),
    ]
    for number, (rows, message) in enumerate(cases):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        with pytest.raises(DataError, match=message):
            read_training_samples(path, data, RolloutSettings())
    with pytest.raises(DataError, match="no such file"):
        read_training_samples(tmp_path / "none.parquet", data, RolloutSettings())
