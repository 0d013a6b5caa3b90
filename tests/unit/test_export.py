"""Rows for training: prompts, splits, options, and questions without a first clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.types import GroundingResult
from longvideoagent.datasets.export import ExportConfig, export_dataset, shuffle_options, split_by_video
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.errors import DataError, UsageError
from longvideoagent.index.first_clips import FirstClips
from tests.plugins.datasets import RecordingDataset

NONE_LEFT_OUT = {"left out, without an answer": 0, "left out, without a clip": 0}


def test_rows_have_the_prompt_of_the_rollout(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, cache = grounded
    config = ExportConfig(look_tag="search", seed=3, val_fraction=0.5)
    assert export_dataset(data, cache, tmp_path, config) == {"train": 12, "val": 12} | NONE_LEFT_OUT
    rows = [row for split in ("train", "val") for row in pq.read_table(tmp_path / f"{split}.parquet").to_pylist()]
    by_id = {sample.question.id: sample for sample in data.samples}
    for row in rows:
        sample = by_id[row["extra_info"]["qid"]]
        rollout = Rollout(shuffle_options(sample, 3).question, data.timeline(sample.video))
        rollout.receive(GroundingResult(cache.get(sample.question)))
        assert row["prompt"] == master_messages(rollout.trace, look_tag="search")
        right = int(row["reward_model"]["ground_truth"][1:])
        assert row["extra_info"]["options"][right] == sample.question.options[sample.gold.option_index or 0]
        assert row["agent_name"] == "longvideoagent"


@pytest.mark.parametrize("content", [b"not a table", None])
def test_export_keeps_val_of_others(
    content: bytes | None, grounded: tuple[LongTVQA, FirstClips], tmp_path: Path
) -> None:
    data, cache = grounded
    if content is None:
        pq.write_table(pa.table({"question": ["mine"]}), tmp_path / "val.parquet")
    else:
        (tmp_path / "val.parquet").write_bytes(content)
    before = (tmp_path / "val.parquet").read_bytes()
    with pytest.raises(UsageError, match=r"val\.parquet: was not written by lva data export; move it away"):
        export_dataset(data, cache, tmp_path, ExportConfig(val_fraction=0))
    assert (tmp_path / "val.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["val.parquet"]


def test_split_by_video(grounded: tuple[LongTVQA, FirstClips]) -> None:
    data, _ = grounded
    for seed in range(5):
        split = split_by_video(data.samples, 0.1, seed)
        assert split["val"]
        assert not {sample.video for sample in split["train"]} & {sample.video for sample in split["val"]}
    with pytest.raises(UsageError, match="val-fraction"):
        split_by_video(data.samples, 1.5, 0)


def test_export_without_val(
    grounded: tuple[LongTVQA, FirstClips], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All questions are for training; the file of an earlier export does not stay."""
    data, cache = grounded
    export_dataset(data, cache, tmp_path, ExportConfig())
    assert (tmp_path / "val.parquet").is_file()
    assert export_dataset(data, cache, tmp_path, ExportConfig(val_fraction=0)) == {"train": 24} | NONE_LEFT_OUT
    assert f"{tmp_path / 'val.parquet'}: of an earlier export, removed" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
    assert pq.read_table(tmp_path / "train.parquet").num_rows == 24
    with pytest.raises(UsageError, match=r"--val-fraction -0.1: out of range; give 0 or more"):
        split_by_video(data.samples, -0.1, 0)


def test_shuffle_options_reproducible(grounded: tuple[LongTVQA, FirstClips]) -> None:
    data, _ = grounded
    shuffled = [shuffle_options(sample, 1) for sample in data.samples]
    assert shuffled == [shuffle_options(sample, 1) for sample in data.samples]
    assert {sample.gold.option_index for sample in shuffled} == {0, 1, 2, 3, 4}
    assert shuffled != [shuffle_options(sample, 2) for sample in data.samples]


def test_export_without_first_clips(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="24 of 24 questions have no clip yet"):
        export_dataset(grounded[0], FirstClips(tmp_path / "none.json"), tmp_path / "out", ExportConfig())


def test_export_skip_missing(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, complete = grounded
    cache = FirstClips(tmp_path / "cache.json")
    for sample in data.samples[1:]:
        cache.put(sample.question, complete.get(sample.question))
    with pytest.raises(DataError, match=r"1 of 24 questions have no clip yet; .* --skip-missing"):
        export_dataset(data, cache, tmp_path / "out", ExportConfig())
    counts = export_dataset(data, cache, tmp_path / "out", ExportConfig(skip_missing=True))
    assert (counts["train"] + counts["val"], counts["left out, without a clip"]) == (23, 1)
    with pytest.raises(DataError, match="24 of 24 questions have no clip"):
        export_dataset(data, FirstClips(tmp_path / "none.json"), tmp_path / "other", ExportConfig(skip_missing=True))


def test_export_clip_is_gone(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, _ = grounded
    cache = FirstClips(tmp_path / "cache.json")
    for sample in data.samples:
        cache.put(sample.question, "s09e09_seg01_clip_00")
    with pytest.raises(
        DataError,
        match=r"24 of 24 questions have no clip yet; is it of another set or split\? run lva data ground again",
    ):
        export_dataset(data, cache, tmp_path / "out", ExportConfig())
    message = r"cache\.json: the video of question s01e0[12]-0 has no clip s09e09_seg01_clip_00; move"
    with pytest.raises(DataError, match=message):
        export_dataset(RecordingDataset(data), cache, tmp_path / "out", ExportConfig(val_fraction=0.5))
    assert not (tmp_path / "out").exists()


def test_export_empty_split_columns(grounded: tuple[LongTVQA, FirstClips], tmp_path: Path) -> None:
    data, cache = grounded
    one = replace(data, samples=[sample for sample in data.samples if sample.video == data.videos[0]])
    assert export_dataset(one, cache, tmp_path, ExportConfig())["val"] == 0
    train, val = (pq.read_table(tmp_path / f"{split}.parquet") for split in ("train", "val"))
    assert val.schema == train.schema
    assert (train.num_rows, val.num_rows) == (12, 0)
