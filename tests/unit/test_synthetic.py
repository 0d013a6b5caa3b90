from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from longvideoagent import RolloutSettings, answer, load_team, open_video, score
from longvideoagent.core.trace import Agents
from longvideoagent.datasets.synthetic.episode import KINDS, SyntheticEpisode, generate_episode
from longvideoagent.datasets.synthetic.scenario import COLOUR_RGB, generate_scenes
from longvideoagent.media.cv import colour_shares
from longvideoagent.media.readers.base import open_reader

MINUTES = 6


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> SyntheticEpisode:
    return generate_episode(tmp_path_factory.mktemp("sample"), seed=3, minutes=MINUTES, questions_per_kind=2)


def test_a_seed_always_gives_the_same_script() -> None:
    assert generate_scenes(5, 20) == generate_scenes(5, 20)
    assert generate_scenes(5, 20) != generate_scenes(6, 20)


@pytest.mark.parametrize("count", [0, 26])
def test_a_script_has_a_place_for_each_scene(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 25"):
        generate_scenes(1, count)


def test_the_episode_is_a_video_with_subtitles(made: SyntheticEpisode) -> None:
    episode = open_video(made.video)
    assert episode.timeline.duration_s == pytest.approx(60 * MINUTES, abs=0.3)
    assert episode.text_source == "sample-3.srt"
    assert len(episode.timeline.clips) == MINUTES
    assert made.video.stat().st_size < 6e6 * MINUTES / 20
    assert episode.warnings == ()


def test_there_are_questions_of_every_kind_with_gold_in_the_video(made: SyntheticEpisode) -> None:
    timeline = open_video(made.video).timeline
    assert {sample.kind for sample in made.samples} == set(KINDS)
    assert len({sample.question.id for sample in made.samples}) == 2 * len(KINDS)
    for sample in made.samples:
        assert len(set(sample.question.options)) == 5
        gold = sample.gold
        assert gold.option_index is not None
        assert sample.question.options[gold.option_index] == gold.answer
        assert 0 <= (gold.start_s or 0) < (gold.end_s or 0) <= timeline.duration_s
        assert timeline.find(gold.clip or "") is not None


def test_dialogue_answers_are_said_at_the_gold_time(made: SyntheticEpisode) -> None:
    lines = open_video(made.video).timeline.subtitles
    for sample in made.samples:
        if sample.kind == "dialogue":
            gold = sample.gold
            span = (gold.start_s or 0) - 0.1, gold.end_s or 0
            said = " ".join(line.text for line in lines if span[0] <= line.start_s <= span[1])
            word = gold.answer.split()[-1]
            assert word in said


def test_boxes_lie_where_the_colours_are(made: SyntheticEpisode) -> None:
    video = open_reader(made.video)
    checked = 0
    for sample in made.samples:
        right = sample.gold.answer
        if right in COLOUR_RGB:
            (box,) = sample.gold.boxes
            rgb = video.frames([box.time_s])[0].rgb()
            inside = rgb[box.top + 4 : box.top + box.height - 4, box.left + 4 : box.left + box.width - 4]
            assert colour_shares(np.ascontiguousarray(inside))[0][0] == right
            checked += 1
    assert checked


def test_a_finished_episode_is_kept_and_a_broken_one_made_again(tmp_path: Path) -> None:
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
    right = dict.fromkeys(Agents, 0)
    count = 0
    for seed in (101, 102, 103, 104):
        made = generate_episode(tmp_path, seed)
        episode = open_video(made.video)
        count += len(made.samples)
        for agents in Agents:
            for sample in made.samples:
                trace = answer(sample.question, episode, team, RolloutSettings(agents=agents))
                right[agents] += score(trace, sample.gold.option_index).correct
    assert right[Agents.NONE] < right[Agents.GROUNDING] < right[Agents.GROUNDING_VISION]
    assert right[Agents.GROUNDING_VISION] > 0.9 * count
