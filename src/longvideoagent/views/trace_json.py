"""A trace as one JSON object: what ``lva ask --json`` prints. Documented in docs/output.md."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from longvideoagent.core.protocol import render_located
from longvideoagent.core.trace import Round, Trace
from longvideoagent.core.types import Action, Answer, ClipObservation, Invalid, Look, Observation, Relocate

DIGITS = 3
"""Times are told to the millisecond."""


def to_json(trace: Trace) -> dict[str, Any]:
    """The trace as plain values. Keys are stable; times are seconds."""
    current = trace.current.clip if trace.current else None
    confidence = trace.answer_round.reply.confidence if trace.answer_round else None
    return {
        "question": trace.question.text,
        "options": list(trace.question.options),
        "answer": trace.answer,
        "option": None if trace.option_index is None else f"a{trace.option_index}",
        "option_index": trace.option_index,
        "confidence": None if confidence is None else round(confidence, 4),
        "outcome": None if trace.outcome is None else str(trace.outcome),
        "cause": trace.cause,
        "evidence": [_rounded(asdict(each)) for each in trace.evidence],
        "rounds": [_round(each) for each in trace.rounds],
        "grounding": current and _rounded({"clip": current.label, "start_s": current.start_s, "end_s": current.end_s}),
        "usage": _rounded(asdict(trace.usage)),
        "warnings": list(trace.warnings),
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, DIGITS) if isinstance(value, float) else value for key, value in values.items()}


def _round(said: Round) -> dict[str, Any]:
    seconds = said.reply.usage.seconds + (said.observation.usage.seconds if said.observation else 0.0)
    return {
        "thought": said.thought,
        "action": action_name(said.action),
        "content": action_content(said.action),
        "observation": observation_text(said.observation),
        "clip": said.clip,
        "seconds": round(seconds, DIGITS),
    }


def action_name(action: Action) -> str:
    """look, relocate, answer or invalid."""
    return {Look: "look", Relocate: "relocate", Answer: "answer", Invalid: "invalid"}[type(action)]


def action_content(action: Action) -> str:
    """The query, the request, the answer, or why the reply was invalid."""
    match action:
        case Look(content) | Relocate(content) | Answer(content) | Invalid(content):
            return content


def observation_text(observation: Observation | None) -> str:
    """What came back, as text; empty where nothing did."""
    if observation is None:
        return ""
    return render_located(observation) if isinstance(observation, ClipObservation) else observation.text
