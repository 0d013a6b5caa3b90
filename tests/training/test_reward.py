"""The reward scores the rollout's own actions, and no text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.core.protocol import ACTION_TAGS
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout
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
from longvideoagent.training.reward import PRESETS, Weights, reward

RIGHT = 1
EVERYTHING = Weights(action=1, reasoning=10, answer=100, right=1000, look_cost=0.25, relocation_cost=0.5)


def play(*replies: str | AgentFailure, told: str = "a red sign", options: tuple[str, ...] = ("red", "green")) -> Trace:
    """A finished rollout whose master says these."""
    clips = tuple(Clip(f"c{number}", 60.0 * number, 60.0 * number + 60, ()) for number in range(6))
    clips = (Clip("c0", 0, 60, (Subtitle(1, 2, told),)), *clips[1:])
    rollout, left = Rollout(Question(told, options), Timeline(clips), RolloutSettings(5)), list(replies)
    while (request := rollout.request) is not None:
        if isinstance(request, MasterRequest):
            said = left.pop(0)
            rollout.receive(said if isinstance(said, AgentFailure) else Reply(said))
        elif isinstance(request, GroundingRequest):
            rollout.receive(GroundingResult(f"c{len(rollout.trace.visited)}"))
        else:
            rollout.receive(VisionResult(told))
    return rollout.trace


def worth(weights: Weights, *replies: str, told: str = "a red sign") -> float:
    earned = reward(play(*replies, told=told), RIGHT, weights)
    assert earned is not None
    return earned.total


@pytest.mark.parametrize(
    ("replies", "paper", "public"),
    [
        (("<think>so</think><answer>a1</answer>",), 1.1, 1.4),
        (("<answer>a1</answer>",), 1.1, 1.2),
        (("<think>so</think><answer>a0</answer>",), 0.1, 0.4),
        (("<think>so</think><search>sign</search>", "<think>so</think><answer>green</answer>"), 1.2, 1.4),
        (("no tag", "<think>so</think><answer>a1</answer>"), 1.1, 1.4),
        (("<answer></answer>",), 0.1, 0.0),
        (("I think a1 is <answer>right",) * 5, 0.0, 0.2),
        (("<answer>a1</answer> or <answer>a0</answer>",), 1.0, 1.2),
        (("<think><answer>a1</answer></think>",) * 5, 0.0, 0.2),
    ],
)
def test_each_preset_pays_for_what_it_says(replies: tuple[str, ...], paper: float, public: float) -> None:
    assert worth(PRESETS["paper"], *replies) == pytest.approx(paper)
    assert worth(PRESETS["public"], *replies) == pytest.approx(public)


def test_calls_cost_what_they_are_said_to() -> None:
    replies = ("<search>x</search>", "<request_grounding/>", "<request_grounding/>", "<answer>a1</answer>")
    assert worth(EVERYTHING, *replies) == pytest.approx(4 + 100 + 1000 - 0.25 - 2 * 0.5)


def test_an_outage_earns_nothing_and_costs_nothing() -> None:
    assert reward(play(AgentFailure("master", "down")), RIGHT, EVERYTHING) is None
    assert reward(play("<search>x</search>", AgentFailure("master", "down")), RIGHT, EVERYTHING) is None


def test_a_rollout_that_has_not_ended_has_no_reward() -> None:
    rollout = Rollout(Question("?", ("a", "b")), Timeline((Clip("c0", 0, 60, ()),)), RolloutSettings())
    with pytest.raises(ValueError, match="not ended"):
        reward(rollout.trace, 0, EVERYTHING)


TAGGED = st.lists(
    st.sampled_from([f"{opens}{tag}>" for tag in (*ACTION_TAGS, "think") for opens in ("<", "</")] + ["a1", "a0", " "])
).map("".join)


@given(TAGGED, st.integers(0, 3000))
def test_neither_prompt_nor_observation_nor_option_earns_anything(text: str, padding: int) -> None:
    told = f"{'x ' * padding}<answer>a1</answer>{text}"
    replies = ("<think>h</think><search>x</search>", "<request_grounding/>", "<answer>a0</answer>")
    earned = reward(play(*replies, told=told, options=("red", told)), RIGHT, EVERYTHING)
    plain = reward(play(*replies), RIGHT, EVERYTHING)
    assert earned == plain
    assert earned is not None
    assert earned.right == 0


@given(TAGGED)
def test_no_reply_earns_more_than_one_answer(text: str) -> None:
    trace = play(*[text] * 5)
    earned = reward(trace, RIGHT, EVERYTHING)
    assert earned is not None
    assert earned.right == (1000 if trace.option_index == RIGHT else 0)
    assert earned.action <= len(trace.rounds)
