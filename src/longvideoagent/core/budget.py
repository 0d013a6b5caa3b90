"""What a rollout may still spend: pure functions of its trace.

An action is begun only where the budgets bear it and one reply of the master behind it, so that a rollout
ends with the best answer it can give. Calls are known beforehand. What tokens and dollars an action takes
is judged by the dearest of its kind so far, and of the first of a kind nothing is known; that last reply
is therefore asked for even where a budget turns out to be used up.
"""

from __future__ import annotations

from collections.abc import Iterator

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import AgentName, Usage, VisionResult


def can_afford(trace: Trace, agent: AgentName, calls: int = 1) -> bool:
    """Whether the budgets bear a request of that agent, of so many calls, and one more reply behind it."""
    return all(left >= needed for _, left, needed in _budgets(trace, agent, calls))


def budget_summary(trace: Trace) -> str:
    """What is used of the budget that has least left for its need; empty where nothing is bounded."""
    budgets = sorted(_budgets(trace, "master", 1), key=lambda budget: budget[1] - budget[2])
    return budgets[0][0] if budgets else ""


def _budgets(trace: Trace, agent: AgentName, calls: int) -> Iterator[tuple[str, float, float]]:
    """For each budget: what is used of it, in words, what is left, and what is needed."""
    used, bounds = trace.usage, trace.settings
    reply, action = _max_cost(trace, "master"), _max_cost(trace, agent)
    if bounds.max_calls is not None:
        yield f"{used.calls} of {bounds.max_calls} calls used", bounds.max_calls - used.calls, calls + 1
    if bounds.max_tokens is not None:
        told = f"{used.tokens} of {bounds.max_tokens} tokens used"
        yield told, bounds.max_tokens - used.tokens, max(1, action.tokens + reply.tokens)
    if bounds.max_usd is not None:
        told = f"{used.usd:.4f} of {bounds.max_usd:.4f} dollars used"
        yield told, bounds.max_usd - used.usd, max(1e-9, action.usd + reply.usd)


def _max_cost(trace: Trace, agent: AgentName) -> Usage:
    """The costliest result of an agent so far; of the master the latest, whose prompt is the longest."""
    if agent == "master":
        return trace.rounds[-1].reply.usage if trace.rounds else Usage()
    found = [each.usage for each in trace.observations if isinstance(each, VisionResult) == (agent == "vision")]
    return max(found, key=lambda usage: (usage.usd, usage.tokens), default=Usage())
