from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.offline.grounding import locate
from longvideoagent.core.rollout import GroundingRequest, Rollout
from longvideoagent.core.types import GroundingResult, Question, Reply, Timeline
from longvideoagent.index.terms import terms
from tests.plugins.timelines import make_timeline


def ground(timeline: Timeline, question: Question, request: str = "", visited: tuple[str, ...] = ()) -> GroundingResult:
    rollout = Rollout(question, timeline)
    for label in visited:
        rollout.receive(GroundingResult(label))
        rollout.receive(Reply("<request_grounding></request_grounding>"))
    return locate(GroundingRequest(request, timeline, rollout.trace))


SCENES = make_timeline(
    ["Mira: Here we are at the bakery.", "Otto: Nice.", "Mira: Bring me the lantern."],
    ["Otto: Here we are at the museum.", "Lena: Late again.", "Otto: Bring me the rope."],
    ["Lena: The radio is broken.", "Hugo: Let us go home."],
)


def test_grounding_best_clip() -> None:
    result = ground(SCENES, Question("What is asked for at the museum?"))
    assert result.label == "c02"
    assert any("museum" in each.text for each in result.evidence)


def test_grounding_uses_options() -> None:
    assert ground(SCENES, Question("What is it?", ("a broken radio", "a kite"))).label == "c03"


def test_grounding_quotes_options_elsewhere() -> None:
    """The place that the question names is in one clip; what an option says, in another."""
    result = ground(SCENES, Question("What did Lena say at the museum?", ("bring the rope", "the radio is broken")))
    assert {each.text for each in result.evidence} >= {"Otto: Bring me the rope.", "Lena: The radio is broken."}


def test_grounding_setting_quotes_its_clip() -> None:
    question = Question("At the museum, what is asked for?", ("the rope", "the lantern"))
    assert {each.clip for each in ground(SCENES, question).evidence} == {"c02"}


def test_grounding_uses_request() -> None:
    question = Question("What is asked for?")
    assert ground(SCENES, question, "the radio", visited=("c02",)).label == "c03"


def test_grounding_skips_visited_clips() -> None:
    question = Question("What is asked for at the museum?")
    assert ground(SCENES, question, visited=("c02", "c01")).label == "c03"
    assert ground(SCENES, question, visited=("c01", "c02", "c03")).label is None


def test_grounding_without_match_in_order() -> None:
    assert ground(SCENES, Question("Zebra?")).label == "c01"
    assert ground(make_timeline([], []), Question("Zebra?"), visited=("c01",)).label == "c02"


@pytest.mark.parametrize(
    ("lines", "question"),
    [
        ((["今天天气很好"], ["我们去博物馆看画"], ["他在厨房做饭"]), "谁去了博物馆？"),
        ((["おはようございます"], ["図書館で本を読みます"], ["駅に行きます"]), "図書館で何をしますか"),
        ((["สวัสดีครับ"], ["เราจะไปพิพิธภัณฑ์"], ["เขาทำอาหารในครัว"]), "ใครไปพิพิธภัณฑ์"),
        ((["안녕하세요"], ["우리는 박물관에 갑니다"], ["그는 요리를 합니다"]), "누가 박물관에 갑니까"),
        ((["Guten Tag"], ["Wir gehen ins Museum"], ["Er kocht"]), "Wer geht ins Museum?"),
    ],
    ids=["chinese", "japanese", "thai", "korean", "german"],
)
def test_grounding_languages(lines: tuple[list[str], ...], question: str) -> None:
    assert ground(make_timeline(*lines), Question(question)).label == "c02"


@given(st.text(max_size=100))
def test_terms_of_any_text(text: str) -> None:
    assert all(terms(text))


def test_terms_stemmed_without_stop_words() -> None:
    assert terms("The lanterns were broken") == terms("lantern broken")
    assert terms("Mira's KITE") == terms("mira kite")
