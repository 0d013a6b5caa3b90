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
from longvideoagent.training.config import RLConfig, read_config
from longvideoagent.training.rows import read_samples, read_training_samples
from tests.fakes.public_rows import public_row, write_public_rows
from tests.fakes.release import CLIPS
from tests.plugins.training import write_rl_config


def test_rows_become_samples(exported: Path) -> None:
    data = open_dataset(exported / "data", "train")
    samples = read_training_samples(exported / "rows" / "train.parquet", data, RolloutSettings(3))
    assert len(samples) == 4
    for training_sample, source in zip(samples, data.samples, strict=True):
        correct = source.question.options[source.gold.option_index or 0]
        assert training_sample.task.question.options[training_sample.gold_option] == correct
        assert training_sample.task.video.timeline.find_clip(training_sample.task.first_clip or "") is not None


def with_info(row: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return row | {"extra_info": row["extra_info"] | changed}


def test_rows_invalid(exported: Path, tmp_path: Path) -> None:
    data = open_dataset(exported / "data", "train")
    valid = pq.read_table(exported / "rows" / "train.parquet").to_pylist()
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([], "holds no row"),
        ([{"prompt": "x"}], "has no column extra_info"),
        ([valid[0] | {"reward_model": {"ground_truth": "a9"}}], "'a9' is not one of 5 options"),
        ([with_info(valid[0], clip="gone")], "has no clip 'gone'"),
        ([valid[0] | {"extra_info": {"qid": "1"}}], "has no column extra_info.video"),
        ([valid[0] | {"extra_info": None}], "has an empty column extra_info"),
        ([with_info(valid[0], options=None)], "record 1: extra_info.options: empty or not text; write the rows again"),
        ([with_info(valid[0], options="text")], "extra_info.options: empty or not text"),
        ([with_info(valid[0], options=["a", None])], "extra_info.options: empty or not text"),
        ([with_info(valid[0], question=None)], "extra_info.question: empty or not text"),
        ([with_info(valid[0], video=["s01e01"])], "extra_info.video: empty or not text"),
    ]
    for number, (rows, message) in enumerate(cases):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        with pytest.raises(DataError, match=message):
            read_training_samples(path, data, RolloutSettings())
    with pytest.raises(DataError, match="no such file"):
        read_training_samples(tmp_path / "none.parquet", data, RolloutSettings())


def test_public_rows_become_samples(exported: Path, tmp_path: Path) -> None:
    rows = write_public_rows(tmp_path / "train.parquet")
    config = read_config(write_rl_config(exported, tmp_path / "run", "model", rows=str(rows)), RLConfig)
    samples = read_samples(config).train
    assert len({sample.task.question.id for sample in samples}) == 4
    for sample in samples:
        assert (sample.video_id, sample.task.first_clip) == ("s01e01", CLIPS[0])
        assert sample.task.question.options == ("A saw", "A kite", "A lantern", "A rope", "")
        assert sample.task.question.options[sample.gold_option] == "A lantern"
        assert sample.task.question.id.startswith(f"{CLIPS[1]}-")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (public_row(vid_name="../s01e01"), "extra_info.vid_name: '../s01e01' is not the name of a clip"),
        (public_row(video_id="s01e01"), "extra_info.video_id: 's01e01' is not the name of a clip"),
        (public_row(video_id=CLIPS[3]), f"extra_info.vid_name: {CLIPS[0]} is of another episode than video_id"),
        (public_row(vid_name="s01e01_seg09_clip_00", video_id=None), "extra_info.vid_name: its video has no clip"),
        (public_row(vid_name="s09e01_seg01_clip_00", video_id=None), "no episode 's09e01'"),
        (public_row(original_question=" "), "extra_info.original_question: not a text, or empty"),
        (public_row(original_question=["q"]), "extra_info.original_question: not a text, or empty"),
        (public_row() | {"reward_model": "a1"}, "'' is not one of its options"),
        (public_row(choices={"0": "x"}), 'extra_info.choices: not the five texts "0" to "4"'),
        (public_row() | {"reward_model": {"ground_truth": "a4"}}, "'a4' is not one of its options"),
        (public_row() | {"reward_model": None}, "'' is not one of its options"),
    ],
)
def test_public_rows_invalid(row: dict[str, Any], message: str, exported: Path, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=message):
        read_training_samples(tmp_path / "rows.parquet", open_dataset(exported / "data", "train"), RolloutSettings())
