"""The transition table of rollout.py, row by row."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from longvideoagent.core.actions import Answer, Invalid, Look
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout, VisionRequest
from longvideoagent.core.trace import Agents, RolloutSettings, Trace
from longvideoagent.core.types import (
    AgentFailure,
    Candidate,
    ClipObservation,
    GroundingResult,
    Question,
    Reply,
    Result,
    SystemNotice,
    Usage,
    VisionResult,
)
from longvideoagent.errors import ProtocolError
from tests.plugins.timelines import make_timeline

TIMELINE = make_timeline(["one"], ["two"], ["three"], ["four"])
QUESTION = Question("Which?", ("red", "blue"))
LOOK = Reply("<visual_query>sign</visual_query>")
RELOCATE = Reply("<request_grounding>later</request_grounding>")
ANSWER = Reply("<answer>a1</answer>")
TALK = Reply("hmm")


def drive(*results: Result, settings: RolloutSettings | None = None) -> Rollout:
    rollout = Rollout(QUESTION, TIMELINE, settings)
    for result in results:
        rollout.receive(result)
    return rollout


def last_notice(trace: Trace) -> str:
    observation = list(trace.observations)[-1]
    assert isinstance(observation, SystemNotice)
    return observation.text


def test_start_asks_grounding_first() -> None:
    request = drive().request
    assert isinstance(request, GroundingRequest)
    assert request.request == ""


def test_start_with_a_known_label_shows_the_clip_to_the_master() -> None:
    rollout = drive(GroundingResult("c02"))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.trace.current is not None
    assert rollout.trace.current.clip.label == "c02"


@pytest.mark.parametrize("label", [None, "c99", "../../etc/passwd", "C02", ""])
def test_start_with_anything_else_is_a_notice_and_no_clip(label: str | None) -> None:
    rollout = drive(GroundingResult(label))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.trace.current is None
    assert isinstance(rollout.trace.first_grounding, SystemNotice)


def test_a_look_goes_to_vision_with_the_query_and_the_clip() -> None:
    assert drive(GroundingResult("c02"), LOOK).request == VisionRequest(Look("sign"), (TIMELINE.clips[1],))


def test_a_look_before_any_clip_is_a_notice() -> None:
    rollout = drive(GroundingResult(None), LOOK)
    assert isinstance(rollout.request, MasterRequest)
    assert "nothing to look at" in last_notice(rollout.trace)


def test_a_look_without_a_vision_agent_is_a_notice() -> None:
    rollout = drive(GroundingResult("c02"), LOOK, settings=RolloutSettings(agents=Agents.GROUNDING))
    assert "no vision agent" in last_notice(rollout.trace)


def test_what_was_seen_is_observed() -> None:
    rollout = drive(GroundingResult("c02"), LOOK, VisionResult("a red sign"))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.trace.rounds[0].observation == VisionResult("a red sign")


def test_relocating_goes_to_grounding_with_what_was_visited() -> None:
    request = drive(GroundingResult("c02"), RELOCATE).request
    assert isinstance(request, GroundingRequest)
    assert request.request == "later"
    assert request.trace.visited == ("c02",)


def test_a_new_clip_becomes_the_current_one() -> None:
    rollout = drive(GroundingResult("c02"), RELOCATE, GroundingResult("c04"), LOOK)
    assert rollout.trace.visited == ("c02", "c04")
    assert rollout.request == VisionRequest(Look("sign"), (TIMELINE.clips[3],))


@pytest.mark.parametrize("label", ["c02", None, "nowhere"])
def test_a_clip_that_is_no_new_one_leaves_the_current_one(label: str | None) -> None:
    rollout = drive(GroundingResult("c02"), RELOCATE, GroundingResult(label))
    assert last_notice(rollout.trace)
    assert rollout.trace.visited == ("c02",)


def test_relocating_without_a_grounding_agent_is_a_notice() -> None:
    rollout = drive(RELOCATE, settings=RolloutSettings(agents=Agents.NONE))
    assert "no grounding agent" in last_notice(rollout.trace)


def test_without_a_grounding_agent_the_whole_video_is_the_clip() -> None:
    trace = drive(settings=RolloutSettings(agents=Agents.NONE)).trace
    assert isinstance(trace.first_grounding, ClipObservation)
    assert [line.text for line in trace.first_grounding.clip.subtitles] == ["one", "two", "three", "four"]


def test_an_answer_ends_the_rollout() -> None:
    rollout = drive(GroundingResult("c02"), ANSWER)
    assert rollout.request is None
    assert rollout.trace.outcome is Outcome.ANSWERED
    assert (rollout.trace.option_index, rollout.trace.answer) == (1, "blue")


def test_an_answer_that_names_no_option_is_kept_as_it_is() -> None:
    trace = drive(GroundingResult("c02"), Reply("<answer>green</answer>")).trace
    assert trace.outcome is Outcome.ANSWERED
    assert (trace.option_index, trace.answer) == (None, "green")


def test_an_empty_answer_abstains() -> None:
    assert drive(GroundingResult("c02"), Reply("<answer> </answer>")).trace.outcome is Outcome.ABSTAINED


def test_a_reply_without_an_action_spends_a_round_and_says_so() -> None:
    rollout = drive(GroundingResult("c02"), TALK)
    assert isinstance(rollout.trace.rounds[0].action, Invalid)
    assert "No valid action" in last_notice(rollout.trace)
    assert rollout.trace.rounds_left == 4


@pytest.mark.parametrize("reply", [TALK, LOOK, RELOCATE])
def test_a_last_round_without_an_answer_is_spent(reply: Reply) -> None:
    rollout = drive(GroundingResult("c02"), reply, settings=RolloutSettings(max_rounds=1))
    assert rollout.request is None
    assert rollout.trace.outcome is Outcome.SPENT
    assert rollout.trace.answer == ""


@pytest.mark.parametrize(
    ("results", "agent"),
    [
        ([], "grounding"),
        ([GroundingResult("c02")], "master"),
        ([GroundingResult("c02"), LOOK], "vision"),
        ([GroundingResult("c02"), RELOCATE], "grounding"),
    ],
)
def test_an_agent_that_is_down_is_never_an_answer(results: list[Result], agent: str) -> None:
    trace = drive(*results, AgentFailure(agent, "HTTP 503")).trace  # type: ignore[arg-type]
    assert trace.outcome is Outcome.FAILED
    assert trace.cause == f"{agent}: HTTP 503"
    assert trace.answer == ""


CALL = Usage(calls=1)


def test_the_last_reply_that_a_budget_bears_is_asked_for_as_such() -> None:
    rollout = drive(GroundingResult("c02", usage=CALL), settings=RolloutSettings(max_calls=2))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.request.trace.is_last_round


def test_an_action_that_the_budget_does_not_bear_is_given_up_for_a_last_reply() -> None:
    rollout = drive(
        GroundingResult("c02", usage=CALL), Reply(LOOK.text, usage=CALL), settings=RolloutSettings(max_calls=3)
    )
    assert isinstance(rollout.request, MasterRequest)
    assert "budget" in last_notice(rollout.trace)
    rollout.receive(Reply(ANSWER.text, usage=CALL))
    assert (rollout.trace.outcome, rollout.trace.answer) == (Outcome.SPENT, "blue")
    assert rollout.trace.cause == "3 of 3 calls used"


@pytest.mark.parametrize(("reply", "outcome"), [(TALK, Outcome.SPENT), (LOOK, Outcome.SPENT), (ANSWER, Outcome.SPENT)])
def test_a_budget_ends_a_rollout_with_what_it_can_tell(reply: Reply, outcome: Outcome) -> None:
    trace = drive(
        GroundingResult("c02", usage=CALL), replace(reply, usage=CALL), settings=RolloutSettings(max_calls=2)
    ).trace
    assert (trace.outcome, trace.cause) == (outcome, "2 of 2 calls used")
    assert trace.answer == ("blue" if reply is ANSWER else "")


def test_tokens_and_dollars_keep_back_what_the_latest_reply_took() -> None:
    def must_answer(settings: RolloutSettings) -> bool:
        spent = Usage(calls=1, prompt_tokens=30, completion_tokens=10, usd=0.5)
        rollout = drive(GroundingResult("c02"), Reply(TALK.text, usage=spent), settings=settings)
        assert isinstance(rollout.request, MasterRequest)
        return rollout.trace.must_answer

    assert [must_answer(RolloutSettings(max_tokens=most)) for most in (80, 119, 120)] == [True, True, False]
    assert [must_answer(RolloutSettings(max_usd=most)) for most in (1.0, 1.49, 1.5)] == [True, True, False]


def test_the_last_reply_is_asked_for_even_where_a_budget_is_used_up() -> None:
    for settings in (RolloutSettings(max_calls=1), RolloutSettings(max_tokens=5), RolloutSettings(max_usd=0.1)):
        rollout = drive(GroundingResult("c02", usage=Usage(calls=1, prompt_tokens=9, usd=0.2)), settings=settings)
        assert isinstance(rollout.request, MasterRequest)
        assert rollout.request.trace.is_last_round
        rollout.receive(replace(ANSWER, usage=CALL))
        assert (rollout.trace.outcome, rollout.trace.answer) == (Outcome.SPENT, "blue")


def test_an_action_dearer_than_the_rest_of_a_budget_is_not_begun_twice() -> None:
    look, reply = Usage(calls=1, prompt_tokens=100), Usage(calls=1, prompt_tokens=10)
    done = (
        GroundingResult("c02"),
        replace(LOOK, usage=reply),
        VisionResult("x", usage=look),
        replace(LOOK, usage=reply),
    )
    assert isinstance(drive(*done, settings=RolloutSettings(max_tokens=230)).request, VisionRequest)
    assert "budget" in last_notice(drive(*done, settings=RolloutSettings(max_tokens=229)).trace)


def test_a_look_ahead_counts_all_of_its_calls() -> None:
    found = GroundingResult("c02", candidates=CANDIDATES, usage=CALL)
    asked = replace(LOOK, usage=CALL)
    assert isinstance(
        drive(found, asked, settings=RolloutSettings(max_calls=6, parallel_looks=3)).request, VisionRequest
    )
    assert "budget" in last_notice(drive(found, asked, settings=RolloutSettings(max_calls=5, parallel_looks=3)).trace)


def test_an_answer_within_the_budget_is_an_answer() -> None:
    rollout = drive(GroundingResult("c02"), Reply(ANSWER.text, usage=CALL), settings=RolloutSettings(max_calls=2))
    assert rollout.trace.outcome is Outcome.ANSWERED


def test_warnings_of_agents_are_kept_once() -> None:
    told = replace(TALK, warnings=("only half fitted",))
    trace = drive(GroundingResult("c02", warnings=("only half fitted",)), told, told).trace
    assert trace.warnings == ("only half fitted",)


# --- looking ahead -------------------------------------------------------------------------------

CANDIDATES = (Candidate("c04"), Candidate("../x"), Candidate("c02"), Candidate("c01"), Candidate("c03"))


def ahead(settings: RolloutSettings, *before: Result) -> list[list[str]]:
    request = drive(*before, GroundingResult("c02", candidates=CANDIDATES), LOOK, settings=settings).request
    assert isinstance(request, VisionRequest)
    return [[clip.label for clip in clips] for clips in request.other_windows]


def test_a_look_takes_in_the_next_candidates() -> None:
    assert ahead(RolloutSettings()) == []
    assert ahead(RolloutSettings(parallel_looks=3)) == [["c04"], ["c01"]]
    assert ahead(RolloutSettings(parallel_looks=9, window=2)) == [["c03", "c04"], ["c01", "c02"]]


def test_candidates_already_visited_are_not_looked_at_again() -> None:
    before = (GroundingResult("c04"), RELOCATE)
    assert ahead(RolloutSettings(parallel_looks=9), *before) == [["c01"], ["c03"]]


@pytest.mark.parametrize(
    ("results", "wrong"),
    [
        ([], ANSWER),
        ([GroundingResult("c02")], VisionResult("x")),
        ([GroundingResult("c02"), LOOK], GroundingResult("c03")),
        ([GroundingResult("c02"), ANSWER], ANSWER),
    ],
)
def test_a_result_that_was_not_asked_for_is_the_drivers_mistake(results: list[Result], wrong: Result) -> None:
    with pytest.raises(ProtocolError):
        drive(*results).receive(wrong)


def test_the_window_holds_neighbouring_clips() -> None:
    def looked_at(label: str, window: int) -> list[str]:
        request = drive(GroundingResult(label), LOOK, settings=RolloutSettings(window=window)).request
        assert isinstance(request, VisionRequest)
        return [clip.label for clip in request.clips]

    assert looked_at("c02", 1) == ["c02"]
    assert looked_at("c02", 2) == ["c02", "c03"]
    assert looked_at("c02", 3) == ["c01", "c02", "c03"]
    assert looked_at("c01", 3) == ["c01", "c02", "c03"]
    assert looked_at("c04", 2) == ["c03", "c04"]
    assert looked_at("c03", 9) == ["c01", "c02", "c03", "c04"]


def test_a_rollout_can_be_pickled_at_any_point() -> None:
    results: list[Result] = [GroundingResult("c02"), LOOK, VisionResult("x"), RELOCATE, GroundingResult("c03"), ANSWER]
    rollout = Rollout(QUESTION, TIMELINE)
    for result in results:
        rollout = pickle.loads(pickle.dumps(rollout))
        rollout.receive(result)
    assert rollout.trace == drive(*results).trace
    assert isinstance(rollout.trace.rounds[-1].action, Answer)


def test_the_wrong_agents_failure_is_the_drivers_mistake() -> None:
    with pytest.raises(ProtocolError):
        drive(AgentFailure("vision", "down"))


@pytest.mark.parametrize("field", ["max_rounds", "window", "max_calls", "max_tokens", "parallel_looks", "max_usd"])
def test_settings_refuse_zero(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        RolloutSettings(**{field: 0})  # type: ignore[arg-type]
