"""A small synthetic data set, and its first clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from longvideoagent.agents.build import load_team
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.first_clips import ground_dataset
from longvideoagent.datasets.longtvqa.read import LongTVQA, read_longtvqa
from longvideoagent.datasets.synthetic import render
from longvideoagent.datasets.synthetic.episode import SyntheticEpisode, generate_episode
from longvideoagent.datasets.synthetic.generate import SyntheticConfig, generate_dataset
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.media.video import Video
from tests.plugins.once import shared_folder


@contextmanager
def _few_frames() -> Iterator[None]:
    """Render one frame a second instead of five, which takes a third of the time; only the colours of moving boxes are
    then imprecise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "FRAMES_PER_S", 1)
        yield


@pytest.fixture(scope="session")
def synthetic_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of 3 episodes of 5 minutes with 12 questions each: 24 in split train, 12 in val."""
    with shared_folder(tmp_path_factory, "synthetic") as folder, _few_frames():
        generate_dataset(folder, SyntheticConfig(3, 5, 4))
    return folder


@pytest.fixture(scope="session")
def sample_episode(tmp_path_factory: pytest.TempPathFactory) -> SyntheticEpisode:
    """An episode of 6 minutes with two questions of each kind. Tests must not change it."""
    with shared_folder(tmp_path_factory, "sample") as folder, _few_frames():
        return generate_episode(folder, seed=3, minutes=6, questions_per_kind=2)


@pytest.fixture(scope="session")
def grounded(synthetic_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[LongTVQA, FirstClips]:
    """Its split train, and the first clip of each question. Tests must not change them."""
    data = read_longtvqa(synthetic_dataset, "train")
    first_clips = FirstClips(tmp_path_factory.mktemp("cache") / "cache.json")
    assert ground_dataset(data, load_team(), first_clips) == []
    return data, first_clips


class RecordingDataset:
    """A data set that records which videos were opened."""

    def __init__(self, data: Dataset) -> None:
        self.name, self.folder, self.samples, self.problems = data.name, data.folder, data.samples, data.problems
        self.opened: list[str] = []
        self._data = data

        self.has_boxes, self.boxes, self.check = data.has_boxes, data.boxes, data.check
        self.subtitle_files, self.count_clips = data.subtitle_files, data.count_clips

    def clip_labels(self, _video: str) -> None:
        return

    def open_video(self, video: str) -> Video:
        self.opened.append(video)
        return self._data.open_video(video)
