from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.outcome import StopReason
from longvideoagent.core.scoring import match_option, score
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Question

OPTIONS = ("a red kite", "the moon", "a blue kite", "2 dogs", "nobody")


@pytest.mark.parametrize(
    "answer",
    ["a2", "A2", "2", "(2)", "a2.", "a2: a blue kite", "(a2)", "a2) a blue kite", "2.", "2: it is blue", "Option a2",
     "a blue kite", "A Blue  Kite.", "“a blue kite”", " a2\n", "a2 - a blue kite"],
)  # fmt: skip
def test_match_option_by_label_or_text(answer: str) -> None:
    assert match_option(answer, OPTIONS) == 2


@pytest.mark.parametrize("answer", ["", "a5", "9", "a kite", "2.5", "12 dogs", "10:30", "b2", "a-2", "none of them"])
def test_match_option_unmatched(answer: str) -> None:
    assert match_option(answer, OPTIONS) is None


@pytest.mark.parametrize(
    "answer",
    ["C", "c", "(C)", "[c]", "C.", "C)", "<C>", "**C**", "`C`", "“C”", "C: a blue kite", "C. a blue kite",
     "c) a blue kite", "C - a blue kite", "C) because it is blue", "**C.** a blue kite", "Option C", "option (C)",
     "**Option C**", "Option C: a blue kite", "Choice C", "The answer is C", "The correct answer is option C.",
     "Final answer: (C)",
     "The answer is: **C**", "Answer: a2", "The answer is a2.", "Answer: C. a blue kite", "A: C", "A: a2",
     "Ｃ", "选项C", "答案：C",
     r"\boxed{a2}", r"\boxed{C}", r"$\boxed{\text{C}}$", r"The answer is $\boxed{\textbf{(C)}}$.",
     r"\boxed{a blue kite}", r"not \boxed{A} but \boxed{C}", "<|begin_of_box|>C<|end_of_box|>",
     "So <|begin_of_box|>a2<|end_of_box|>."],
)  # fmt: skip
def test_match_option_by_letter_or_box(answer: str) -> None:
    assert match_option(answer, OPTIONS) == 2
    assert match_option(answer, ()) is None


@pytest.mark.parametrize(
    "answer",
    ["F", "Option F", "A man walks", "A, B", "B and C", "B or C", "I think so", "The answer is a man", "answer",
     "option", "Is it B?", "Vitamin C", "C++", "C'mon", "c2", "$3", r"\boxed{", r"\boxed{}", "boxed C", r"\boxed{9}"],
)  # fmt: skip
def test_match_option_text_is_not_a_letter(answer: str) -> None:
    assert match_option(answer, OPTIONS) is None


def test_match_option_letter_and_text_disagree() -> None:
    people = ("Abraham Lincoln", "George", "Mira")
    assert match_option("C. George", people) == 1
    assert match_option("B. Lincoln", people) is None
    assert match_option("A. Lincoln", people) == 0


def test_match_option_letters_of_the_options_win() -> None:
    assert match_option("B", ("C", "B", "A")) == 1
    assert match_option("A", ("B. a lamp", "A. a kite")) == 1
    assert match_option("B. a lamp", ("B. a lamp", "A. a kite")) == 0


def test_match_option_is_linear_in_length() -> None:
    for text in ("the ", "answer ", "final ", r"\boxed{", "(", "*", " ", "A ", "A)", "2."):
        assert match_option(text * 100_000, OPTIONS) is None


def test_match_option_text_wins_over_label() -> None:
    assert match_option("3", ("2", "3", "4")) == 1
    assert match_option("2 dogs", OPTIONS) == 3


def test_match_option_without_options() -> None:
    assert match_option("a0", ()) is None


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=12))
def test_match_option_is_total(answer: str, options: list[str]) -> None:
    index = match_option(answer, options)
    assert index is None or 0 <= index < len(options)


@given(
    st.lists(st.from_regex(r"[a-z]{3,8} [a-z]{3,8}", fullmatch=True), min_size=2, max_size=12, unique=True), st.data()
)
def test_match_option_by_own_text(options: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(options) - 1))
    assert match_option(options[index].upper() + ".", options) == index


def test_score_reads_trace_answer() -> None:
    question = Question("?", OPTIONS)
    answered = Trace(question, RolloutSettings(), stop_reason=StopReason.ANSWERED, option_index=2)
    assert score(answered, 2).correct
    assert not score(answered, 1).correct
    failed = Trace(question, RolloutSettings(), stop_reason=StopReason.MODEL)
    assert not score(failed, 0).answered
