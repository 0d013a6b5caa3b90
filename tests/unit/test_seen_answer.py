"""Open questions about what is seen, whose words no detection has: real footage with the default team."""

from __future__ import annotations

import pytest

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.open_answer import open_answer, seen_answer
from longvideoagent.core.types import Evidence, Question


def seen(start_s: float, end_s: float, text: str) -> Evidence:
    return Evidence("c01", start_s, end_s, "frame", start_s, text)


STREET = (
    seen(0, 9, "mostly blue and grey"),
    seen(2, 8, "text at the top left: “4711” on green above “CARGO” on green"),
    seen(4, 4, "text at the bottom right: “12” on green"),
    seen(0, 9, "something white moves to the left"),
)


def scorer(question: str, facts: tuple[Evidence, ...] = STREET) -> EvidenceScorer:
    return EvidenceScorer(Question(question), facts)


@pytest.mark.parametrize(
    ("question", "answer", "confidence"),
    [
        ("What number is on the lorry?", "4711, 12", 0.2),
        ("Which letters are painted on the container?", "4711, CARGO, 12", 0.2),
        ("What colour is the sky?", "mostly blue and grey", 0.1),
        ("What colour is the number plate?", "green", 0.4),
    ],
)
def test_what_is_seen(question: str, answer: str, confidence: float) -> None:
    found = seen_answer(scorer(question))
    assert found is not None
    assert (found.text, found.confidence) == (answer, confidence)
    assert found.evidence


def test_only_number_is_surer() -> None:
    found = seen_answer(scorer("What number is on the lorry?", STREET[:1] + STREET[2:]))
    assert found is not None
    assert (found.text, found.confidence) == ("12", 0.4)


def test_colour_is_that_of_its_evidence() -> None:
    """A text of which the colour is not known shows none."""
    plain = seen(1, 1, "text at the top left: “EXIT”")
    found = seen_answer(scorer("What colour is the number plate?", (plain, STREET[2])))
    assert found is not None
    assert (found.text, found.evidence) == ("green", (STREET[2],))


def test_readings_of_one_text_are_one() -> None:
    facts = tuple(
        seen(time_s, time_s, f"text at the top left: “{text}” on blue")
        for time_s, text in enumerate(["IK2087", "L087", "K2087", "2O87", "EXIT 5"])
    )
    found = seen_answer(scorer("What number is on the plate?", facts))
    assert found is not None
    assert found.text == "K2087, EXIT 5"


def test_people_are_at_least_as_many_as_faces() -> None:
    faces = (seen(0, 1, "1 face towards the camera"), seen(2, 3, "3 faces towards the camera"))
    found = seen_answer(scorer("How many people can be seen?", faces))
    assert found is not None
    assert (found.text, found.confidence, found.evidence) == ("at least 3, by the faces", 0.1, faces[1:])


@pytest.mark.parametrize("question", ["Who drives the lorry?", "How many people are there?", "What is the dog called?"])
def test_nothing_of_the_kind(question: str) -> None:
    assert seen_answer(scorer(question)) is None


def test_nothing_seen() -> None:
    assert seen_answer(scorer("What number is on the lorry?", STREET[3:])) is None
    assert seen_answer(scorer("What colour is the sky?", ())) is None


def test_when_is_answered_with_a_time() -> None:
    found = open_answer(scorer("When does the title appear?", STREET[2:3]))
    assert found is not None
    assert (found.text, found.confidence) == ("at 0:04: “12”", 0.4)


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Is it day or night?", ("day", "night")),
        ("Where does the lorry turn?", ("right", "left")),
        ("Which is it?", ("text", "top", "bottom")),
    ],
)
def test_where_a_text_stands_supports_no_option(question: str, options: tuple[str, ...]) -> None:
    facts = (
        seen(0, 1, "text at the bottom right: “4711” on green"),
        seen(2, 3, "text at the top right: “12” on green"),
    )
    supports = EvidenceScorer(Question(question, options), facts).supports
    assert [support.value for support in supports] == [0.0] * len(options)


def test_text_and_colour_support_options() -> None:
    texts, colours = ("4711", "CARGO", "EXIT"), ("red", "green")
    of_text = EvidenceScorer(Question("What is on the container?", texts), STREET).supports
    of_colour = EvidenceScorer(Question("What colour is the container?", colours), STREET).supports
    assert [support.value > 0 for support in of_text] == [True, True, False]
    assert [support.value > 0 for support in of_colour] == [False, True]
