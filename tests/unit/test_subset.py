"""Random subsets of a data set."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.longtvqa.subset import GroupBy, draw_samples, write_subset
from longvideoagent.datasets.synthetic.episode import KINDS
from longvideoagent.errors import UsageError


def test_subset_reproducible(synthetic_dataset: Path, tmp_path: Path) -> None:
    data = read_longtvqa(synthetic_dataset, "train")
    drawn = draw_samples(data.samples, 2, 1, GroupBy.KIND)
    assert Counter(sample.kind for sample in drawn) == dict.fromkeys(KINDS, 2)
    assert draw_samples(data.samples, 2, 1, GroupBy.KIND) == drawn
    assert draw_samples(data.samples, 2, 2, GroupBy.KIND) != drawn
    assert len(draw_samples(data.samples, 5, 0, GroupBy.VIDEO)) == 10
    assert len(draw_samples(data.samples, 999, 0)) == 24
    write_subset(data, drawn, tmp_path / "part")
    subset = read_longtvqa(tmp_path / "part", "train")
    assert [sample.question for sample in subset.samples] == [sample.question for sample in drawn]
    assert subset.timeline(drawn[0].video) == data.timeline(drawn[0].video)
    with pytest.raises(UsageError, match="already"):
        write_subset(data, drawn, tmp_path / "part")


def test_subsets_of_two_splits_in_one_folder(synthetic_dataset: Path, tmp_path: Path) -> None:
    splits = {split: read_longtvqa(synthetic_dataset, split) for split in ("train", "val")}
    for data in splits.values():
        write_subset(data, data.samples[:2], tmp_path / "part")
    for split, data in splits.items():
        subset, video = read_longtvqa(tmp_path / "part", split), data.samples[0].video
        assert subset.timeline(video) == data.timeline(video)
        assert subset.open_video(video).reader.duration_s == data.open_video(video).reader.duration_s
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "part", other, symlinks=True)
    (other / "LongTVQA_plus_val.json").unlink()
    texts = json.loads((other / "clip_subtitles.json").read_text())
    (other / "clip_subtitles.json").write_text(json.dumps({clip: [[0.0, 1.0, "Else."]] for clip in texts}))
    with pytest.raises(UsageError, match="of another set"):
        write_subset(splits["val"], splits["val"].samples, other)
    with pytest.raises(UsageError, match="no usable question"):
        write_subset(splits["val"], [], tmp_path / "none")
    assert not (tmp_path / "none").exists()
