"""Random subsets of a data set."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from longvideoagent.core.types import Question
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.longtvqa.subset import write_subset
from longvideoagent.datasets.sampling import (
    GroupBy,
    describe_shortage,
    draw_samples,
    read_ids,
    select_samples,
    write_ids,
)
from longvideoagent.datasets.synthetic.episode import MOMENT_KINDS
from longvideoagent.errors import DataError, UsageError
from tests.fakes.release import CLIPS, TEXTS, write_frames, write_release


def test_subset_reproducible(synthetic_dataset: Path, tmp_path: Path) -> None:
    data = read_longtvqa(synthetic_dataset, "train")
    drawn = draw_samples(data.samples, 2, 1, GroupBy.KIND)
    assert Counter(sample.kind for sample in drawn) == dict.fromkeys(MOMENT_KINDS, 2)
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


@pytest.mark.parametrize("has_times", [False, True])
def test_subset_texts_and_frames(has_times: bool, tmp_path: Path) -> None:
    folder = write_release(tmp_path / "d")
    if has_times:
        (folder / "clip_subtitles.json").write_text(json.dumps({clip: [[1.0, 2.0, "Mira: Hi."]] for clip in CLIPS}))
    write_frames(folder / "tvqa_frames" / "bbt_frames")
    (folder / "more_frames").mkdir()
    data = read_longtvqa(folder)
    write_subset(data, data.samples, tmp_path / "part")
    subset = read_longtvqa(tmp_path / "part")
    clips, expected = subset.timeline("s01e01").clips, data.timeline("s01e01").clips
    assert (clips, [clip.raw_text for clip in clips]) == (expected, [TEXTS[clip] for clip in CLIPS[:3]])
    assert subset.count_clips(["s01e01"]).without_frames == 0
    assert sorted(path.name for path in (tmp_path / "part").glob("*frames*")) == ["more_frames", "tvqa_frames"]


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


def made_samples(counts: dict[str, int]) -> list[Sample]:
    return [
        Sample(Question("?", (), f"{kind}{number}"), Gold(0), kind, f"v{number}")
        for kind, count in counts.items()
        for number in range(count)
    ]


def test_sample_same_on_every_machine() -> None:
    samples = made_samples({"what": 200, "who": 90, "why": 10})
    drawn = [sample.question.id for sample in draw_samples(samples, 5, 0)]
    assert drawn == ["what92", "what93", "what178", "who82", "why2"]
    assert {sample.question.id for sample in draw_samples(samples[::-1], 5, 0)} == set(drawn)
    assert set(drawn) < {sample.question.id for sample in draw_samples(samples, 50, 0)}


def test_sample_proportional() -> None:
    samples = made_samples({"what": 200, "who": 90, "why": 10})
    drawn = draw_samples(samples, 31, 3, GroupBy.KIND, proportional=True)
    assert Counter(sample.kind for sample in drawn) == {"what": 21, "who": 9, "why": 1}
    assert len(draw_samples(samples, 999, 3, GroupBy.KIND, proportional=True)) == 300
    assert draw_samples([], 5, 0, GroupBy.KIND, proportional=True) == []


def test_sample_shortage() -> None:
    samples = made_samples({"what": 4, "who": 2})
    assert describe_shortage(samples, 6, GroupBy.ALL) == describe_shortage(samples, 2, GroupBy.KIND) == ""
    assert describe_shortage(samples, 7, GroupBy.ALL) == "--count 7: there are only 6 questions; all of them are drawn"
    assert describe_shortage(samples[:1], 7, GroupBy.ALL) == "--count 7: there is only 1 question, which is drawn"
    assert describe_shortage(samples, 3, GroupBy.KIND).startswith("--count 3: 1 of 2 groups by kind have fewer")


def test_ids_written_and_read(tmp_path: Path) -> None:
    samples, path = made_samples({"what": 4}), tmp_path / "ids.txt"
    write_ids(path, samples[1:3], "2 of 4")
    assert path.read_text() == "# 2 of 4\nwhat1\nwhat2\n"
    path.write_text("what2\n\n# a comment\n what1 \n")
    assert select_samples(samples, path, "val") == samples[1:3]
    with pytest.raises(UsageError, match="exists already"):
        write_ids(path, samples, "")
    with pytest.raises(UsageError, match="cannot be written as a line"):
        write_ids(tmp_path / "other.txt", [Sample(Question("?", (), "a\nb"), Gold(0), "")], "")


def test_ids_many_with_last_repeated(tmp_path: Path) -> None:
    """In time that grows with the number of ids, and not with its square."""
    path = tmp_path / "ids.txt"
    path.write_text("\n".join([*map(str, range(300_000)), "299999"]))
    with pytest.raises(DataError, match="has the id '299999' 2 times"):
        read_ids(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no question id"),
        ("# only a comment\n", "has no question id"),
        ("what1\nwhat2\nwhat1\n", "has the id 'what1' 2 times; leave it once"),
        ("what1\nx1\nx2\nx3\nx4\n", "no usable question of split 'val' has the id x1, x2, x3 and 1 more"),
        (None, "cannot be read as question ids"),
    ],
)
def test_ids_invalid(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        select_samples(made_samples({"what": 4}), path, "val")
