"""The numbers of a run, against values worked out by hand and against plain restatements."""

from __future__ import annotations

import itertools
import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.outcome import Outcome
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import AgentFailure, GroundingResult, Question, Reply, Usage, VisionResult
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.evaluation.compare import bootstrap, mcnemar, sign_flip
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


def judged(
    video: str, right: bool, confidence: float | None = None, outcome: Outcome = Outcome.ANSWERED
) -> SampleScore:
    nothing = (Usage(), Usage(), Usage())
    return SampleScore(
        f"{video}{right}",
        video,
        "what",
        "what",
        outcome,
        True,
        right,
        False,
        confidence,
        GroundingScore(),
        1,
        0,
        0,
        0,
        nothing,
    )


def test_a_trace_is_judged_by_its_own_end() -> None:
    trace = finish(
        GroundingResult("c01", usage=Usage(calls=1)),
        Reply("<request_grounding>rope</request_grounding>", usage=Usage(calls=1, prompt_tokens=5)),
        GroundingResult("c02", usage=Usage(calls=2)),
        Reply("<visual_query>a rope?</visual_query>", usage=Usage(calls=1)),
        VisionResult("a rope", usage=Usage(calls=1, images=15)),
        Reply("<answer>a0</answer>", confidence=0.75, usage=Usage(calls=1)),
    )
    told = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert (told.is_correct, told.confidence, told.word) == (True, 0.75, "what")
    assert (told.rounds, told.looks, told.relocations) == (3, 1, 1)
    assert (told.grounding.first, told.grounding.last, told.grounding.any) == (False, True, True)
    assert told.grounding.covered == 1.0
    clip = TIMELINE.clips[1]
    assert told.grounding.iou == pytest.approx(2 / (clip.end_s - clip.start_s))
    master, grounding, vision = told.usage
    assert (master.calls, grounding.calls, vision.calls, vision.images, master.prompt_tokens) == (3, 3, 1, 15, 5)


def test_the_neighbours_of_the_located_clip_count_as_window() -> None:
    trace = finish(GroundingResult("c01"), Reply("<answer>a0</answer>"), settings=RolloutSettings(window=3))
    told = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace).grounding
    assert (told.first, told.window) == (False, True)


def test_any_of_several_gold_spans_will_do() -> None:
    first, second, third = ((clip.start_s, clip.end_s) for clip in TIMELINE.clips)
    gold = Gold(0, None, *first, more_spans=(second, (third[0], third[0] + 1)))
    for label, iou in (("c01", 1.0), ("c02", 1.0), ("c03", 1 / 60)):
        trace = finish(GroundingResult(label), Reply("<answer>a0</answer>"))
        told = score_sample(Sample(QUESTION, gold, "what", "v"), trace).grounding
        assert told.iou == pytest.approx(iou)
        assert told.covered == 1.0


@pytest.mark.parametrize(("label", "iou", "covered"), [("c01", 0.0, 1.0), ("c02", 1 / 6, 1.0), ("c03", 0.0, 0.0)])
@pytest.mark.parametrize("is_moment_first", [True, False])
def test_a_moment_and_a_span_are_both_gold(label: str, iou: float, covered: float, is_moment_first: bool) -> None:
    start_s = TIMELINE.clips[1].start_s
    moment, span = (15.0, 15.0), (start_s + 20, start_s + 30)
    first, second = (moment, span) if is_moment_first else (span, moment)
    trace = finish(GroundingResult(label), Reply("<answer>a0</answer>"))
    told = score_sample(Sample(QUESTION, Gold(0, None, *first, more_spans=(second,)), "what", "v"), trace).grounding
    assert told.iou == pytest.approx(iou)
    assert told.covered == covered


def test_an_outage_is_told_apart_and_its_cost_is_the_agents() -> None:
    trace = finish(GroundingResult("c02"), AgentFailure("master", "down", Usage(calls=6)))
    told = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert (told.outcome, told.is_correct, told.usage[0].calls) == (Outcome.FAILED, False, 6)


