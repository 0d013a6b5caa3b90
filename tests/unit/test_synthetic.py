"""Synthetic episodes: scenes, video, questions and their gold answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from longvideoagent import RolloutSettings, answer, load_team, open_video, score
from longvideoagent.core.trace import Agents
from longvideoagent.datasets.synthetic.episode import MOMENT_KINDS, SyntheticEpisode, generate_episode
from longvideoagent.datasets.synthetic.scenario import COLOUR_RGB, generate_scenes
from longvideoagent.media.cv import colour_fractions
from longvideoagent.media.readers.base import open_reader

MINUTES = 6


@pytest.fixture
def episode(sample_episode: SyntheticEpisode) -> SyntheticEpisode:
    return sample_episode


def test_scenes_reproducible() -> None:
    assert generate_scenes(5, 20) == generate_scenes(5, 20)
    assert generate_scenes(5, 20) != generate_scenes(6, 20)


@pytest.mark.parametrize("count", [0, 26])
def test_scenes_count_invalid(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 25"):
        generate_scenes(1, count)


def test_episode_video_and_subtitles(episode: SyntheticEpisode) -> None:
    video = open_video(episode.video)
    assert video.timeline.duration_s == pytest.approx(60 * MINUTES, abs=0.3)
    assert video.text_source == "sample-3.srt"
    assert len(video.timeline.clips) == MINUTES
    assert episode.video.stat().st_size < 6e6 * MINUTES / 20
    assert video.warnings == ()


def test_questions_kinds_and_gold(episode: SyntheticEpisode) -> None:
    timeline = open_video(episode.video).timeline
    assert {sample.kind for sample in episode.samples} == set(MOMENT_KINDS)
    assert len({sample.question.id for sample in episode.samples}) == 2 * len(MOMENT_KINDS)
    for sample in episode.samples:
        assert len(set(sample.question.options)) == 5
        gold = sample.gold
        assert gold.option_index is not None
        assert sample.question.options[gold.option_index] == gold.answer
        assert 0 <= (gold.start_s or 0) < (gold.end_s or 0) <= timeline.duration_s
        assert timeline.find_clip(gold.clip or "") is not None


def test_dialogue_answer_in_gold_span(episode: SyntheticEpisode) -> None:
    lines = open_video(episode.video).timeline.subtitles
    for sample in episode.samples:
        if sample.kind == "dialogue":
            gold = sample.gold
            span = (gold.start_s or 0) - 0.1, gold.end_s or 0
            dialogue = " ".join(line.text for line in lines if span[0] <= line.start_s <= span[1])
            word = gold.answer.split()[-1]
            assert word in dialogue


def test_boxes_match_colours(tmp_path: Path) -> None:
    episode = generate_episode(tmp_path, 3, 2, 2)
    video = open_reader(episode.video)
    checked = 0
    for sample in episode.samples:
        right = sample.gold.answer
        if right in COLOUR_RGB:
            (box,) = sample.gold.boxes
            rgb = video.frames([box.time_s])[0].rgb()
            inside = rgb[box.top + 4 : box.top + box.height - 4, box.left + 4 : box.left + box.width - 4]
            assert colour_fractions(np.ascontiguousarray(inside))[0][0] == right
            checked += 1
    assert checked


def test_episode_kept_or_rendered_again(tmp_path: Path) -> None:
    first = generate_episode(tmp_path, 1, 1, 1)
    before = first.video.stat().st_mtime_ns
    assert generate_episode(tmp_path, 1, 1, 1) == first
    assert first.video.stat().st_mtime_ns == before
    first.video.with_suffix(".json").write_text("{broken")
    assert generate_episode(tmp_path, 1, 1, 1) == first
    assert first.video.stat().st_mtime_ns > before
    assert json.loads(first.video.with_suffix(".json").read_text())["samples"]


@pytest.mark.slow
def test_each_agent_adds_accuracy(tmp_path: Path) -> None:
    team = load_team("offline")
    num_correct = dict.fromkeys(Agents, 0)
    count = 0
    for seed in (101, 102):
        episode = generate_episode(tmp_path, seed)
        video = open_video(episode.video)
        count += len(episode.samples)
        for agents in Agents:
            for sample in episode.samples:
                trace = answer(sample.question, video, team, RolloutSettings(agents=agents))
                num_correct[agents] += score(trace, sample.gold.option_index).correct
    assert num_correct[Agents.NONE] < num_correct[Agents.GROUNDING] < num_correct[Agents.GROUNDING_VISION]
    assert num_correct[Agents.GROUNDING_VISION] > 0.9 * count
