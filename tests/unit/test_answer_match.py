"""Open-ended answers: values, times, sets and orders in free text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.answer_match import is_exact_match, is_time_match, match_order, match_set, numbers_in

NAMES = ("Otto", "Mira", "Lena")


@pytest.mark.parametrize(
    ("answer", "right", "is_right"),
    [
        ("Felix", "Felix", True),
        ("felix, 54 lines", "Felix", True),
        ("Felix, 54 lines; Otto has 50", "Felix", True),
        ("It is Felix.", "Felix", True),
        ("Otto", "Felix", False),
        ("Felix or Otto", "Felix", False),
        ("Felix, Otto, Mira, Lena", "Felix", False),
        ("Otto, not Felix", "Felix", False),
        ("", "Felix", False),
        ("10 times", "10", True),
        ("Ten times", "10", True),
        ("10", "ten", True),
        ("It is mentioned ten times, first at 3:07", "10", True),
        ("at 0:10, that is 3 times", "10", False),
        ("once", "1", True),
        ("twenty-one", "21", True),
        ("1,234 times", "1234", True),
        ("11 times", "10", False),
        ("the golden owl", "GOLDEN OWL", True),
        ("GOLDENOWL", "Golden Owl", True),
        ("“Nora: Let us sit down for a while.” (3:12)", "Let us sit down for a while.", True),
        ("because a bus broke down", "because the bus broke down", True),
        ("金色猫头鹰在这里", "猫头鹰", True),
    ],
)
def test_exact_match(answer: str, right: str, is_right: bool) -> None:
    assert is_exact_match(answer, [right], [name for name in NAMES if name != right]) is is_right


def test_exact_match_of_equal_values() -> None:
    assert is_exact_match("Mira and Otto, 12 lines", ["Mira", "Otto"], ["Lena"])
    assert not is_exact_match("Mira and Lena", ["Mira", "Otto"], ["Lena"])


def test_exact_match_prefers_the_longer_value() -> None:
    assert is_exact_match("the rope ladder", ["rope ladder"], ["rope", "ladder"])


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        ("4:15", True),
        ("at 4:15: “Mira: hello”", True),
        ("0:04:17", True),
        ("255 s", True),
        ("4 minutes and 15 seconds", True),
        ("4 Minuten 15 Sekunden", True),
        ("4分15秒", True),
        ("4m15s", True),
        ("4:25, or 4:15", False),
        ("after the break", False),
        ("", False),
    ],
)
def test_time_match(answer: str, is_right: bool) -> None:
    assert is_time_match(answer, 255.0, 5.0) is is_right


@pytest.mark.parametrize(
    ("answer", "precision", "recall"),
    [
        ("GOLDEN OWL, SILVER FOX", 1.0, 1.0),
        ("The signs say Golden Owl and Silver Fox.", 1.0, 1.0),
        ("- GOLDENOWL (0:10)\n- silver fox (1:20)\n- KITE (2:00)", 2 / 3, 1.0),
        ("“GOLDEN OWL” and “TINY BEE”", 0.5, 0.5),
        ("2 signs: GOLDEN OWL, SILVER FOX", 1.0, 1.0),
        ("SILVER FOX", 1.0, 0.5),
        ("nothing that I can read", 0.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_set(answer: str, precision: float, recall: float) -> None:
    match = match_set(answer, ["GOLDEN OWL", "SILVER FOX"])
    assert (match.precision, match.recall) == pytest.approx((precision, recall))


def test_set_of_sentences_with_commas() -> None:
    lines = ["Careful, mind the step!", "I like it here."]
    assert match_set("“Otto: Careful, mind the step!” (5:02) “Lena: I like it here.” (5:08)", lines).f1 == 1
    assert match_set("Careful, mind the step!, I like it here.", lines).f1 == 1


@pytest.mark.parametrize(
    ("answer", "fraction"),
    [
        ("the lamp, the saw, the rope", 1.0),
        ("First the lamp at 0:10, then the saw, last the rope.", 1.0),
        ("the saw, the lamp, the rope", 2 / 3),
        ("the lamp, the rope", 1 / 3),
        ("", 0.0),
    ],
)
def test_order(answer: str, fraction: float) -> None:
    assert match_order(answer, ["the lamp", "the saw", "the rope"]) == pytest.approx(fraction)


@given(st.text(max_size=300), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_any_answer_has_a_score(answer: str, values: list[str]) -> None:
    match = match_set(answer, values)
    assert 0 <= match.precision <= 1
    assert 0 <= match.recall <= 1
    assert 0 <= match_order(answer, values) <= 1
    assert is_exact_match(answer, values) in (True, False)
    assert is_time_match(answer, 1.0, 1.0) in (True, False)
    assert all(number >= 0 for number in numbers_in(answer))
