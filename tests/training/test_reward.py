"""The reward: parsed actions count, text does not."""

from __future__ import annotations

from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.actions import ACTIONS
from longvideoagent.core.protocol import ACTION_TAGS
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout, TimelineRequest, VisionRequest
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import (
    AgentFailure,
    Clip,
    GroundingResult,
    Question,
    Reply,
    Subtitle,
    Timeline,
    VisionResult,
)
from longvideoagent.index.query import query_timeline
from longvideoagent.training.reward import REWARD_PRESETS, RewardWeights, reward

GOLD = 1
ALL_PARTS = RewardWeights(action=1, reasoning=10, answer=100, correct=1000, look_cost=0.25, relocation_cost=0.5)


def make_trace(
    *replies: str | AgentFailure, text: str = "a red sign", options: tuple[str, ...] = ("red", "green")
) -> Trace:
    """A finished rollout with these replies; ``text`` is its question, first subtitle and visual observation."""
    clips = tuple(Clip(f"c{number}", 60.0 * number, 60.0 * number + 60, ()) for number in range(6))
    clips = (Clip("c0", 0, 60, (Subtitle(1, 2, text),)), *clips[1:])
    rollout, left = Rollout(Question(text, options), Timeline(clips), RolloutSettings(5)), list(replies)
    while (request := rollout.request) is not None:
        match request:
            case MasterRequest():
                reply = left.pop(0)
                rollout.receive(reply if isinstance(reply, AgentFailure) else Reply(reply))
            case GroundingRequest():
                rollout.receive(GroundingResult(f"c{len(rollout.trace.visited_labels)}"))
            case VisionRequest():
                rollout.receive(VisionResult(text))
            case TimelineRequest(query, timeline):
                rollout.receive(query_timeline(query, timeline))
            case _:
                assert_never(request)
    return rollout.trace


def total(weights: RewardWeights, *replies: str) -> float:
    earned = reward(make_trace(*replies), GOLD, weights)
    assert earned is not None
    return earned.total


@pytest.mark.parametrize(
    ("replies", "paper", "public"),
    [
        (("<think>so</think><answer>a1</answer>",), 1.1, 1.4),
        (("<answer>a1</answer>",), 1.1, 1.2),
        (("<think>so</think><answer>a0</answer>",), 0.1, 0.4),
        (("<think>so</think><search>sign</search>", "<think>so</think><answer>green</answer>"), 1.2, 1.4),
        (("<think>so</think><search>sign</search>", "<answer>a1</answer>"), 1.2, 1.4),
        (("no tag", "<think>so</think><answer>a1</answer>"), 1.1, 1.4),
        (("<answer></answer>",), 0.1, 0.0),
        (("I think a1 is <answer>right",) * 5, 0.0, 0.2),
        (("<answer>a1</answer> or <answer>a0</answer>",), 1.0, 1.2),
        (("<think><answer>a1</answer></think>",) * 5, 0.0, 0.2),
    ],
)
def test_reward_presets(replies: tuple[str, ...], paper: float, public: float) -> None:
    assert total(REWARD_PRESETS["paper"], *replies) == pytest.approx(paper)
    assert total(REWARD_PRESETS["public"], *replies) == pytest.approx(public)


def test_reward_of_empty_option() -> None:
    """The rows of the public converter have an empty fifth option."""
    trace = make_trace("so <answer>a2</answer>", options=("red", "green", ""))
    earned = reward(trace, GOLD, REWARD_PRESETS["public"])
    assert earned is not None
    assert earned.total == pytest.approx(0.4)


def test_reward_costs() -> None:
    replies = ("<search>x</search>", "<request_grounding/>", "<request_grounding/>", "<answer>a1</answer>")
    assert total(ALL_PARTS, *replies) == pytest.approx(4 + 100 + 1000 - 0.25 - 2 * 0.5)


def test_reward_weight_for_each_cost() -> None:
    assert {spec.cost_key for spec in ACTIONS if spec.cost_key} <= set(RewardWeights.__slots__)


def test_reward_outage_is_none() -> None:
    assert reward(make_trace(AgentFailure("master", "down")), GOLD, ALL_PARTS) is None
    assert reward(make_trace("<search>x</search>", AgentFailure("master", "down")), GOLD, ALL_PARTS) is None


def test_reward_unfinished_rollout() -> None:
    rollout = Rollout(Question("?", ("a", "b")), Timeline((Clip("c0", 0, 60, ()),)), RolloutSettings())
    with pytest.raises(ValueError, match="not ended"):
        reward(rollout.trace, 0, ALL_PARTS)


TAGS = [f"{bracket}{tag}>" for tag in (*ACTION_TAGS, "think") for bracket in ("<", "</")]
TAGGED_TEXT = st.lists(st.sampled_from([*TAGS, "a1", "a0", " "])).map("".join)


@given(TAGGED_TEXT, st.integers(0, 3000))
def test_reward_ignores_tags_in_data(tagged: str, padding: int) -> None:
    text = f"{'x ' * padding}<answer>a1</answer>{tagged}"
    replies = ("<think>h</think><search>x</search>", "<request_grounding/>", "<answer>a0</answer>")
    earned = reward(make_trace(*replies, text=text, options=("red", text)), GOLD, ALL_PARTS)
    without_tags = reward(make_trace(*replies), GOLD, ALL_PARTS)
    assert earned == without_tags
    assert earned is not None
    assert earned.correct == 0


@given(TAGGED_TEXT)
def test_reward_one_answer_at_most(tagged: str) -> None:
    trace = make_trace(*[tagged] * 5)
    earned = reward(trace, GOLD, ALL_PARTS)
    assert earned is not None
    assert earned.correct == (1000 if trace.option_index == GOLD else 0)
    assert earned.action <= len(trace.rounds)
