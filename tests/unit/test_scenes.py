"""Where scenes begin: at keyframes whose colours differ from those before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from longvideoagent import Question, answer, load_team, open_video
from longvideoagent.core.rollout import TimelineRequest
from longvideoagent.core.types import TimelineResult
from longvideoagent.index.location import DIR_VARIABLE
from longvideoagent.index.open import index_scenes
from longvideoagent.index.query import query_timeline
from longvideoagent.index.scenes import read_scenes
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media.readers.base import open_reader
from tests.plugins.cli import lva
from tests.plugins.media import write_pictures

PICTURES = [(200, 40, 40)] * 3 + [(40, 60, 200)] * 2 + [(190, 50, 45)] * 3
"""A second of each colour: red, blue, and a red that is nearly the first one."""


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "indexes"))
    write_pictures(tmp_path / "film.mp4", PICTURES)
    (tmp_path / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nMira: Where are we?\n")
    return tmp_path / "film.mp4"


def test_scenes_are_found_once_and_kept(film: Path) -> None:
    assert open_video(film).timeline.scene_starts_s == ()
    fractions: list[float] = []
    assert index_scenes(open_reader(film), lambda _, fraction: fractions.append(fraction)) == (0.0, 3.0, 5.0)
    assert fractions[-1] == 1.0
    video = open_video(film)
    assert video.timeline.scene_starts_s == (0.0, 3.0, 5.0)
    again: list[float] = []
    index_scenes(open_reader(film), lambda _, fraction: again.append(fraction))
    assert again == []
    with VideoIndex.open(film) as index:
        assert read_scenes(index, open_reader(film)) == (0.0, 3.0, 5.0)
    film.unlink()
    write_pictures(film, PICTURES[:2])  # another video under the same name
    assert open_video(film).timeline.scene_starts_s == ()


def test_query_of_scenes(film: Path) -> None:
    timeline = open_video(film).timeline
    unknown = query_timeline("scenes", timeline)
    assert (unknown.is_found, unknown.value, unknown.missing) == (False, "", "scenes")
    assert "lva index --screen finds them" in unknown.text
    known = query_timeline("scenes", replace(timeline, scene_starts_s=(0.0, 3.0, 5.0)))
    assert known.value == "3 scenes"
    assert "they begin at 0:00, 0:03, 0:05" in known.text
    assert [(each.start_s, each.end_s) for each in known.evidence] == [(0.0, 3.0), (3.0, 5.0), (5.0, 8.0)]
    assert query_timeline("scenes", replace(timeline, scene_starts_s=(0.0,))).value == "1 scene"


def test_question_finds_scenes(film: Path) -> None:
    assert answer(Question("How many scenes are there?"), open_video(film), load_team()).answer == "3 scenes"
    assert open_video(film).timeline.scene_starts_s == (0.0, 3.0, 5.0)


@pytest.mark.parametrize("query", ["scenes", "Scenes:", "  SCENES  "])
def test_query_for_scenes_however_it_is_written(film: Path, query: str) -> None:
    video = open_video(film)
    result = asyncio.run(load_team().perform(TimelineRequest(query, video.timeline), video.reader))
    assert isinstance(result, TimelineResult)
    assert result.value == "3 scenes"


def test_command_finds_scenes(film: Path) -> None:
    assert lva("index", "--screen", film).returncode == 0
    assert "  scenes: 3 at 8 keyframes" in lva("index", "--status", film).stdout
    asked = lva("ask", film, "How many scenes does the film have?")
    assert "= 3 scenes" in asked.stdout
    chosen = lva("ask", film, "How many scenes are there?", "-o", "two", "-o", "three", "-o", "four")
    assert "three" in chosen.stdout


def test_one_colour_is_one_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "indexes"))
    write_pictures(tmp_path / "still.mp4", PICTURES[:1])
    assert index_scenes(open_reader(tmp_path / "still.mp4")) == (0.0,)
