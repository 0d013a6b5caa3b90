"""Whether detections show what a query asks for."""

from __future__ import annotations

import pytest

from longvideoagent.agents.offline.is_shown import is_shown

SIGN = "text at the top left: “GRUMPY CRAB” on white above “Hugo” on pink"
WORDS = "text at the left: “surface to be removed” on white"
SEEN = ("dining table", "dog", "knife", "orange", "person")
"""Labels of objects."""
RED, MOVING, FACE = "mostly red and white", "something red moves up", "1 face towards the camera"


@pytest.mark.parametrize(
    ("query", "detections", "is_found"),
    [
        ("What does the sign say?", [SIGN], True),
        ("What does the sign say?", [RED], False),
        ("Does the sign say grumpy crab?", [SIGN], True),
        ("Does the sign say zebra?", [SIGN], False),
        ("What word is on Hugo's shirt?", [SIGN], True),
        ("a red car", [RED], False),
        ("a red car", [MOVING, FACE], False),
        ("something red", [RED], True),
        ("something blue", [RED], False),
        ("Which colour is the picture?", [RED], True),
        ("What moves to the left?", [MOVING], True),
        ("What moves to the left?", [RED], False),
        ("the left lane", [SIGN], False),
        ("a person", [FACE], True),
        ("a person", [WORDS], False),
        ("What moves to the left?", [WORDS], False),
        ("an elephant", [SIGN, RED, MOVING, FACE], False),
        ("a dog", [SEEN, RED], True),
        ("a puppy on the left", [SEEN, RED], True),
        ("How many people are there?", [SEEN], True),
        ("the woman at the table", [SEEN], True),
        ("a red dog", [SEEN, RED], True),
        ("a blue dog", [SEEN, RED], False),
        ("a cat", [SEEN, RED], False),
        ("a knife", [SEEN, RED], True),
        ("something orange", [SEEN, RED], False),
        ("What does the sign say?", [SEEN, RED], False),
        ("What is shown?", [RED], True),
        ("What is shown?", [], False),
    ],
)
def test_is_shown(query: str, detections: list[str | tuple[str, ...]], is_found: bool) -> None:
    texts = [each for each in detections if isinstance(each, str)]
    labels = [label for each in detections if not isinstance(each, str) for label in each]
    assert is_shown(query, texts, labels) is is_found
