"""Data sets of synthetic episodes: layout, config, and no shortcut to the answer."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.longtvqa.subset import write_subset
from longvideoagent.datasets.synthetic.episode import MOMENT_KINDS, write_questions
from longvideoagent.datasets.synthetic.generate import (
    SyntheticConfig,
    balance_answers,
    extract_frames,
    generate_dataset,
    scene_timeline,
)
from longvideoagent.datasets.synthetic.scenario import generate_scenes
from longvideoagent.errors import UsageError


def test_synthetic_dataset_layout(synthetic_dataset: Path) -> None:
    val, train = read_longtvqa(synthetic_dataset, "val"), read_longtvqa(synthetic_dataset, "train")
    for data in (val, train):
        assert data.check().problems == ()
        assert {sample.kind for sample in data.samples} == set(MOMENT_KINDS)
    assert (len(train.samples), len(val.samples)) == (24, 12)
    assert not set(train.videos) & set(val.videos)
    sample = next(sample for sample in val.samples if sample.kind == "pixels")
    episode = val.open_video(sample.video)
    (box,) = val.boxes(sample) or ()
    assert episode.reader.frames([box.time_s])[0].is_readable()
    clip = episode.timeline.find_clip(sample.gold.clip or "")
    assert clip is not None
    assert clip.start_s <= (sample.gold.start_s or 0) < (sample.gold.end_s or 0) <= clip.end_s


def test_question_number_independent_of_clip(synthetic_dataset: Path) -> None:
    clips: dict[str, list[str]] = defaultdict(list)
    for split in ("train", "val"):
        for sample in read_longtvqa(synthetic_dataset, split).samples:
            clips[sample.video].append((sample.gold.clip or "").rpartition("_")[2])
    assert len({tuple(numbers) for numbers in clips.values()}) == len(clips) == 3


def test_synthetic_dataset_kept(synthetic_dataset: Path) -> None:
    video = synthetic_dataset / "videos" / "s01e01.mp4"
    before = video.stat().st_mtime_ns
    contents = {path.name: path.read_bytes() for path in synthetic_dataset.glob("*.json")}
    generate_dataset(synthetic_dataset, SyntheticConfig(3, 5, 4))
    assert video.stat().st_mtime_ns == before
    assert {path.name: path.read_bytes() for path in synthetic_dataset.glob("*.json")} == contents


def test_synthetic_dataset_of_earlier_version_kept(synthetic_dataset: Path, tmp_path: Path) -> None:
    """The config file, two of its fields and the scenes of an episode had other names."""
    folder = tmp_path / "old"
    shutil.copytree(synthetic_dataset, folder)
    fields = json.loads((folder / "synthetic.json").read_text())
    fields["per_kind"], fields["val_share"] = fields.pop("questions_per_kind"), fields.pop("val_fraction")
    (folder / "made.json").write_text(json.dumps(fields))
    (folder / "synthetic.json").unlink()
    metadata = folder / "videos" / "s01e01.json"
    metadata.write_text(json.dumps({"script": json.loads(metadata.read_text())["scenes"]}))
    before = (folder / "videos" / "s01e01.mp4").stat().st_mtime_ns
    with pytest.raises(UsageError, match="holds another data set"):
        generate_dataset(folder, SyntheticConfig(3, 5, 5))
    generate_dataset(folder, SyntheticConfig(3, 5, 4))
    assert (folder / "videos" / "s01e01.mp4").stat().st_mtime_ns == before


@pytest.mark.slow
def test_extract_frames(synthetic_dataset: Path, tmp_path: Path) -> None:
    generate_dataset(tmp_path, SyntheticConfig(1, 5, 4))
    assert extract_frames(tmp_path) == 5
    assert extract_frames(tmp_path) == 0
    data = read_longtvqa(tmp_path, "train")
    assert data.check().problems == ()
    folders, video = (
        data.open_video("s01e01").reader,
        read_longtvqa(synthetic_dataset, "train").open_video("s01e01").reader,
    )
    from_frames, from_video = (video.frames([75.0])[0].rgb().astype(float) for video in (folders, video))
    assert abs(from_frames - from_video).mean() < 6


@pytest.mark.parametrize(("episodes", "minutes"), [(0, 10), (1, 4), (1, 26), (1001, 10)])
def test_config_out_of_range(episodes: int, minutes: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give 1 to 1000"):
        generate_dataset(tmp_path, SyntheticConfig(episodes, minutes))


def test_folder_of_another_dataset(synthetic_dataset: Path) -> None:
    with pytest.raises(UsageError, match="holds another data set"):
        generate_dataset(synthetic_dataset, SyntheticConfig(3, 5, 5))


@pytest.mark.slow
def test_config_kinds_and_counts(tmp_path: Path) -> None:
    counts = generate_dataset(
        tmp_path, SyntheticConfig(2, 5, 4, kinds=("pixels",), questions_per_kind=5, val_fraction=0.5)
    )
    assert counts == {"episodes": 2, "train questions": 5, "val questions": 5}
    data = read_longtvqa(tmp_path, "val")
    assert {sample.kind for sample in data.samples} == {"pixels"}
    assert len({sample.gold.clip for sample in data.samples}) == 5
    for invalid in ({"kinds": ("sounds",)}, {"questions_per_kind": 6}, {"val_fraction": 1.0}):
        with pytest.raises(UsageError):
            SyntheticConfig(2, 5, **invalid)


@pytest.fixture(scope="module")
def many_samples() -> list[Sample]:
    samples = {}
    for seed in range(90):
        scenes = generate_scenes(seed, 20)
        samples[str(seed)] = list(write_questions(scenes, scene_timeline(f"s01e{seed:02}", scenes), seed, 3))
    return [sample for samples in balance_answers(samples, 0).values() for sample in samples]


def accuracy(samples: list[Sample], choices: list[int]) -> float:
    correct = [choice == sample.gold.option_index for choice, sample in zip(choices, samples, strict=True)]
    return sum(correct) / len(correct)


def test_answer_independent_of_index_and_length(many_samples: list[Sample]) -> None:
    samples = many_samples[:500]
    indices = Counter(sample.gold.option_index for sample in samples)
    assert max(indices.values()) - min(indices.values()) <= 1
    lengths = [[len(option) for option in sample.question.options] for sample in samples]
    assert abs(accuracy(samples, [each.index(max(each)) for each in lengths]) - 0.2) < 0.03
    assert abs(accuracy(samples, [each.index(min(each)) for each in lengths]) - 0.2) < 0.03


def test_answer_independent_of_question_words(many_samples: list[Sample]) -> None:
    """Which options went with which words in other episodes is of no use."""
    train, samples = many_samples[:-500], many_samples[-500:]
    scores_of: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in train:
        for index, option in enumerate(sample.question.options):
            for word in set(sample.question.text.split()):
                scores_of[word][option] += 4 if index == sample.gold.option_index else -1
    choices = []
    for sample in samples:
        words = set(sample.question.text.split())
        scores = [sum(scores_of[word][option] for word in words) for option in sample.question.options]
        choices.append(scores.index(max(scores)))
    assert abs(accuracy(samples, choices) - 0.2) < 0.03


def test_synthetic_dataset_name(synthetic_dataset: Path, tmp_path: Path) -> None:
    """A generated set does not call itself by the name of the set whose layout it has, and neither do its subsets."""
    data = read_longtvqa(synthetic_dataset, "train")
    assert data.name == "synthetic"
    write_subset(data, data.samples[:2], tmp_path / "part")
    assert read_longtvqa(tmp_path / "part", "train").name == "synthetic"
    with pytest.raises(UsageError, match="holds another data set"):
        generate_dataset(tmp_path / "part", SyntheticConfig(2))
