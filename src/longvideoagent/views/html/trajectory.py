"""A trace as a page shows it, while it grows and when it has ended: plain values, times in seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from longvideoagent.core.trace import Round, Trace
from longvideoagent.core.types import Clip, ClipObservation, Observation, VisionResult
from longvideoagent.views.html.page import few_times
from longvideoagent.views.trace_json import action_content, action_name


def trajectory(trace: Trace) -> dict[str, Any]:
    """Everything that happened, step by step; ``outcome`` is None while it runs."""
    confidence = trace.answer_round.reply.confidence if trace.answer_round else None
    return {
        "question": trace.question.text,
        "options": list(trace.question.options),
        "answer": trace.answer,
        "option_index": trace.option_index,
        "confidence": confidence,
        "outcome": None if trace.outcome is None else str(trace.outcome),
        "cause": trace.cause,
        "warnings": list(trace.warnings),
        "evidence": [asdict(each) for each in trace.evidence] if trace.outcome is not None else [],
        "first": trace.first_grounding and _observed(trace.first_grounding),
        "rounds": [_round(each) for each in trace.rounds],
        "rounds_left": trace.rounds_left,
        "tokens": trace.usage.tokens,
        "usd": trace.usage.usd,
        "seconds": trace.usage.seconds,
    }


def _round(said: Round) -> dict[str, Any]:
    return {
        "thought": said.thought,
        "action": action_name(said.action),
        "content": action_content(said.action),
        "clip": said.clip,
        "seconds": said.reply.usage.seconds,
        "observed": said.observation and _observed(said.observation),
    }


def _observed(observed: Observation) -> dict[str, Any]:
    seconds = {"seconds": observed.usage.seconds}
    match observed:
        case ClipObservation():
            return seconds | {
                "kind": "grounding",
                **span(observed.clip, "clip"),
                "clips": [span(each) for each in observed.clips],
                "reason": observed.reason,
                "lines": [
                    {"time_s": line.start_s, "text": line.text, "source": line.source}
                    for clip in observed.clips
                    for line in clip.subtitles
                ],
                "evidence": [asdict(each) for each in observed.evidence],
            }
        case VisionResult():
            evidence = [asdict(each) for each in observed.evidence]
            return seconds | {
                "kind": "vision",
                "text": observed.text,
                "frames_s": few_times(observed),
                "evidence": evidence,
            }
        case _:
            return seconds | {"kind": "notice", "text": observed.text}


def span(clip: Clip, name: str = "label") -> dict[str, Any]:
    """Where a clip lies, its label under ``name``."""
    return {name: clip.label, "start_s": clip.start_s, "end_s": clip.end_s}
