"""The hint how to get a better answer than the offline team's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from longvideoagent import Question, RolloutSettings, TeamConfig, answer, ask, load_team, open_video
from longvideoagent.agents.hint import example_spec
from longvideoagent.core.types import Evidence
from longvideoagent.models.backends import BACKENDS
from longvideoagent.run import OFFLINE_VISION
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict
from tests.plugins.cli import lva
from tests.plugins.media import write_screens, write_video
from tests.plugins.odd_videos import write_with_sound

KEYS = [row.key_env for row in BACKENDS if row.needs_key]


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five minutes of grey, with one line of subtitles in each."""
    folder = tmp_path_factory.mktemp("talk")
    write_video(folder / "talk.mp4", range(0, 300_000, 10_000))
    lines = [f"{n + 1}\n00:0{n}:10,000 --> 00:0{n}:12,000\nMira speaks of topic number {n}\n" for n in range(5)]
    (folder / "talk.srt").write_text("\n".join(lines))
    return folder / "talk.mp4"


def test_hint_of_abstention_and_guess(talk: Path) -> None:
    abstained = ask(talk, "How do zebras sleep?")
    guessed = ask(talk, "Which animal sleeps?", ["zebra", "lion", "mouse"])
    for trace in (abstained, guessed):
        assert trace.hint.endswith("A model answers better: add -m ollama:qwen2.5vl")
        assert "it knows no objects" in trace.hint
    assert not abstained.answer


SOUND = Evidence("c01", 4, 6, "sound", 4, "heard: Laughter", label="Laughter")
DOG = Evidence("c01", 20, 40, "frame", 20, "seems to show: dog", label="dog")


@pytest.mark.parametrize(
    ("sounds", "objects", "limits"),
    [
        (None, None, "it knows no objects, actions or plots"),
        ((SOUND,), None, "it knows few sounds, and no objects, actions or plots"),
        (None, (DOG,), "it knows few objects, and no actions or plots"),
        ((), (DOG,), "it knows few sounds and objects, and no actions or plots"),
    ],
)
def test_hint_states_what_detectors_know(
    talk: Path, sounds: tuple[Evidence, ...] | None, objects: tuple[Evidence, ...] | None, limits: str
) -> None:
    video = open_video(talk)
    video = replace(video, timeline=replace(video.timeline, sounds=sounds, objects=objects))
    assert limits in answer(Question("How do zebras sleep?"), video, load_team()).hint


@pytest.mark.parametrize(
    "question",
    [
        "Which music plays?",
        "How loud is the noise?",
        "What can be heard?",
        "When does somebody laugh?",
        "Who is singing?",
        "Where do they applaud?",
    ],
)
def test_hint_of_sounds_that_nobody_listened_to(talk: Path, question: str) -> None:
    video = open_video(talk)
    video = replace(video, timeline=replace(video.timeline, has_audio=True))
    trace = answer(Question(question), video, load_team())
    assert "lva index --sound" in trace.hint
    assert "it knows" not in trace.hint
    video = replace(video, timeline=replace(video.timeline, sounds=()))  # a tagger found none
    assert "lva index --sound" not in answer(Question(question), video, load_team()).hint


@pytest.mark.parametrize("question", ["Which music plays?", "When does somebody laugh?"])
def test_hint_of_sounds_in_a_silent_video(talk: Path, question: str) -> None:
    video = open_video(talk)
    for sounds in (None, ()):  # a tagger that was run has found none
        silent = replace(video, timeline=replace(video.timeline, sounds=sounds))
        hint = answer(Question(question), silent, load_team()).hint
        assert hint.startswith("this video has no sound")
        assert "--sound" not in hint


def test_hint_of_sounds_in_a_folder_of_frames(tmp_path: Path) -> None:
    trace = ask(write_screens(tmp_path / "frames", [""], seconds=2), "What can be heard?")
    assert trace.hint.startswith("this video has no sound")


def test_hint_of_voices_that_no_line_has(talk: Path, tmp_path: Path) -> None:
    question = "Is anyone talking?"
    assert "sound" not in ask(talk, question).hint  # lines know who talks
    write_video(tmp_path / "silent.mp4", range(0, 4_000, 500))
    assert ask(tmp_path / "silent.mp4", question).hint.startswith("this video has no sound")
    write_with_sound(tmp_path / "loud.mp4", [n / 2 for n in range(8)], 4.0)
    assert "lva index --sound" in ask(tmp_path / "loud.mp4", question).hint


def test_hint_of_an_answer_by_a_sound(talk: Path) -> None:
    video = open_video(talk)
    video = replace(video, timeline=replace(video.timeline, sounds=(SOUND,), has_audio=True))
    trace = answer(Question("When is the laughter heard?"), video, load_team())
    assert "0:04" in trace.answer
    assert "it knows few sounds, and no objects" in trace.hint


def test_hint_of_options_that_tie(tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", range(0, 10_000, 2500))
    (tmp_path / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nthe lake or the roof\n")
    trace = ask(tmp_path / "talk.mp4", "What does Mira like?", ["the lake", "the roof"])
    assert "I guess" in trace.rounds[-1].reply.text
    assert trace.evidence
    assert trace.hint


def test_hint_says_how_much_was_searched(talk: Path) -> None:
    trace = ask(talk, "How do zebras sleep?", settings=RolloutSettings(max_rounds=2))
    assert "it looked at 1 of 5 clips" in trace.hint


def test_no_hint_for_a_confident_answer(talk: Path) -> None:
    trace = ask(talk, "Which topic does Mira speak of?", ["topic number 3", "zebras", "lions"])
    assert (trace.answer, trace.hint) == ("topic number 3", "")


def test_no_hint_for_a_model(talk: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["<answer></answer>"]))
    trace = ask(talk, "How do zebras sleep?", master=f"scripted:{script}")
    assert trace.hint == ""
    assert OFFLINE_VISION in trace.warnings


def test_hint_names_a_provider_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert example_spec() == "ollama:qwen2.5vl"
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    assert example_spec() == "gemini:gemini-2.5-flash"


def test_hint_on_the_terminal(talk: Path) -> None:
    assert "hint" in lva("ask", talk, "How do zebras sleep?").stdout
    assert json.loads(lva("ask", talk, "How do zebras sleep?", "--json").stdout)["hint"]


def test_colours_answer_only_what_asks_for_them(tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", range(0, 10_000, 2500))
    video = open_video(tmp_path / "talk.mp4")
    for question in ("What animal is shown?", "What happens?"):
        assert answer(Question(question), video, load_team(TeamConfig())).answer == ""
    assert "grey" in answer(Question("Which colour is shown?"), video, load_team()).answer


def test_hint_names_the_part_of_the_index_that_is_missing(tmp_path: Path) -> None:
    trace = ask(write_screens(tmp_path / "frames", [""], seconds=2), "How many scenes are there?")
    assert not trace.answer
    assert trace.hint.startswith("no scenes are known; lva index --screen finds them")
    assert trace_from_dict(trace_to_dict(trace)) == trace


def test_hint_is_one_line_where_text_was_read_in_part(tmp_path: Path) -> None:
    video = open_video(write_screens(tmp_path / "frames", [""], seconds=2))
    video = replace(video, timeline=replace(video.timeline, unread="text of 1 of 2 minutes was read"))
    hint = answer(Question("How many scenes are there?"), video, load_team()).hint
    assert hint.startswith("no scenes are known; lva index --screen finds them. ")
