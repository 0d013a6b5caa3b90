"""Looks of the offline vision with a detector of objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from longvideoagent import ask
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.offline.vision import look
from longvideoagent.core.actions import Look
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import Clip
from longvideoagent.index.store import KeyValueCache
from longvideoagent.media.readers.base import open_reader
from longvideoagent.models.object_detector import load_detector
from tests.fakes.tiny_detector import Cell, draw_cells, write_detector
from tests.plugins.cli import lva, refusal
from tests.plugins.media import write_pictures

SCENES: list[list[Cell]] = [[("dog", 0, 0)], [("dog", 0, 0), ("person", 2, 1), ("person", 3, 3)], []]
WHOLE = (Clip("c01", 0.0, 15.0),)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Five seconds of each scene, with subtitles, so that no text is read off the screen."""
    path = tmp_path / "film.mp4"
    write_pictures(path, [draw_cells(cells) for cells in SCENES for _ in range(5)])
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nMira: Look there\n")
    return path


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "tiny")


def request(query: str) -> VisionRequest:
    return VisionRequest(Look(query), WHOLE)


def test_look_with_objects(film: Path, detector: Path) -> None:
    reader, loaded = open_reader(film), load_detector(str(detector))
    result = look(request("a dog"), reader, detector=loaded)
    lines = [line for line in result.text.splitlines() if "seems to show" in line]
    assert lines == ["0:00 to 0:09: seems to show: dog", "0:05 to 0:09: seems to show: person (2 at once)"]
    assert result.is_found
    assert look(request("people"), reader, detector=loaded).is_found
    assert not look(request("a cat"), reader, detector=loaded).is_found
    (only,) = (each for each in result.evidence if each.text == "seems to show: dog")
    assert only.start_s == pytest.approx(0.4, abs=0.2)
    assert only.end_s == pytest.approx(9.4, abs=0.2)
    assert [(each.label, each.num_at_once) for each in result.evidence if each.label] == [("dog", 1), ("person", 2)]


def test_look_without_detector_as_before(film: Path, detector: Path) -> None:
    """A detector adds lines, and changes nothing else."""
    reader = open_reader(film)
    plain = look(request("a dog"), reader)
    assert not plain.is_found
    with_objects = look(request("a dog"), reader, detector=load_detector(str(detector)))
    others = [line for line in with_objects.text.splitlines() if "seems to show" not in line]
    assert others == plain.text.splitlines()


def test_look_kept_for_each_detector(film: Path, detector: Path, tmp_path: Path) -> None:
    cache, reader = KeyValueCache(tmp_path / "cache.sqlite"), open_reader(film)
    plain = look(request("a dog"), reader, cache)
    dogs = look(request("a dog"), reader, cache, load_detector(str(detector)))
    cats = look(request("a dog"), reader, cache, load_detector(str(write_detector(tmp_path / "b", labels="bird\ncat"))))
    assert "bird (2 at once)" not in dogs.text
    assert "bird (2 at once)" in cats.text
    assert look(request("a dog"), reader, cache) == plain
    assert look(request("a dog"), reader, cache, load_detector(str(detector))) == dogs


def test_team_with_objects(film: Path, detector: Path) -> None:
    question = "What is shown at 0:07?"
    trace = ask(film, question, team=TeamConfig(objects=str(detector)))
    assert "seems to show: person (2 at once)" in str([*trace.observations])
    assert "seems to show" not in str([*ask(film, question).observations])
    assert "person (2 at once)" in lva("ask", film, question, "--objects", detector).stdout
    line = refusal("ask", film, question, "--objects", detector, "--vision", "scripted:x.json")
    assert "only the offline vision uses a detector; remove it" in line
    assert "no such weights or folder" in refusal("ask", film, question, "--objects", "nothing")
    assert "is not on this machine; lva weights get dfine-nano" in refusal(
        "ask", film, question, "--objects", "dfine-nano", env={"LVA_WEIGHTS_DIR": str(detector)}
    )


def test_team_file_with_objects(film: Path, detector: Path, tmp_path: Path) -> None:
    team = tmp_path / "team.toml"
    team.write_text(f'objects = "{detector}"\n')
    assert "person (2 at once)" in lva("ask", film, "What is shown at 0:07?", "--team", team).stdout
    (detector / "model.onnx").unlink()
    assert "not an object detector" in refusal("ask", film, "What is shown at 0:07?", "--team", team)
