"""The metrics of a run, against values computed by hand and by enumeration."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.actions import ACTIONS, AGENT_NAMES
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import AgentFailure, GroundingResult, Question, Reply, TimeSpan, Usage, VisionResult
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.evaluation.compare import VideoGain, bootstrap, mcnemar, sign_flip
from longvideoagent.evaluation.metrics import accuracy, calibration, estimate, summarize
from longvideoagent.evaluation.score import GroundingScore, SampleScore, score_sample
from tests.plugins.timelines import make_timeline

TIMELINE = make_timeline(["Mira: Hello."], ["Otto: A rope."], ["Lena: A kite."])
QUESTION = Question("What does Otto hold?", ("a rope", "a kite"), "q1")
GOLD = Gold(0, "c02", TIMELINE.clips[1].start_s + 1, TIMELINE.clips[1].start_s + 3)


def finish(
    *results: Reply | GroundingResult | VisionResult | AgentFailure, settings: RolloutSettings | None = None
) -> Trace:
    rollout = Rollout(QUESTION, TIMELINE, settings)
    for result in results:
        rollout.receive(result)
    assert rollout.request is None
    return rollout.trace


def make_score(
    video: str, correct: bool, confidence: float | None = None, outcome: Outcome = Outcome.ANSWERED
) -> SampleScore:
    return SampleScore(
        id=f"{video}{correct}",
        video=video,
        kind="what",
        question_word="what",
        outcome=outcome,
        has_gold=True,
        correct=correct,
        is_invalid=False,
        confidence=confidence,
        grounding=GroundingScore(),
        num_rounds=1,
        actions={spec.count_name: 0 for spec in ACTIONS},
        usage={agent: Usage() for agent in AGENT_NAMES},
    )


def test_score_of_a_trace() -> None:
    trace = finish(
        GroundingResult("c01", usage=Usage(calls=1)),
        Reply("<request_grounding>rope</request_grounding>", usage=Usage(calls=1, prompt_tokens=5)),
        GroundingResult("c02", usage=Usage(calls=2)),
        Reply("<visual_query>a rope?</visual_query>", usage=Usage(calls=1)),
        VisionResult("a rope", usage=Usage(calls=1, images=15)),
        Reply("<answer>a0</answer>", confidence=0.75, usage=Usage(calls=1)),
    )
    score = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert (score.correct, score.confidence, score.question_word) == (True, 0.75, "what")
    assert (score.num_rounds, score.actions["looks"], score.actions["relocations"]) == (3, 1, 1)
    assert (score.grounding.first, score.grounding.last, score.grounding.any) == (False, True, True)
    assert score.grounding.coverage == 1.0
    clip = TIMELINE.clips[1]
    assert score.grounding.iou == pytest.approx(2 / (clip.end_s - clip.start_s))
    master, grounding, vision = score.usage.values()
    assert (master.calls, grounding.calls, vision.calls, vision.images, master.prompt_tokens) == (3, 3, 1, 15, 5)


def test_score_window_includes_neighbours() -> None:
    trace = finish(GroundingResult("c01"), Reply("<answer>a0</answer>"), settings=RolloutSettings(window=3))
    score = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace).grounding
    assert (score.first, score.window) == (False, True)


def test_score_several_gold_spans() -> None:
    first, second, third = (TimeSpan(clip.start_s, clip.end_s) for clip in TIMELINE.clips)
    gold = Gold(0, None, *first, more_spans=(second, TimeSpan(third.start_s, third.start_s + 1)))
    for label, iou in (("c01", 1.0), ("c02", 1.0), ("c03", 1 / 60)):
        trace = finish(GroundingResult(label), Reply("<answer>a0</answer>"))
        score = score_sample(Sample(QUESTION, gold, "what", "v"), trace).grounding
        assert score.iou == pytest.approx(iou)
        assert score.coverage == 1.0


@pytest.mark.parametrize(("label", "iou", "coverage"), [("c01", 0.0, 1.0), ("c02", 1 / 6, 1.0), ("c03", 0.0, 0.0)])
@pytest.mark.parametrize("is_moment_first", [True, False])
def test_score_moment_and_span(label: str, iou: float, coverage: float, is_moment_first: bool) -> None:
    start_s = TIMELINE.clips[1].start_s
    moment, span = TimeSpan(15.0, 15.0), TimeSpan(start_s + 20, start_s + 30)
    first, second = (moment, span) if is_moment_first else (span, moment)
    trace = finish(GroundingResult(label), Reply("<answer>a0</answer>"))
    score = score_sample(Sample(QUESTION, Gold(0, None, *first, more_spans=(second,)), "what", "v"), trace).grounding
    assert score.iou == pytest.approx(iou)
    assert score.coverage == coverage


def test_score_failure_usage() -> None:
    trace = finish(GroundingResult("c02"), AgentFailure("master", "down", Usage(calls=6)))
    score = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert (score.outcome, score.correct, score.usage["master"].calls) == (Outcome.FAILED, False, 6)


def test_score_invalid_answer() -> None:
    score = score_sample(
        Sample(QUESTION, GOLD, "what", "v"), finish(GroundingResult("c02"), Reply("<answer>a boat</answer>"))
    )
    assert (score.is_invalid, score.correct, score.outcome) == (True, False, Outcome.ANSWERED)


def test_score_without_gold() -> None:
    score = score_sample(
        Sample(QUESTION, Gold(None), "what", "v"), finish(GroundingResult("c02"), Reply("<answer>a0</answer>"))
    )
    assert accuracy([score]) is None
    assert score.grounding == GroundingScore()


def test_estimate_clusters_by_video() -> None:
    apart = estimate((f"v{number}", float(number % 2)) for number in range(40))
    together = estimate((f"v{number // 10}", float(number // 10 % 2)) for number in range(40))
    assert apart is not None
    assert together is not None
    assert apart.mean == together.mean == 0.5
    assert apart.standard_error == pytest.approx(math.sqrt(0.25 / 39))
    assert together.standard_error == pytest.approx(math.sqrt(0.25 / 3))


@given(st.lists(st.booleans(), min_size=2, max_size=60))
def test_estimate_one_question_a_video(results: list[bool]) -> None:
    result = estimate((str(number), float(correct)) for number, correct in enumerate(results))
    assert result is not None
    share = sum(results) / len(results)
    assert result.standard_error == pytest.approx(math.sqrt(share * (1 - share) / (len(results) - 1)))
    low, high = result.interval or (0, 0)
    assert 0 <= low <= result.mean <= high <= 1
    assert low < high


@pytest.mark.parametrize(("share", "interval"), [(1.0, (0.05**0.1, 1.0)), (0.0, (0.0, 1 - 0.05**0.1)), (1 / 3, None)])
def test_estimate_equal_videos(share: float, interval: tuple[float, float] | None) -> None:
    result = estimate((f"v{number // 3}", float(number % 3 < 3 * share)) for number in range(30))
    assert result is not None
    assert (result.mean, result.standard_error, result.interval) == (share, 0.0, interval and pytest.approx(interval))


@pytest.mark.parametrize("results", [[1.0], [1.0, 1.0], [1.0, 0.0, 0.0]])
def test_estimate_single_video(results: list[float]) -> None:
    result = estimate(("v", result) for result in results)
    assert result is not None
    assert (result.standard_error, result.interval, result.num_questions) == (None, None, len(results))


def test_summary_both_denominators() -> None:
    scores = [make_score("a", True), make_score("b", False), make_score("c", False, outcome=Outcome.FAILED)]
    summary = summarize(scores, 4)
    assert summary["accuracy"]["mean"] == pytest.approx(1 / 3)
    assert summary["accuracy_not_failed"]["mean"] == pytest.approx(1 / 2)
    assert (summary["num_questions"], summary["num_finished"], summary["outcomes"]["failed"]) == (4, 3, 1)


def test_calibration_by_hand() -> None:
    scores = [
        make_score("a", True, 0.95),
        make_score("b", False, 0.95),
        make_score("c", True, 0.25),
        make_score("d", True, 1.0),
    ]
    result = calibration(scores)
    high = 3 * abs((0.95 + 0.95 + 1.0) / 3 - 2 / 3)
    assert result["ece"] == pytest.approx((high + abs(0.25 - 1)) / 4)
    assert [bin_["num_answers"] for bin_ in result["bins"]] == [1, 3]
    assert result["accuracy_at_coverage"]["0.2"] == 1.0  # the most confident one
    assert result["accuracy_at_coverage"]["1.0"] == 0.75


def test_calibration_ties() -> None:
    scores = [make_score(f"v{n}", correct, 0.5) for n, correct in enumerate([True] * 5 + [False] * 5)]
    scores += [make_score("sure", True, 0.9), make_score("unsure", False, 0.1)]
    for seed in range(5):
        random.Random(seed).shuffle(scores)
        best = calibration(scores)["accuracy_at_coverage"]
        assert best["0.1"] == pytest.approx((1 + 0.5) / 2)  # two of twelve: the confident one, and any of the ten
        assert (best["0.8"], best["1.0"]) == (pytest.approx((1 + 9 * 0.5) / 10), 0.5)


@pytest.mark.parametrize("stated", [math.nan, math.inf, -0.1, 1.5])
def test_calibration_ignores_invalid_confidence(stated: float) -> None:
    trace = finish(GroundingResult("c02"), Reply("<answer>a0</answer>", confidence=stated))
    score = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert score.confidence is None
    assert summarize([score], 1)["calibration"]["num_answers"] == 0


def test_score_moment_has_no_iou() -> None:
    middle_s = TIMELINE.clips[1].start_s + 1
    moment = Gold(0, "c02", middle_s, middle_s)
    for label, coverage in (("c02", 1.0), ("c01", 0.0), (None, 0.0)):
        score = score_sample(
            Sample(QUESTION, moment, "what", "v"), finish(GroundingResult(label), Reply("<answer>a0</answer>"))
        )
        assert (score.grounding.iou, score.grounding.coverage) == (None, coverage)
        assert score.grounding.last is (label == "c02")


def test_score_answer_of_a_spent_rollout() -> None:
    settings = RolloutSettings(max_calls=2)
    trace = finish(GroundingResult("c02", usage=Usage(calls=1)), Reply("<answer>a0</answer>"), settings=settings)
    score = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert (score.outcome, score.correct) == (Outcome.SPENT, True)


def test_calibration_without_confidence() -> None:
    assert calibration([make_score("a", True)])["ece"] is None


@pytest.mark.parametrize(
    ("gained", "lost", "p"), [(0, 0, 1.0), (5, 5, 1.0), (8, 1, 0.0390625), (10, 2, 0.03857421875), (0, 6, 0.03125)]
)
def test_mcnemar_is_exact(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p)
    assert mcnemar(lost, gained) == pytest.approx(p)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_equals_enumeration(gained: int, lost: int) -> None:
    flips = gained + lost
    ways = sum(math.comb(flips, heads) for heads in range(min(gained, lost) + 1))
    assert mcnemar(gained, lost) == pytest.approx(min(1.0, 2 * ways / 2**flips), rel=1e-10)


def test_mcnemar_of_many_flips() -> None:
    assert mcnemar(9_800, 10_200) == pytest.approx(math.erfc(399 / math.sqrt(2 * 20_000)), rel=0.01)


@given(st.lists(st.integers(-3, 3), max_size=9))
def test_sign_flip_equals_enumeration(gains: list[int]) -> None:
    ways = [sum(signs) for signs in itertools.product(*((gain, -gain) for gain in gains))]
    far = sum(abs(way) >= abs(sum(gains)) for way in ways)
    assert sign_flip(gains) == pytest.approx(far / len(ways))


@pytest.mark.parametrize(("gained", "lost"), [(8, 1), (10, 2), (0, 6), (0, 0)])
def test_sign_flip_equals_mcnemar_for_single_questions(gained: int, lost: int) -> None:
    assert sign_flip([1] * gained + [-1] * lost + [0] * 5) == pytest.approx(mcnemar(gained, lost))


def test_sign_flip_single_video() -> None:
    assert sign_flip([20]) == 1.0
    assert bootstrap([VideoGain(20, 20)]) is None


def test_bootstrap_draws_videos() -> None:
    interval = bootstrap([VideoGain(number % 2, 1) for number in range(100)])
    assert interval == pytest.approx((0.4, 0.6), abs=0.03)
    assert bootstrap([VideoGain(50, 50), VideoGain(0, 50)]) == (0.0, 1.0)


def test_bootstrap_equal_gains() -> None:
    assert bootstrap([VideoGain(1, 2), VideoGain(2, 4)]) is None
