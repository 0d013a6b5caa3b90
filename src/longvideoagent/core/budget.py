"""What a rollout may still spend: pure functions of its trace.

An action starts only if the budgets allow it and one reply of the master after it, so that a rollout ends
with the best answer it can give. The number of calls is known in advance. The tokens and dollars of an action
are estimated by the most expensive one of its kind so far; the first of a kind has no estimate. The last reply
is therefore requested even if a budget turns out to be exceeded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from longvideoagent.core.actions import AgentName
from longvideoagent.core.outcome import StopReason
from longvideoagent.core.trace import Trace, observation_agent
from longvideoagent.core.types import Usage


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit of a rollout, and how much of it is used."""

    stop_reason: StopReason
    """Why the rollout stops when this budget is exceeded."""
    summary: str
    """What is used of it, for a person."""
    left: float
    needed: float
    """What the next request and one more reply of the master need."""


def can_afford(trace: Trace, agent: AgentName, calls: int = 1) -> bool:
    """Whether the budgets allow a request of ``calls`` calls to ``agent``, and one more reply after it."""
    return all(budget.left >= budget.needed for budget in _budgets(trace, agent, calls))


def tightest_budget(trace: Trace) -> Budget | None:
    """The budget with the least left compared with what it needs; None without budgets."""
    return min(_budgets(trace, "master", 1), key=lambda budget: budget.left - budget.needed, default=None)


def _budgets(trace: Trace, agent: AgentName, calls: int) -> Iterator[Budget]:
    used, limits = trace.usage, trace.settings
    reply, action = _max_cost(trace, "master"), _max_cost(trace, agent)
    if limits.max_calls is not None:
        summary = f"{used.calls} of {limits.max_calls} calls used"
        yield Budget(StopReason.MAX_CALLS, summary, limits.max_calls - used.calls, calls + 1)
    if limits.max_tokens is not None:
        summary = f"{used.tokens} of {limits.max_tokens} tokens used"
        needed = max(1, action.tokens + reply.tokens)
        yield Budget(StopReason.MAX_TOKENS, summary, limits.max_tokens - used.tokens, needed)
    if limits.max_usd is not None:
        summary = f"{used.usd:.4f} of {limits.max_usd:.4f} dollars used"
        yield Budget(StopReason.MAX_USD, summary, limits.max_usd - used.usd, max(1e-9, action.usd + reply.usd))


def _max_cost(trace: Trace, agent: AgentName) -> Usage:
    """The most expensive result of an agent so far; of the master the latest, whose prompt is the longest."""
    if agent == "master":
        return trace.rounds[-1].reply.usage if trace.rounds else Usage()
    results = [each.usage for each in trace.observations if observation_agent(each) == agent]
    return max(results, key=lambda usage: (usage.usd, usage.tokens), default=Usage())
