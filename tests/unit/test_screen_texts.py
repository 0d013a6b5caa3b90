"""Texts on screen and whose they are, as recognition spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.offline.screen_texts import shown_texts, signs
from longvideoagent.core.types import Evidence
from longvideoagent.media.text_columns import fold_recognized


def column(start_s: float, *pieces: str) -> Evidence:
    text = " above ".join(f"“{piece}” on grey" for piece in pieces)
    return Evidence("c01", start_s, start_s + 2, "frame", start_s, f"text at the left: {text}")


@pytest.mark.parametrize("written", ["Nils", "NiIs", "N1ls", "Nlls", "N!ls", "nils", "N i l s"])
def test_name_in_letters_that_look_alike_is_no_sign(written: str) -> None:
    shown = shown_texts([column(3.0, written, "BAKERY"), column(9.0, "OPEN")], ["Nils", "Ada"])
    assert [(each.text, each.owner) for each in shown] == [("BAKERY", "Nils"), ("OPEN", "")]
    assert [each.text for each in signs(shown)] == ["OPEN"]


def test_names_that_fold_alike_differ_by_their_letters() -> None:
    shown = shown_texts([column(3.0, "Ella", "ONE"), column(6.0, "Elia", "TWO")], ["Ella", "Elia"])
    assert [(each.text, each.owner) for each in shown] == [("ONE", "Ella"), ("TWO", "Elia")]


def test_sign_is_one_sign_in_two_spellings() -> None:
    shown = shown_texts([column(3.0, "HOTEL 10"), column(6.0, "H0TEL lO"), column(9.0, "HOTEL 10!")], [])
    assert [each.text for each in signs(shown)] == ["HOTEL 10"]


@given(st.text())
def test_folded_text_folds_to_itself(text: str) -> None:
    folded = fold_recognized(text)
    assert fold_recognized(folded) == folded
    assert not any(each.isspace() for each in folded)
