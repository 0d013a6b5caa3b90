from __future__ import annotations

import json

import pytest

from longvideoagent.core.text import replace_surrogates


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain", "plain"), ("Zürich ☂ 😀", "Zürich ☂ 😀"), ("half \ud83d end", "half ? end"), ("\udcff", "?"), ("", "")],
)
def test_replace_surrogates(text: str, expected: str) -> None:
    assert replace_surrogates(text) == expected


def test_replace_surrogates_pair_in_json() -> None:
    assert replace_surrogates(json.loads('"\\ud83d\\ude00 \\ud83d"')) == "😀 ?"
