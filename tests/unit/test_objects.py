"""Objects of a whole video: sampled, searched, merged into spans, kept in its index."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from longvideoagent.index.events import Event, EventKind, read_events
from longvideoagent.index.objects import Presence, Sighting, find_objects, object_spans
from longvideoagent.index.stored_text import read_steps
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.index.visible_objects import VisibleObject
from longvideoagent.media.frames import Pixels
from longvideoagent.media.readers.base import open_reader
from longvideoagent.models.object_detector import ObjectDetector, load_detector
from tests.fakes.tiny_detector import Cell, draw_cells, write_detector
from tests.plugins.media import write_pictures

DOG, PERSON = ("dog", 0, 0), ("person", 2, 1)
SCENES: Sequence[tuple[int, Sequence[Cell]]] = (
    (20, [PERSON]),
    (20, [PERSON, DOG]),
    (12, [PERSON, ("person", 3, 3), DOG, ("dog", 1, 2), ("dog", 1, 3)]),
    (8, [PERSON]),
    (12, [PERSON, DOG]),
)
"""How many seconds each lasts, and what it shows."""
EXPECTED = [
    ("person", 0, 72, 2),
    ("dog", 20, 52, 3),
    ("dog", 60, 72, 1),
]


class CountingDetector:
    """A detector that counts the frames that it searches."""

    def __init__(self, detector: ObjectDetector) -> None:
        self.name, self.identity, self.labels = detector.name, detector.identity, detector.labels
        self.num_frames = 0
        self._detector = detector

    def detect(self, rgb: Pixels) -> list[VisibleObject]:
        self.num_frames += 1
        return self._detector.detect(rgb)


@pytest.fixture
def detector(tmp_path: Path) -> CountingDetector:
    return CountingDetector(load_detector(str(write_detector(tmp_path / "tiny"))))


@pytest.fixture(params=["video", "folder"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The scenes as a video, or as a folder with a frame each second."""
    pictures = [draw_cells(cells) for seconds, cells in SCENES for _ in range(seconds)]
    if request.param == "video":
        write_pictures(tmp_path / "film.mp4", pictures)
        return tmp_path / "film.mp4"
    (tmp_path / "film").mkdir()
    for number, picture in enumerate(pictures, start=1):
        Image.fromarray(picture).save(tmp_path / "film" / f"{number:05}.jpg", quality=95)
    return tmp_path / "film"


def summary(events: Sequence[Event]) -> list[tuple[str, float, float, int]]:
    return [(event.label, round(event.start_s, 1), round(event.end_s, 1), event.count) for event in events]


def test_objects_of_video(film: Path, detector: CountingDetector, tmp_path: Path) -> None:
    """Each scene is searched once; the second time nothing is."""
    reader = open_reader(film, frames_per_s=1.0)
    with VideoIndex(tmp_path / "film.lva-index", "f" * 32) as index:
        assert read_events(index, EventKind.OBJECT) is None
        progress: list[float] = []
        events = find_objects(reader, index, detector, lambda _, fraction: progress.append(fraction))
        assert sorted(summary(events)) == sorted(EXPECTED)
        assert all(0.9 < event.score <= 1 for event in events)
        assert detector.num_frames == len(SCENES)
        assert (progress[0], progress[-1]) == (0.0, 1.0)
        assert find_objects(reader, index, detector) == events
        assert read_events(index, EventKind.OBJECT) == events
        assert detector.num_frames == len(SCENES)
        (step,) = read_steps(index)
        assert (step.name, step.covered) == (
            "objects", "0:00 to 1:12, 18 frames, one every 4 s, by tiny: 3 spans of 2 labels"
        )  # fmt: skip
        detector.identity = "another"
        find_objects(reader, index, detector)
        assert detector.num_frames == 2 * len(SCENES)


def test_objects_cost_announced(film: Path, detector: CountingDetector, tmp_path: Path) -> None:
    """A search of milliseconds is not announced; one of minutes is, once."""
    announced: list[tuple[int, float]] = []
    reader = open_reader(film, frames_per_s=1.0)
    with VideoIndex(tmp_path / "one.lva-index", "f" * 32) as index, pytest.MonkeyPatch.context() as patch:
        patch.setattr("longvideoagent.index.objects.MIN_ANNOUNCED_S", 0.0)
        find_objects(reader, index, detector, announce=lambda *cost: announced.append(cost))
    ((num_frames, seconds),) = announced
    assert num_frames == 10
    assert seconds > 0


def test_objects_frame_that_cannot_be_read(detector: CountingDetector, tmp_path: Path) -> None:
    """It is left out: what is before and after it is one span."""
    folder = tmp_path / "film"
    folder.mkdir()
    for number in range(1, 4):
        Image.fromarray(draw_cells([DOG])).save(folder / f"{number:05}.jpg", quality=95)
    (folder / "00002.jpg").write_bytes(b"\xff\xd8broken")
    with VideoIndex(tmp_path / "film.lva-index", "f" * 32) as index:
        events = find_objects(open_reader(folder, frames_per_s=0.25), index, detector)
        assert summary(events) == [("dog", 0, 12, 1)]
        assert ", 2 frames, " in read_steps(index)[0].covered


def test_objects_of_long_video_are_sampled_coarsely(detector: CountingDetector, tmp_path: Path) -> None:
    """Two hours have a frame every eight seconds."""
    folder = tmp_path / "film"
    folder.mkdir()
    Image.fromarray(draw_cells([])).save(folder / "00001.jpg")
    for number in (2400, 7200):
        os.link(folder / "00001.jpg", folder / f"{number:05}.jpg")
    with VideoIndex(tmp_path / "film.lva-index", "f" * 32) as index:
        assert find_objects(open_reader(folder, frames_per_s=1.0), index, detector) == ()
        assert read_events(index, EventKind.OBJECT) == ()
        assert "900 frames, one every 8 s, by tiny: 0 spans of 0 labels" in read_steps(index)[0].covered


shown = st.dictionaries(st.sampled_from("abc"), st.builds(Presence, st.floats(0.4, 1), st.integers(1, 3)))


@given(frames=st.lists(shown, max_size=8))
def test_spans_cover_what_frames_show(frames: list[Mapping[str, Presence]]) -> None:
    sightings = [Sighting(4.0 * number, seen) for number, seen in enumerate(frames)]
    events = object_spans(sightings, 4.0 * len(frames))
    for number, seen in enumerate(frames):
        running = {event.label: event for event in events if event.start_s <= 4.0 * number < event.end_s}
        assert running.keys() == seen.keys()
        assert all(seen[label].score <= event.score for label, event in running.items())
        assert all(seen[label].num_at_once <= event.count for label, event in running.items())
    assert [event.start_s for event in events] == sorted(event.start_s for event in events)
