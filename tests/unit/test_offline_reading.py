"""How the offline master reads lines: places, features of options, and their probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.line_index import LineIndex, line_positions
from longvideoagent.agents.offline.option_features import FEATURES, option_features
from longvideoagent.agents.offline.option_reader import WEIGHTS_FILE, OptionReading, read_options
from longvideoagent.agents.offline.parsed_question import parse_question
from longvideoagent.agents.offline.places import locate_places, spoken_lines
from longvideoagent.agents.offline.tokens import grams, pairs, words
from longvideoagent.core.types import Clip, Evidence, Question, Subtitle


def spoken(lines: Sequence[str], pause_s: float = 0.0) -> tuple[Evidence, ...]:
    """Lines of three seconds, ``pause_s`` apart."""
    starts_s = [number * (3.0 + pause_s) for number in range(len(lines))]
    return tuple(
        Evidence.from_subtitle(Clip("c01", 0.0, 600.0), Subtitle(at_s, at_s + 3.0, line))
        for at_s, line in zip(starts_s, lines, strict=True)
    )


def read(question: Question, lines: Sequence[Evidence]) -> list[OptionReading]:
    return read_options(EvidenceScorer(question, lines, is_excerpt=False))


def best(text: str, options: Sequence[str], lines: Sequence[str]) -> str:
    readings = read(Question(text, tuple(options)), spoken(lines))
    return options[max(range(len(options)), key=lambda index: readings[index].probability)]


def probabilities_of_lines(question: str, lines: Sequence[str]) -> list[float]:
    places = locate_places(spoken_lines(spoken(lines)), question, parse_question(question))
    return [float(probability) for probability in places.probabilities]


FILLER = [f"Hugo: And number {number} is on the list." for number in range(12)]
STORY = [
    "Lena: I packed the tent this morning.",
    "Otto: Then we can leave.",
    *FILLER,
    "Otto: The ferry is late again.",
    "Mira: We could wait in the library.",
    "Otto: Good, I need a book.",
    *FILLER,
    "Lena: The ferry has arrived at last.",
    "Mira: I forgot the umbrella in the kitchen.",
]


def test_answer_in_later_place() -> None:
    """The place that matches best does not answer; the next likely one does."""
    assert (
        best("What did Mira forget about the ferry?", ["the lamp", "the umbrella", "the rope"], STORY) == "the umbrella"
    )


def test_answer_near_question_beats_elsewhere() -> None:
    assert best("Where can they wait for the late ferry?", ["in the tent", "in the library"], STORY) == "in the library"


def test_named_speaker_raises_lines() -> None:
    lines = ["Mira: The train is slow.", *FILLER, "Otto: The train is slow."]
    probabilities = probabilities_of_lines("What does Otto say about the train?", lines)
    assert probabilities[-1] > 1.3 * probabilities[0]


@pytest.mark.parametrize(("relation", "is_later"), [("after", True), ("before", False)])
def test_place_after_or_before_moment(relation: str, is_later: bool) -> None:
    lines = [*FILLER, "Lena: The bell rings.", *FILLER]
    moment = len(FILLER)
    probabilities = probabilities_of_lines(f"What happens {relation} the bell rings?", lines)
    assert (sum(probabilities[moment + 1 : moment + 7]) > sum(probabilities[moment - 6 : moment])) is is_later


@pytest.mark.parametrize(("relation", "answer"), [("before", "a candle"), ("after", "a ladder")])
def test_answer_after_or_before_moment(relation: str, answer: str) -> None:
    lines = ["Mira: I bought a candle.", "Otto: The window is broken.", "Mira: I bought a ladder."]
    question = f"What did Mira buy {relation} Otto says that the window is broken?"
    assert best(question, ["a candle", "a ladder"], lines) == answer


def test_no_place_matches() -> None:
    assert probabilities_of_lines("Zebra?", STORY) == pytest.approx([1 / len(STORY)] * len(STORY))


def test_other_form_of_word() -> None:
    lines = ["Mira: What a photographic memory.", "Otto: I like soup."]
    assert best("What is it?", ["a photograph", "a carpet"], lines) == "a photograph"


def test_order_of_words() -> None:
    lines = ["Mira: He did not come out of the house.", *FILLER, "Otto: The house is out of town."]
    assert best("Why?", ["he did not come out", "out he come not did"], lines) == "he did not come out"


@pytest.mark.parametrize(
    ("lines", "question", "options"),
    [
        (["今天天气很好", "他在厨房做饭", "我们去博物馆看画"], "他们去哪里看画？", ["博物馆", "火车站"]),
        (["おはようございます", "駅に行きます", "図書館で本を読みます"], "どこで本を読みますか", ["図書館", "空港"]),
        (["สวัสดีครับ", "เขาทำอาหารในครัว", "เราจะไปพิพิธภัณฑ์"], "เราจะไปไหน", ["พิพิธภัณฑ์", "สถานีรถไฟ"]),
        (["Guten Tag", "Er kocht", "Wir gehen ins Museum"], "Wohin gehen wir?", ["ins Museum", "zum Bahnhof"]),
    ],
    ids=["chinese", "japanese", "thai", "german"],
)
def test_reading_languages(lines: list[str], question: str, options: list[str]) -> None:
    assert best(question, options, lines) == options[0]


def test_option_order_has_no_influence() -> None:
    options = ("the umbrella", "a book", "the tent", "the library")
    question = "What did Mira forget when the ferry arrived?"
    forward = [reading.probability for reading in read(Question(question, options), spoken(STORY))]
    backward = [reading.probability for reading in read(Question(question, options[::-1]), spoken(STORY))]
    assert forward == backward[::-1]


def test_options_without_match_are_equal() -> None:
    options = ("a very long and winding river in the north", "snow")
    assert [reading.probability for reading in read(Question("Zebra?", options), spoken(FILLER))] == [0.5, 0.5]


def test_reading_cites_line() -> None:
    question = Question("What did Mira forget?", ("the umbrella", "the rope"))
    readings = read(question, spoken(STORY))
    assert readings[0].fact is not None
    assert readings[0].fact.text == STORY[-1]


@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=5),
    st.text(max_size=30),
    st.lists(st.text(max_size=30), max_size=6),
    st.booleans(),
)
def test_reading_any_text(options: list[str], text: str, lines: list[str], is_excerpt: bool) -> None:
    scorer = EvidenceScorer(Question(text, tuple(options)), spoken(lines), is_excerpt)
    assert np.isfinite(option_features(scorer)).all()
    assert sum(reading.probability for reading in read_options(scorer)) == pytest.approx(1)


def test_weights_of_every_feature() -> None:
    weights = json.loads(WEIGHTS_FILE.read_text())
    assert {name: set(values) for name, values in weights.items()} == {
        "whole": set(FEATURES),
        "excerpt": set(FEATURES),
    }


def index_of(lines: Sequence[str], pause_s: float = 0.0) -> LineIndex:
    return LineIndex([words(line) for line in lines], line_positions(spoken(lines, pause_s)))


def test_line_index_window() -> None:
    index = index_of(["a kite", "blue", "green", "a rope"])
    assert np.flatnonzero(index.scores(["kite"], 1)).tolist() == [0]
    assert np.flatnonzero(index.scores(["kite"], 3)).tolist() == [0, 1]
    assert np.flatnonzero(index.scores(["zebra"], 3)).tolist() == []


def test_line_index_window_ends_at_pause() -> None:
    index = index_of(["a kite", "blue", "green"], pause_s=30.0)
    assert np.flatnonzero(index.scores(["kite"], 3)).tolist() == [0]


def test_line_index_rare_above_common() -> None:
    index = index_of(["rope kite", "rope", "rope", "kite rope"])
    assert index.scores(["kite"], 1)[0] > index.scores(["rope"], 1)[0]


def test_tokens() -> None:
    assert grams("kites") == ("^kit", "kite", "ite$")
    assert words("She doesn't know") == words("She does n't know")
    assert pairs("go out now") == ("go out", "out now")
    assert pairs("go out now", 2) == ("go out", "out now", "go now")
