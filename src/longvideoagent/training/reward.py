"""The reward of a rollout: a function of its trace.

The paper (section on reinforcement learning) gives a structural reward in each round whose reply is exactly one
well-formed action, and an answer reward at the end if the option is correct. The public code gives 0.2 for reasoning
in any reply, 0.2 for an answer tag and 1.0 for the correct option; its second channel, 1 for any tool call, is logged
and not learned from. Only parsed actions count; no text is searched, so a prompt that shows the tags, an option that
quotes them or an observation with ``<answer>`` earns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from longvideoagent.core.actions import Action, Invalid, spec_of
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import has_action
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import Round, Trace


@dataclass(frozen=True, slots=True)
class RewardWeights:
    """The weight of each part of the reward; costs are subtracted."""

    action: float = 0.0
    """For each round whose reply is exactly one well-formed action."""
    reasoning: float = 0.0
    """If any reply holds text before its action."""
    answer: float = 0.0
    """If the rollout ended with an answer, correct or not; an empty answer does not count."""
    correct: float = 1.0
    """If the answer names the gold option."""
    look_cost: float = 0.0
    relocation_cost: float = 0.0

    def cost_of(self, action: Action) -> float:
        """The cost of an action: the field that its row in ``core.actions`` names, or 0."""
        name = spec_of(action).cost_key
        return float(getattr(self, name)) if name else 0.0


REWARD_PRESETS: Mapping[str, RewardWeights] = MappingProxyType(
    {
        "paper": RewardWeights(action=0.1, correct=1.0),  # the paper does not give the structural reward; 0.1 is ours
        "public": RewardWeights(reasoning=0.2, answer=0.2, correct=1.0),
    }
)


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward by its parts, already weighted."""

    action: float
    reasoning: float
    answer: float
    correct: float
    cost: float
    """At most 0."""

    @property
    def total(self) -> float:
        """The scalar that the trainer gets."""
        return self.action + self.reasoning + self.answer + self.correct + self.cost


def reward(trace: Trace, gold_option: int, weights: RewardWeights) -> Reward | None:
    """The reward of a finished trace, or None after an outage, which says nothing about the master. Raises ValueError
    for a trace that has not ended."""
    if trace.outcome is None:
        raise ValueError("the rollout has not ended")
    if trace.outcome is Outcome.FAILED:
        return None
    has_answer = bool(trace.answer) or trace.option_index is not None  # the option itself may be an empty text
    return Reward(
        action=weights.action * sum(map(is_single_action, trace.rounds)),
        reasoning=weights.reasoning * any(round_.thought for round_ in trace.rounds),
        answer=weights.answer * (trace.answer_round is not None and has_answer),
        correct=weights.correct * score(trace, gold_option).correct,
        cost=-sum(weights.cost_of(round_.action) for round_ in trace.rounds),
    )


def overlong_penalty(length: int, limit: int, margin: float) -> float:
    """DAPO's soft penalty of a response of ``length`` tokens (Yu et al. 2025, section 3.4): 0 up to ``margin`` tokens
    before the limit, then linear up to 1."""
    return min(1.0, max(0.0, (length - limit + margin) / margin)) if margin else 0.0


def is_single_action(round_: Round) -> bool:
    """Whether the reply is one well-formed action with no other after it."""
    return not isinstance(round_.action, Invalid) and not has_action(
        round_.reply.text.removeprefix(round_.context_text), anywhere=round_.reply.actions_anywhere
    )
