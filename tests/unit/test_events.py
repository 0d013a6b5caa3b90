"""Events in the index of a video, and queries for them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from longvideoagent.core.types import Timeline
from longvideoagent.errors import DataError
from longvideoagent.index.event_labels import covering_labels, matching_labels
from longvideoagent.index.events import (
    MAX_EVENTS,
    Event,
    EventKind,
    EventSource,
    FoundEvents,
    find_events,
    read_events,
)
from longvideoagent.index.open import open_video
from longvideoagent.index.query import query_timeline
from longvideoagent.index.stored_text import read_steps
from longvideoagent.index.video_index import VideoIndex

pytestmark = pytest.mark.usefixtures("index_dir")
LABELS = ("Music", "Gunshot, gunfire", "Dog", "person", "cell phone", "hot dog", "cat")
SOUNDS = (
    Event(0.5, 3.5, "Music", 0.9),
    Event(1.0, 1.25, "Gunshot, gunfire", 0.7),
    Event(3.0, 3.25, "Gunshot, gunfire", 0.8),
)
OBJECTS = (Event(1.0, 3.0, "person", 0.8, 3), Event(2.0, 3.0, "cell phone", 0.6), Event(2.0, 3.0, "hot dog", 0.5))


@pytest.fixture
def timeline(talk: Path) -> Timeline:
    store(talk, EventKind.SOUND, SOUNDS)
    store(talk, EventKind.OBJECT, OBJECTS)
    return open_video(talk).timeline


def store(video: Path, kind: EventKind, events: tuple[Event, ...], key: str = "detector 1") -> tuple[Event, ...]:
    with VideoIndex.open(video) as index:
        return find_events(index, kind, EventSource(key, LABELS), lambda: FoundEvents(events, "all of it"))


def test_events_are_found_once(talk: Path) -> None:
    assert store(talk, EventKind.SOUND, SOUNDS[::-1]) == SOUNDS  # in order of time
    assert store(talk, EventKind.SOUND, ()) == SOUNDS
    with VideoIndex.open(talk) as index:
        assert read_events(index, EventKind.OBJECT) is None
        assert [step.covered for step in read_steps(index) if step.name == "sounds"] == ["all of it"]


def test_other_detector_replaces_events_of_its_kind_only(talk: Path) -> None:
    store(talk, EventKind.SOUND, SOUNDS)
    store(talk, EventKind.OBJECT, OBJECTS)
    assert store(talk, EventKind.SOUND, (), key="detector 2") == ()
    with VideoIndex.open(talk) as index:
        assert [step.name for step in read_steps(index)].count("sounds") == 1
        assert read_events(index, EventKind.SOUND) == ()
        assert read_events(index, EventKind.OBJECT) == OBJECTS


def test_questions_get_events_as_evidence(timeline: Timeline) -> None:
    assert timeline.sounds is not None
    assert timeline.objects is not None
    assert [(each.kind, each.start_s, each.label) for each in timeline.sounds] == [
        ("sound", event.start_s, event.label) for event in SOUNDS
    ]
    assert [each.text for each in timeline.objects] == [
        "seems to show: person (3 at once)",
        "seems to show: cell phone",
        "seems to show: hot dog",
    ]


def test_video_that_no_detector_searched(talk: Path) -> None:
    timeline = open_video(talk).timeline
    assert timeline.sounds is timeline.objects is None
    for query, part, option in (("sounds music", "sounds", "--sound"), ("objects", "objects", "--objects")):
        result = query_timeline(query, timeline)
        assert (result.missing, result.is_found) == (part, False)
        assert f"lva index {option}" in result.text


def test_kind_that_a_detector_did_not_find_is_not_missing(timeline: Timeline) -> None:
    assert query_timeline("sounds zither", timeline).missing is None
    assert query_timeline("sounds", replace(timeline, sounds=())).missing is None


@pytest.mark.parametrize(
    "values", [("'x'", "1.0", "'a'", "0.5", "1"), ("1.0", "0.5", "'a'", "0.5", "1"), ("0.0", "1.0", "'a'", "7.0", "1")]
)
def test_damaged_events_cost_no_answer(talk: Path, values: tuple[str, ...]) -> None:
    store(talk, EventKind.SOUND, SOUNDS)
    with VideoIndex.open(talk) as index:
        path = index.path
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM events")
        database.execute(f"INSERT INTO events VALUES ('sound', {', '.join(values)})")
    video = open_video(talk)
    assert video.timeline.sounds is None
    assert any("damaged" in warning and "lva index --drop" in warning for warning in video.warnings)


def edit(video: Path, statements: str) -> None:
    """Change the index of a video."""
    with VideoIndex.open(video) as index, sqlite3.connect(index.path) as database:
        database.executescript(statements)


@pytest.mark.parametrize(
    "statements",
    [
        "UPDATE events SET label = 'a' || char(27) || '[31mb'",
        "UPDATE events SET label = 'a' || char(10) || 'b'",
        "DROP TABLE events",
        "UPDATE event_sets SET labels = 'Music'",
        "UPDATE event_sets SET labels = '[3]'",
        "UPDATE event_sets SET labels = '" + 100_000 * "[" + "'",
        "DROP TABLE event_sets; CREATE VIEW event_sets AS SELECT 'sound' AS kind, 'k' AS key,"
        " '[\"' || hex(zeroblob(400000000)) || '\"]' AS labels",
        # Without end:
        "DROP TABLE events; CREATE VIEW events AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT 'sound' AS kind, 0.0 AS start_s, 1.0 AS end_s, 'x' AS label, 0.5 AS score, 1 AS count FROM n",
        f"INSERT INTO events WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {MAX_EVENTS})"
        " SELECT 'sound', 0.0, 1.0, 'x', 0.5, 1 FROM n",
    ],
    ids=["escape", "line break", "no table", "no labels", "a number", "deep", "long", "endless view", "too many"],
)
def test_damaged_tables_cost_no_answer(talk: Path, statements: str) -> None:
    store(talk, EventKind.SOUND, SOUNDS)
    edit(talk, statements)
    video = open_video(talk)
    assert video.timeline.sounds is None
    assert any("lva index --drop talk.mp4 removes it" in warning for warning in video.warnings)


def test_damaged_step(talk: Path) -> None:
    store(talk, EventKind.SOUND, SOUNDS)
    edit(talk, "UPDATE steps SET seconds = 'long'")
    with VideoIndex.open(talk) as index:
        assert read_steps(index) == []
        assert "damaged" in index.problem


def test_too_many_events_are_refused(talk: Path) -> None:
    many = tuple(Event(0.0, 1.0, "dog", 0.5) for _ in range(MAX_EVENTS + 1))
    with pytest.raises(
        DataError, match=r"talk\.mp4: the detector found 100,001 objects, and at most 100,000 are kept; "
    ):
        store(talk, EventKind.OBJECT, many)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("sounds", "Music, Gunshot, gunfire"),
        ("sounds shooting", "0:01, 0:03"),
        ("sounds gun", "0:01, 0:03"),
        ("sounds gunfire", "0:01, 0:03"),
        ("sounds 0:03", "Music, Gunshot, gunfire"),
        ("objects people", "0:01 to 0:03"),
        ("objects phone", "0:02 to 0:03"),
        ("objects a dog", "none"),
        ("objects giraffe", ""),
    ],
)
def test_query(timeline: Timeline, query: str, value: str) -> None:
    result = query_timeline(query, timeline)
    assert result.value == value
    assert result.is_found == (value not in ("", "none"))
    assert bool(result.evidence) == bool(value)


def test_query_for_what_a_detector_knows_and_did_not_find(timeline: Timeline) -> None:
    result = query_timeline("sounds a barking dog", timeline)
    assert "though the detector knows Dog; detected: Music, Gunshot, gunfire" in result.text
    assert [(each.label, each.num_at_once, each.start_s, each.end_s) for each in result.evidence] == [
        ("Dog", 0, 0.0, timeline.duration_s)
    ]


def test_query_where_nothing_was_found(talk: Path) -> None:
    store(talk, EventKind.SOUND, ())
    timeline = open_video(talk).timeline
    assert query_timeline("sounds", timeline).text == "no sound was detected in the video"
    assert query_timeline("sounds 0:01", timeline).text == "no sound was detected in the video"
    assert query_timeline("sounds thunder", timeline).text == "no sound was detected in the video"
    assert query_timeline("sounds music", timeline).value == "none"


def test_older_version_keeps_its_events(talk: Path) -> None:
    """Which labels their detector knows, version 5 did not keep."""
    store(talk, EventKind.SOUND, SOUNDS)
    edit(talk, "ALTER TABLE event_sets DROP COLUMN labels; PRAGMA user_version = 5")
    timeline = open_video(talk).timeline
    assert timeline.sounds is not None
    assert [each.label for each in timeline.sounds] == [event.label for event in SOUNDS]
    assert query_timeline("sounds dog", timeline).value == ""


def test_query_counts_spans(timeline: Timeline) -> None:
    assert query_timeline("sounds music", timeline).text.startswith("Music: 1 span\n")
    assert query_timeline("objects", timeline).text.startswith("3 spans\n")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("a barking dog", {"Dog", "Bark"}),
        ("the explosion", {"Explosion"}),
        ("someone laughing", {"Laughter"}),
        ("man speaking", {"Male speech, man speaking"}),
        ("sports cars", {"Car"}),
        ("cars", {"Car", "Car passing by"}),
        ("a unicorn", set()),
        ("the", set()),
    ],
)
def test_labels_that_words_name(words: str, named: set[str]) -> None:
    labels = {"Dog", "Bark", "Explosion", "Laughter", "Male speech, man speaking", "Car", "Car passing by", "Music"}
    assert matching_labels(words, labels) == named


@pytest.mark.parametrize(
    ("words", "covering"),
    [
        ("a barking dog", {"Dog"}),
        ("anyone speaking", {"Speech"}),
        ("a voice", {"Speech"}),
        ("cars", {"Car"}),
        ("an animal", set()),  # there are others than dogs
        ("thunder", set()),
    ],
)
def test_labels_that_cover_words(words: str, covering: set[str]) -> None:
    assert covering_labels(words, {"Dog", "Bird", "Car", "Car passing by", "Speech", "Thunderstorm"}) == covering


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("a hot dog", {"hot dog"}),
        ("the teddy bear", {"teddy bear"}),
        ("a dog", {"dog"}),
        ("a bear", {"bear"}),
        ("a cat and a teddy bear", {"cat", "teddy bear"}),
    ],
)
def test_labels_of_other_things(words: str, named: set[str]) -> None:
    """A hot dog is not a dog."""
    assert matching_labels(words, {"hot dog", "dog", "teddy bear", "bear", "cat"}) == named
