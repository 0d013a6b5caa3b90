"""Subtitles that are too long for a model's context are subsampled, and the reply carries a warning."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import ClipObservation, Reply, Usage
from longvideoagent.errors import ContextOverflowError
from longvideoagent.models.base import failed_usage, with_charge

MIN_FRACTION = 1 / 16
"""Of each clip's lines; with fewer, the model knows too little of the video to be useful."""


async def complete_within_context(
    agent: str, complete: Callable[[float], Awaitable[Reply]], min_fraction: float = MIN_FRACTION
) -> Reply:
    """Call ``complete`` with the fraction 1, 1/2, 1/4, … of the subtitles until the prompt fits the context.

    Returns the reply, with a warning if not all subtitles fitted, and with what the tries before it have cost. Raises
    ContextOverflowError if not even ``min_fraction`` fits.
    """
    fraction, spent = 1.0, Usage()
    while True:
        try:
            reply = await with_charge(complete(fraction), spent)
        except ContextOverflowError as error:
            fraction /= 2
            if fraction < min_fraction:
                raise
            spent = failed_usage(error)
        else:
            if fraction == 1.0:
                return reply
            warning = f"only {fraction:.0%} of each clip's subtitles fitted the {agent} model's context"
            return replace(reply, usage=reply.usage + spent, warnings=(*reply.warnings, warning))


def subsample_trace(trace: Trace, fraction: float) -> Trace:
    """Return the trace with this fraction of the lines of each clip that it shows."""
    if fraction == 1.0:
        return trace
    first = trace.first_grounding
    if isinstance(first, ClipObservation):
        first = _subsample_clips(first, fraction)
    rounds = tuple(
        replace(round_, observation=_subsample_clips(round_.observation, fraction))
        if isinstance(round_.observation, ClipObservation)
        else round_
        for round_ in trace.rounds
    )
    return replace(trace, first_grounding=first, rounds=rounds)


def _subsample_clips(located: ClipObservation, fraction: float) -> ClipObservation:
    return replace(located, window=tuple(clip.subsample(fraction) for clip in located.window))
