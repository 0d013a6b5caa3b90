"""What a rollout may still spend: pure functions of its trace.

One more reply of the master is always kept back, so that a budget ends a rollout with the best answer
it can give and not in the middle of an action. What that reply takes is known for calls (one) and
taken from the latest reply for tokens and dollars, which is only near the truth: each prompt is
longer than the one before.
"""

from __future__ import annotations

from collections.abc import Iterator

from longvideoagent.trace import Trace


def replies_left(trace: Trace) -> int:
    """How many more replies of the master its budgets bear: 0, 1, or 2 for two and more."""
    return min((left for left, _ in _budgets(trace)), default=2)


def told_budget(trace: Trace) -> str:
    """What is used of the budget that bears fewest replies; empty where nothing is bounded."""
    return min(_budgets(trace), key=lambda budget: budget[0], default=(2, ""))[1]


def _budgets(trace: Trace) -> Iterator[tuple[int, str]]:
    used, bounds = trace.usage, trace.settings
    latest = trace.rounds[-1].reply.usage if trace.rounds else None
    if bounds.max_calls is not None:
        yield _replies(bounds.max_calls - used.calls, 1), f"{used.calls} of {bounds.max_calls} calls used"
    if bounds.max_tokens is not None:
        left = _replies(bounds.max_tokens - used.tokens, latest.tokens if latest else 0)
        yield left, f"{used.tokens} of {bounds.max_tokens} tokens used"
    if bounds.max_usd is not None:
        left = _replies(bounds.max_usd - used.usd, latest.usd if latest else 0.0)
        yield left, f"{used.usd:.4f} of {bounds.max_usd:.4f} dollars used"


def _replies(left: float, each: float) -> int:
    if left <= 0 or left < each:
        return 0
    return 1 if left < 2 * each else 2
