"""Letters among the log-probabilities of a reply's tokens."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.models.logprobs import TokenLogprobs, letter_logprobs, read_logprobs


def token(text: str, **probabilities: float) -> TokenLogprobs:
    """A token; ``_B`` stands for B with a leading space."""
    names = {name.replace("_", " "): value for name, value in probabilities.items()}
    return TokenLogprobs(text, tuple((name, math.log(value)) for name, value in names.items()))


def probabilities(*tokens: TokenLogprobs, letters: str = "AB") -> list[float] | None:
    found = letter_logprobs(tokens, letters)
    return None if found is None else [round(math.exp(value), 3) for value in found.values]


def test_letters_with_and_without_space_are_added() -> None:
    assert probabilities(token(" B", _B=0.5, B=0.2, _A=0.1)) == [0.1, 0.7]


@pytest.mark.parametrize("text", ["ĠB", "▁B", "(B", "B.", "**B", "B:", "\nB"])
def test_letter_inside_marks(text: str) -> None:
    found = letter_logprobs([TokenLogprobs(text, ((text, -0.1), (" A", -3.0)))], "AB")
    assert found is not None
    assert found.values == pytest.approx((-3.0, -0.1))


def test_word_a_is_not_a_letter() -> None:
    assert probabilities(token(" a", _a=0.6, _A=0.1, _B=0.2)) == [0.1, 0.2]


def test_lower_case_counts_where_no_upper_case_is_listed() -> None:
    assert probabilities(token(" b", _b=0.7, _a=0.2)) == [0.2, 0.7]


def test_letter_after_other_tokens() -> None:
    tokens = [token("The", The=0.9, B=0.02, A=0.05), token(" answer"), token(" is"), token(" B", _B=0.8, _A=0.1)]
    assert probabilities(*tokens, token(" A", _A=0.9)) == [0.1, 0.8]


def test_first_letter_counts_where_no_token_is_one() -> None:
    assert probabilities(token(" that", that=0.9, _A=0.01, _B=0.03), token(" it", it=0.9)) == [0.01, 0.03]


def test_missing_letter_has_an_upper_bound() -> None:
    found = letter_logprobs([token(" B", _B=0.9, _C=0.04)], "ABC")
    assert found is not None
    assert [round(math.exp(value), 3) for value in found.values] == [0.04, 0.9, 0.04]
    assert found.is_bound == (True, False, False)
    alone = letter_logprobs([token(" B", _B=0.9)], "AB")
    assert alone is not None
    assert math.exp(alone.values[0]) == pytest.approx(0.1)


def test_no_letter() -> None:
    assert letter_logprobs([token("It", It=0.9, They=0.1)], "AB") is None
    assert letter_logprobs([], "AB") is None


def test_letters_beyond_the_options_do_not_count() -> None:
    assert probabilities(token(" C", _C=0.7, _A=0.2)) == [0.2, 0.1]


def test_read_logprobs_of_servers() -> None:
    entry = {"token": " B", "logprob": -0.1, "bytes": [32, 66], "top_logprobs": [{"token": " A", "logprob": -9999}]}
    assert read_logprobs({"logprobs": {"content": [entry]}}) == (TokenLogprobs(" B", ((" B", -0.1), (" A", -100.0))),)
    listed = {"token": " B", "logprob": -0.1, "top_logprobs": [{"token": " B", "logprob": -0.1}]}
    assert read_logprobs({"logprobs": {"content": [listed]}}) == (TokenLogprobs(" B", ((" B", -0.1),)),)
    huge = {"content": [{"token": "A", "logprob": -(10**400)}, {"token": "B", "logprob": math.nan}]}
    assert read_logprobs({"logprobs": huge}) == (TokenLogprobs("A", (("A", -100.0),)),)
    assert read_logprobs({"logprobs": None}) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.sampled_from([" A", -0.5, -(10**400)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["token", "logprob", "top_logprobs", "content", "logprobs"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_logprobs_are_read(value: Any) -> None:
    tokens = read_logprobs({"logprobs": {"content": value}})
    found = letter_logprobs(tokens, "ABCDE")
    assert found is None or all(-200 < logprob <= 0 for logprob in found.values)
    read_logprobs({"logprobs": value})
