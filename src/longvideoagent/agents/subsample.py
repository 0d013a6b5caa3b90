"""Subtitles that are too long for a model's context are shortened, and it is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import ClipObservation, Reply
from longvideoagent.errors import ContextOverflowError

LEAST_SHARE = 1 / 16
"""Of each clip's lines; below it a model's context is of no use for the video."""


async def ask_shortened(agent: str, ask: Callable[[float], Awaitable[Reply]], least: float = LEAST_SHARE) -> Reply:
    """The reply to the longest of ``ask(1)``, ``ask(1/2)``, … that fits the model, with a warning where
    it is not the first. Raises ContextOverflowError where none fits."""
    share = 1.0
    while True:
        try:
            reply = await ask(share)
        except ContextOverflowError:
            share /= 2
            if share < least:
                raise
        else:
            if share == 1.0:
                return reply
            warning = f"only {share:.0%} of each clip's subtitles fitted the {agent} model's context"
            return replace(reply, warnings=(*reply.warnings, warning))


def shorten(trace: Trace, share: float) -> Trace:
    """The trace with that share of the lines of each located clip."""
    if share == 1.0:
        return trace
    first = (
        _shorten(trace.first_grounding, share)
        if isinstance(trace.first_grounding, ClipObservation)
        else trace.first_grounding
    )
    rounds = tuple(
        replace(each, observation=_shorten(each.observation, share))
        if isinstance(each.observation, ClipObservation)
        else each
        for each in trace.rounds
    )
    return replace(trace, first_grounding=first, rounds=rounds)


def _shorten(located: ClipObservation, share: float) -> ClipObservation:
    return replace(located, clips=tuple(clip.subsample(share) for clip in located.clips))
