"""The transition table of rollout.py, row by row."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from longvideoagent.core.actions import Answer, Invalid, Look
from longvideoagent.core.outcome import Outcome, StopReason
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


def test_start_requests_grounding() -> None:
    request = drive().request
    assert isinstance(request, GroundingRequest)
    assert request.request == ""


def test_start_known_label_becomes_current_clip() -> None:
    rollout = drive(GroundingResult("c02"))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.trace.current_observation is not None
    assert rollout.trace.current_observation.clip.label == "c02"


@pytest.mark.parametrize("label", [None, "c99", "../../etc/passwd", "C02", ""])
def test_start_unknown_label_becomes_notice(label: str | None) -> None:
    rollout = drive(GroundingResult(label))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.trace.current_observation is None
    assert isinstance(rollout.trace.first_grounding, SystemNotice)


def test_look_becomes_vision_request() -> None:
    assert drive(GroundingResult("c02"), LOOK).request == VisionRequest(Look("sign"), (TIMELINE.clips[1],))


def test_look_without_clip_becomes_notice() -> None:
    rollout = drive(GroundingResult(None), LOOK)
    assert isinstance(rollout.request, MasterRequest)
    assert "nothing to look at" in last_notice(rollout.trace)


def test_look_without_vision_agent_becomes_notice() -> None:
    rollout = drive(GroundingResult("c02"), LOOK, settings=RolloutSettings(agents=Agents.GROUNDING))
    assert "no vision agent" in last_notice(rollout.trace)


def test_look_result_becomes_observation() -> None:
    rollout = drive(GroundingResult("c02"), LOOK, VisionResult("a red sign"))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.trace.rounds[0].observation == VisionResult("a red sign")


def test_relocate_becomes_grounding_request() -> None:
    request = drive(GroundingResult("c02"), RELOCATE).request
    assert isinstance(request, GroundingRequest)
    assert request.request == "later"
    assert request.trace.visited_labels == ("c02",)


def test_relocate_new_clip_becomes_current() -> None:
    rollout = drive(GroundingResult("c02"), RELOCATE, GroundingResult("c04"), LOOK)
    assert rollout.trace.visited_labels == ("c02", "c04")
    assert rollout.request == VisionRequest(Look("sign"), (TIMELINE.clips[3],))


@pytest.mark.parametrize("label", ["c02", None, "nowhere"])
def test_relocate_known_or_missing_clip_keeps_current(label: str | None) -> None:
    rollout = drive(GroundingResult("c02"), RELOCATE, GroundingResult(label))
    assert last_notice(rollout.trace)
    assert rollout.trace.visited_labels == ("c02",)


def test_relocate_without_grounding_agent_becomes_notice() -> None:
    rollout = drive(RELOCATE, settings=RolloutSettings(agents=Agents.NONE))
    assert "no grounding agent" in last_notice(rollout.trace)


def test_no_grounding_agent_makes_whole_video_current() -> None:
    trace = drive(settings=RolloutSettings(agents=Agents.NONE)).trace
    assert isinstance(trace.first_grounding, ClipObservation)
    assert [line.text for line in trace.first_grounding.clip.subtitles] == ["one", "two", "three", "four"]


def test_answer_ends_rollout() -> None:
    rollout = drive(GroundingResult("c02"), ANSWER)
    assert rollout.request is None
    assert rollout.trace.outcome is Outcome.ANSWERED
    assert (rollout.trace.option_index, rollout.trace.answer) == (1, "blue")


def test_answer_without_option_is_kept_verbatim() -> None:
    trace = drive(GroundingResult("c02"), Reply("<answer>green</answer>")).trace
    assert trace.outcome is Outcome.ANSWERED
    assert (trace.option_index, trace.answer) == (None, "green")


def test_answer_empty_abstains() -> None:
    assert drive(GroundingResult("c02"), Reply("<answer> </answer>")).trace.outcome is Outcome.ABSTAINED


def test_reply_without_action_costs_round() -> None:
    rollout = drive(GroundingResult("c02"), TALK)
    assert isinstance(rollout.trace.rounds[0].action, Invalid)
    assert "No valid action" in last_notice(rollout.trace)
    assert rollout.trace.rounds_left == 4


@pytest.mark.parametrize("reply", [TALK, LOOK, RELOCATE])
def test_last_round_without_answer_is_spent(reply: Reply) -> None:
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
def test_agent_failure_is_never_an_answer(results: list[Result], agent: str) -> None:
    trace = drive(*results, AgentFailure(agent, "HTTP 503")).trace  # type: ignore[arg-type]
    assert trace.outcome is Outcome.FAILED
    assert trace.cause == f"{agent}: HTTP 503"
    assert trace.answer == ""


CALL = Usage(calls=1)


def test_budget_for_one_reply_makes_it_the_last() -> None:
    rollout = drive(GroundingResult("c02", usage=CALL), settings=RolloutSettings(max_calls=2))
    assert isinstance(rollout.request, MasterRequest)
    assert rollout.request.trace.is_last_round


def test_budget_refuses_action_and_asks_for_last_reply() -> None:
    rollout = drive(
        GroundingResult("c02", usage=CALL), Reply(LOOK.text, usage=CALL), settings=RolloutSettings(max_calls=3)
    )
    assert isinstance(rollout.request, MasterRequest)
    assert "budget" in last_notice(rollout.trace)
    rollout.receive(Reply(ANSWER.text, usage=CALL))
    assert (rollout.trace.outcome, rollout.trace.answer) == (Outcome.SPENT, "blue")
    assert rollout.trace.cause == "3 of 3 calls used"


@pytest.mark.parametrize(("reply", "outcome"), [(TALK, Outcome.SPENT), (LOOK, Outcome.SPENT), (ANSWER, Outcome.SPENT)])
def test_budget_ends_rollout_with_best_answer(reply: Reply, outcome: Outcome) -> None:
    trace = drive(
        GroundingResult("c02", usage=CALL), replace(reply, usage=CALL), settings=RolloutSettings(max_calls=2)
    ).trace
    assert (trace.outcome, trace.cause) == (outcome, "2 of 2 calls used")
    assert trace.answer == ("blue" if reply is ANSWER else "")


def test_budget_reserves_cost_of_latest_reply() -> None:
    def must_answer(settings: RolloutSettings) -> bool:
        spent = Usage(calls=1, prompt_tokens=30, completion_tokens=10, usd=0.5)
        rollout = drive(GroundingResult("c02"), Reply(TALK.text, usage=spent), settings=settings)
        assert isinstance(rollout.request, MasterRequest)
        return rollout.trace.must_answer

    assert [must_answer(RolloutSettings(max_tokens=limit)) for limit in (80, 119, 120)] == [True, True, False]
    assert [must_answer(RolloutSettings(max_usd=limit)) for limit in (1.0, 1.49, 1.5)] == [True, True, False]


def test_budget_exceeded_still_asks_for_last_reply() -> None:
    for settings in (RolloutSettings(max_calls=1), RolloutSettings(max_tokens=5), RolloutSettings(max_usd=0.1)):
        rollout = drive(GroundingResult("c02", usage=Usage(calls=1, prompt_tokens=9, usd=0.2)), settings=settings)
        assert isinstance(rollout.request, MasterRequest)
        assert rollout.request.trace.is_last_round
        rollout.receive(replace(ANSWER, usage=CALL))
        assert (rollout.trace.outcome, rollout.trace.answer) == (Outcome.SPENT, "blue")


def test_budget_refuses_action_by_cost_of_earlier_one() -> None:
    look, reply = Usage(calls=1, prompt_tokens=100), Usage(calls=1, prompt_tokens=10)
    results = (
        GroundingResult("c02"),
        replace(LOOK, usage=reply),
        VisionResult("x", usage=look),
        replace(LOOK, usage=reply),
    )
    assert isinstance(drive(*results, settings=RolloutSettings(max_tokens=230)).request, VisionRequest)
    assert "budget" in last_notice(drive(*results, settings=RolloutSettings(max_tokens=229)).trace)


def test_budget_counts_all_parallel_looks() -> None:
    grounding = GroundingResult("c02", candidates=CANDIDATES, usage=CALL)
    look = replace(LOOK, usage=CALL)
    assert isinstance(
        drive(grounding, look, settings=RolloutSettings(max_calls=6, parallel_looks=3)).request, VisionRequest
    )
    assert "budget" in last_notice(
        drive(grounding, look, settings=RolloutSettings(max_calls=5, parallel_looks=3)).trace
    )


def test_budget_answer_within_it_is_answered() -> None:
    rollout = drive(GroundingResult("c02"), Reply(ANSWER.text, usage=CALL), settings=RolloutSettings(max_calls=2))
    assert rollout.trace.outcome is Outcome.ANSWERED


def test_warnings_are_deduplicated() -> None:
    reply = replace(TALK, warnings=("only half fitted",))
    trace = drive(GroundingResult("c02", warnings=("only half fitted",)), reply, reply).trace
    assert trace.warnings == ("only half fitted",)


# --- parallel looks -----------------------------------------------------------------------------

CANDIDATES = (Candidate("c04"), Candidate("../x"), Candidate("c02"), Candidate("c01"), Candidate("c03"))


def candidate_windows(settings: RolloutSettings, *before: Result) -> list[list[str]]:
    request = drive(*before, GroundingResult("c02", candidates=CANDIDATES), LOOK, settings=settings).request
    assert isinstance(request, VisionRequest)
    return [[clip.label for clip in clips] for clips in request.candidate_windows]


def test_parallel_looks_include_candidates() -> None:
    assert candidate_windows(RolloutSettings()) == []
    assert candidate_windows(RolloutSettings(parallel_looks=3)) == [["c04"], ["c01"]]
    assert candidate_windows(RolloutSettings(parallel_looks=9, window=2)) == [["c03", "c04"], ["c01", "c02"]]


def test_parallel_looks_skip_visited_candidates() -> None:
    before = (GroundingResult("c04"), RELOCATE)
    assert candidate_windows(RolloutSettings(parallel_looks=9), *before) == [["c01"], ["c03"]]


@pytest.mark.parametrize(
    ("results", "wrong"),
    [
        ([], ANSWER),
        ([GroundingResult("c02")], VisionResult("x")),
        ([GroundingResult("c02"), LOOK], GroundingResult("c03")),
        ([GroundingResult("c02"), ANSWER], ANSWER),
    ],
)
def test_result_of_wrong_type_is_protocol_error(results: list[Result], wrong: Result) -> None:
    with pytest.raises(ProtocolError):
        drive(*results).receive(wrong)


def test_window_holds_neighbouring_clips() -> None:
    def labels(label: str, window: int) -> list[str]:
        request = drive(GroundingResult(label), LOOK, settings=RolloutSettings(window=window)).request
        assert isinstance(request, VisionRequest)
        return [clip.label for clip in request.window]

    assert labels("c02", 1) == ["c02"]
    assert labels("c02", 2) == ["c02", "c03"]
    assert labels("c02", 3) == ["c01", "c02", "c03"]
    assert labels("c01", 3) == ["c01", "c02", "c03"]
    assert labels("c04", 2) == ["c03", "c04"]
    assert labels("c03", 9) == ["c01", "c02", "c03", "c04"]


def test_rollout_pickles_between_calls() -> None:
    results: list[Result] = [GroundingResult("c02"), LOOK, VisionResult("x"), RELOCATE, GroundingResult("c03"), ANSWER]
    rollout = Rollout(QUESTION, TIMELINE)
    for result in results:
        rollout = pickle.loads(pickle.dumps(rollout))
        rollout.receive(result)
    assert rollout.trace == drive(*results).trace
    assert isinstance(rollout.trace.rounds[-1].action, Answer)


def test_failure_of_wrong_agent_is_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        drive(AgentFailure("vision", "down"))


@pytest.mark.parametrize("field", ["max_rounds", "window", "max_calls", "max_tokens", "parallel_looks", "max_usd"])
def test_settings_zero_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        RolloutSettings(**{field: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("results", "settings", "reason"),
    [
        ([ANSWER], RolloutSettings(), StopReason.ANSWERED),
        ([Reply("<answer/></answer><answer></answer>")], RolloutSettings(), StopReason.ABSTAINED),
        ([TALK], RolloutSettings(max_rounds=1), StopReason.MAX_ROUNDS),
        ([replace(TALK, usage=CALL)], RolloutSettings(max_calls=1), StopReason.MAX_CALLS),
        ([replace(TALK, usage=Usage(completion_tokens=9))], RolloutSettings(max_tokens=1), StopReason.MAX_TOKENS),
        ([replace(ANSWER, usage=Usage(usd=0.2))], RolloutSettings(max_usd=1e-9), StopReason.MAX_USD),
        (
            [AgentFailure("master", "HTTP 503", stop_reason=StopReason.UNAVAILABLE)],
            RolloutSettings(),
            StopReason.UNAVAILABLE,
        ),
    ],
)
def test_stop_reason(results: list[Result], settings: RolloutSettings, reason: StopReason) -> None:
    usage = Usage(calls=1, completion_tokens=9, usd=0.2)
    trace = drive(GroundingResult("c02", usage=usage), *results, settings=settings).trace
    assert trace.stop_reason is reason
    assert trace.outcome is reason.outcome


def test_every_stop_reason_has_an_outcome() -> None:
    assert {reason.outcome for reason in StopReason} == set(Outcome)


def test_history_is_kept_in_the_trace() -> None:
    earlier = drive(GroundingResult("c02"), ANSWER).trace
    assert Rollout(QUESTION, TIMELINE, history=(earlier,)).trace.history == (earlier,)
