"""What a rollout was worth to the master that is being trained: a function of its trace.

The paper (section on reinforcement learning) gives a structural reward in each round whose reply is exactly one
well-formed action, and an answer reward at the end where the option is the right one. The public code gives 0.2 for
reasoning, 0.2 for an answer tag and 1.0 for the right option. Only the rounds' own actions count: no text is searched,
so neither a prompt that shows the tags, an option that quotes them nor an observation that holds ``<answer>`` earns
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from longvideoagent.core.actions import Invalid, Look, Relocate
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import has_action
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import Round, Trace


@dataclass(frozen=True, slots=True)
class Weights:
    """What each thing is worth; costs are what is taken off."""

    action: float = 0.0
    """Of each round whose reply is exactly one well-formed action."""
    reasoning: float = 0.0
    """Where the last reply says anything before its action."""
    answer: float = 0.0
    """Where the rollout ended with an answer, right or wrong; an empty one is none."""
    right: float = 1.0
    """Where that answer names the right option."""
    look_cost: float = 0.0
    relocation_cost: float = 0.0


PRESETS: Mapping[str, Weights] = MappingProxyType(
    {
        "paper": Weights(action=0.1, right=1.0),  # the paper gives no figure for its structural reward: 0.1 is ours
        "public": Weights(reasoning=0.2, answer=0.2, right=1.0),
    }
)


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward by its parts, each weighted already."""

    action: float
    reasoning: float
    answer: float
    right: float
    cost: float
    """At most 0."""

    @property
    def total(self) -> float:
        """What the learner gets."""
        return self.action + self.reasoning + self.answer + self.right + self.cost


def reward(trace: Trace, gold_option: int, weights: Weights) -> Reward | None:
    """The reward of a finished trace; None where an agent was down, since an outage is nobody's doing and teaches
    nothing. Raises ValueError for a trace that has not ended."""
    if trace.outcome is None:
        raise ValueError("the rollout has not ended")
    if trace.outcome is Outcome.FAILED:
        return None
    actions = [type(each.action) for each in trace.rounds]
    last = trace.rounds[-1]
    return Reward(
        action=weights.action * sum(map(is_one_action, trace.rounds)),
        reasoning=weights.reasoning * bool(last.thought),
        answer=weights.answer * (trace.answer_round is not None and bool(trace.answer)),
        right=weights.right * score(trace, gold_option).correct,
        cost=-weights.look_cost * actions.count(Look) - weights.relocation_cost * actions.count(Relocate),
    )


def overlong(length: int, limit: int, margin: float) -> float:
    """What a response of so many tokens loses, as DAPO has it: nothing up to ``margin`` tokens before the limit, then
    evenly more, up to 1."""
    return min(1.0, max(0.0, (length - limit + margin) / margin)) if margin else 0.0


def is_one_action(said: Round) -> bool:
    """Whether a reply is one well-formed action and no other follows it."""
    return not isinstance(said.action, Invalid) and not has_action(said.reply.text.removeprefix(said.text))