def test_an_answer_that_names_no_option_is_invalid_and_wrong() -> None:
    told = score_sample(
        Sample(QUESTION, GOLD, "what", "v"), finish(GroundingResult("c02"), Reply("<answer>a boat</answer>"))
    )
    assert (told.is_invalid, told.is_correct, told.outcome) == (True, False, Outcome.ANSWERED)


def test_without_gold_nothing_is_claimed() -> None:
    told = score_sample(
        Sample(QUESTION, Gold(None), "what", "v"), finish(GroundingResult("c02"), Reply("<answer>a0</answer>"))
    )
    assert accuracy([told]) is None
    assert told.grounding == GroundingScore()


def test_questions_of_one_episode_count_less_than_independent_ones() -> None:
    apart = estimate((f"v{number}", float(number % 2)) for number in range(40))
    together = estimate((f"v{number // 10}", float(number // 10 % 2)) for number in range(40))
    assert apart is not None
    assert together is not None
    assert apart.mean == together.mean == 0.5
    assert apart.error == pytest.approx(math.sqrt(0.25 / 39))
    assert together.error == pytest.approx(math.sqrt(0.25 / 3))


@given(st.lists(st.booleans(), min_size=2, max_size=60))
def test_one_question_an_episode_gives_the_usual_standard_error(rights: list[bool]) -> None:
    told = estimate((str(number), float(right)) for number, right in enumerate(rights))
    assert told is not None
    share = sum(rights) / len(rights)
    assert told.error == pytest.approx(math.sqrt(share * (1 - share) / (len(rights) - 1)))
    low, high = told.interval or (0, 0)
    assert 0 <= low <= told.mean <= high <= 1
    assert low < high


@pytest.mark.parametrize(("share", "interval"), [(1.0, (0.05**0.1, 1.0)), (0.0, (0.0, 1 - 0.05**0.1)), (1 / 3, None)])
def test_episodes_that_do_not_differ_are_not_certain(share: float, interval: tuple[float, float] | None) -> None:
    told = estimate((f"v{number // 3}", float(number % 3 < 3 * share)) for number in range(30))
    assert told is not None
    assert (told.mean, told.error, told.interval) == (share, 0.0, interval and pytest.approx(interval))


@pytest.mark.parametrize("rights", [[1.0], [1.0, 1.0], [1.0, 0.0, 0.0]])
def test_a_single_episode_tells_no_error(rights: list[float]) -> None:
    told = estimate(("v", right) for right in rights)
    assert told is not None
    assert (told.error, told.interval, told.n) == (None, None, len(rights))


def test_failures_stand_in_both_denominators() -> None:
    told = [judged("a", True), judged("b", False), judged("c", False, outcome=Outcome.FAILED)]
    summary = summarize(told, 4)
    assert summary["accuracy"]["mean"] == pytest.approx(1 / 3)
    assert summary["accuracy_not_failed"]["mean"] == pytest.approx(1 / 2)
    assert (summary["questions"], summary["finished"], summary["outcomes"]["failed"]) == (4, 3, 1)


def test_calibration_by_hand() -> None:
    sure = [judged("a", True, 0.95), judged("b", False, 0.95), judged("c", True, 0.25), judged("d", True, 1.0)]
    told = calibration(sure)
    high = 3 * abs((0.95 + 0.95 + 1.0) / 3 - 2 / 3)
    assert told["ece"] == pytest.approx((high + abs(0.25 - 1)) / 4)
    assert [each["n"] for each in told["bins"]] == [1, 3]
    assert told["accuracy_at_coverage"]["0.2"] == 1.0  # the surest one
    assert told["accuracy_at_coverage"]["1.0"] == 0.75


def test_answers_of_equal_confidence_have_no_order() -> None:
    told = [judged(f"v{n}", right, 0.5) for n, right in enumerate([True] * 5 + [False] * 5)]
    told += [judged("sure", True, 0.9), judged("unsure", False, 0.1)]
    for seed in range(5):
        random.Random(seed).shuffle(told)
        best = calibration(told)["accuracy_at_coverage"]
        assert best["0.1"] == pytest.approx((1 + 0.5) / 2)  # two of twelve: the sure one, and any of the ten
        assert (best["0.8"], best["1.0"]) == (pytest.approx((1 + 9 * 0.5) / 10), 0.5)


@pytest.mark.parametrize("stated", [math.nan, math.inf, -0.1, 1.5])
def test_a_confidence_that_is_no_probability_counts_as_none(stated: float) -> None:
    trace = finish(GroundingResult("c02"), Reply("<answer>a0</answer>", confidence=stated))
    told = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert told.confidence is None
    assert summarize([told], 1)["calibration"]["n"] == 0


def test_a_moment_is_in_the_window_or_not_and_has_no_overlap() -> None:
    middle_s = TIMELINE.clips[1].start_s + 1
    moment = Gold(0, "c02", middle_s, middle_s)
    for label, covered in (("c02", 1.0), ("c01", 0.0), (None, 0.0)):
        told = score_sample(
            Sample(QUESTION, moment, "what", "v"), finish(GroundingResult(label), Reply("<answer>a0</answer>"))
        )
        assert (told.grounding.iou, told.grounding.covered) == (None, covered)
        assert told.grounding.last is (label == "c02")


def test_what_was_answered_when_the_budget_was_spent_counts_like_any_answer() -> None:
    settings = RolloutSettings(max_calls=2)
    trace = finish(GroundingResult("c02", usage=Usage(calls=1)), Reply("<answer>a0</answer>"), settings=settings)
    told = score_sample(Sample(QUESTION, GOLD, "what", "v"), trace)
    assert (told.outcome, told.is_correct) == (Outcome.SPENT, True)


def test_calibration_of_a_master_that_states_none_is_empty() -> None:
    assert calibration([judged("a", True)])["ece"] is None


@pytest.mark.parametrize(
    ("gained", "lost", "p"), [(0, 0, 1.0), (5, 5, 1.0), (8, 1, 0.0390625), (10, 2, 0.03857421875), (0, 6, 0.03125)]
)
def test_mcnemar_is_exact(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p)
    assert mcnemar(lost, gained) == pytest.approx(p)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_counts_every_way_in_which_a_coin_may_fall(gained: int, lost: int) -> None:
    flips = gained + lost
    ways = sum(math.comb(flips, heads) for heads in range(min(gained, lost) + 1))
    assert mcnemar(gained, lost) == pytest.approx(min(1.0, 2 * ways / 2**flips), rel=1e-10)


def test_mcnemar_of_many_flips_is_soon_told() -> None:
    begun_s = time.monotonic()
    assert mcnemar(9_800, 10_200) == pytest.approx(math.erfc(399 / math.sqrt(2 * 20_000)), rel=0.01)
    assert time.monotonic() - begun_s < 2


@given(st.lists(st.integers(-3, 3), max_size=9))
def test_the_sign_flip_test_counts_every_way_to_swap_the_runs_of_an_episode(gains: list[int]) -> None:
    ways = [sum(signs) for signs in itertools.product(*((gain, -gain) for gain in gains))]
    far = sum(abs(way) >= abs(sum(gains)) for way in ways)
    assert sign_flip(gains) == pytest.approx(far / len(ways))


@pytest.mark.parametrize(("gained", "lost"), [(8, 1), (10, 2), (0, 6), (0, 0)])
def test_with_one_question_an_episode_it_is_mcnemars_test(gained: int, lost: int) -> None:
    assert sign_flip([1] * gained + [-1] * lost + [0] * 5) == pytest.approx(mcnemar(gained, lost))


def test_one_episode_shows_nothing_however_many_questions_it_has() -> None:
    assert sign_flip([20]) == 1.0
    assert bootstrap([(20, 20)]) is None


def test_the_bootstrap_draws_episodes_and_not_questions() -> None:
    on_throttled = bootstrap([(number % 2, 1) for number in range(100)])
    assert on_throttled == pytest.approx((0.4, 0.6), abs=0.03)
    assert bootstrap([(50, 50), (0, 50)]) == (0.0, 1.0)


def test_episodes_that_all_gain_alike_are_not_certain() -> None:
    assert bootstrap([(1, 2), (2, 4)]) is None
