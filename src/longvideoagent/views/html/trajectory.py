"""The trace dict with the fields that the server's page read before ``trace_to_dict``; to be removed with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from longvideoagent.core.trace import Round, Trace
from longvideoagent.core.types import Clip, ClipObservation, Observation, VisionResult
from longvideoagent.views.trace_dict import trace_to_dict
from longvideoagent.views.trace_view import frame_times


def trajectory(trace: Trace) -> dict[str, Any]:
    """``trace_to_dict`` and, next to it, the earlier fields of the page."""
    record = trace_to_dict(trace)
    rounds = [fields | _round(each) for fields, each in zip(record["rounds"], trace.rounds, strict=True)]
    return record | {
        "evidence": record["evidence"] if trace.outcome is not None else [],
        "first": trace.first_grounding and _observed(trace.first_grounding),
        "rounds": rounds,
        "rounds_left": trace.rounds_left,
        "tokens": trace.usage.tokens,
        "usd": trace.usage.usd,
        "seconds": trace.usage.seconds,
    }


def _round(round_: Round) -> dict[str, Any]:
    return {
        "seconds": round_.reply.usage.seconds,
        "observed": round_.observation and _observed(round_.observation),
    }


def _observed(observation: Observation) -> dict[str, Any]:
    seconds = {"seconds": observation.usage.seconds}
    match observation:
        case ClipObservation():
            return seconds | {
                "kind": "grounding",
                **span(observation.clip, "clip"),
                "clips": [span(each) for each in observation.clips],
                "candidates": [asdict(each) for each in observation.candidates],
                "reason": observation.reason,
                "lines": [
                    {"time_s": line.start_s, "text": line.text, "source": line.source}
                    for clip in observation.clips
                    for line in clip.subtitles
                ],
                "evidence": [asdict(each) for each in observation.evidence],
            }
        case VisionResult():
            return seconds | {
                "kind": "vision",
                "text": observation.text,
                "frames_s": list(frame_times(observation)),
                "evidence": [asdict(each) for each in observation.evidence],
            }
        case _:
            return seconds | {"kind": "notice", "text": observation.text}


def span(clip: Clip, name: str = "label") -> dict[str, Any]:
    """A clip's label, under ``name``, with its start and end in seconds."""
    return {name: clip.label, "start_s": clip.start_s, "end_s": clip.end_s}
