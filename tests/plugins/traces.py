"""Traces to compare."""

from __future__ import annotations

from dataclasses import replace

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Usage


def without_usage(trace: Trace) -> Trace:
    """The trace without what differs between two runs of one rollout."""
    rounds = [
        replace(
            each,
            reply=replace(each.reply, usage=Usage()),
            observation=each.observation and replace(each.observation, usage=Usage()),
        )
        for each in trace.rounds
    ]
    first = trace.first_grounding and replace(trace.first_grounding, usage=Usage())
    return replace(trace, rounds=tuple(rounds), first_grounding=first)
