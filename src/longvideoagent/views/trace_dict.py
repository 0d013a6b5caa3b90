"""The one JSON form of a trace: ``lva ask --json``, ``traces.jsonl``, the server, replay and downloads.

    record = trace_to_dict(trace)
    assert trace_from_dict(json.loads(json.dumps(record))) == trace

It holds all of the trace and no gold. ``answer``, ``confidence``, ``evidence`` and ``usage`` at the top are derived
from the rest for readers of the JSON, and ignored on reading. The form is documented in docs/output.md and published
as a JSON schema, docs/trace.schema.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, assert_never

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from longvideoagent.core.actions import ACTIONS, action_argument, action_named, spec_of
from longvideoagent.core.outcome import Outcome, StopReason
from longvideoagent.core.trace import RolloutSettings, Round, Trace
from longvideoagent.core.types import (
    AgentFailure,
    Candidate,
    Clip,
    ClipObservation,
    Evidence,
    GroundingResult,
    IndexPart,
    Observation,
    Question,
    Reply,
    Subtitle,
    SystemNotice,
    TimelineResult,
    Usage,
    VisionResult,
)
from longvideoagent.media.text_language import ENGLISH, LANGUAGES
from longvideoagent.views.trace_migrations import migrate_trace

TRACE_VERSION: Literal[1] = 1
"""The version of the form; views/trace_migrations.py leads to it."""

_strict = with_config(ConfigDict(extra="forbid"))


@_strict
class ClipDict(TypedDict):
    """A labelled span of the video and the subtitle lines that start in it; ``video`` is empty for the only video."""

    label: str
    start_s: float
    end_s: float
    subtitles: NotRequired[tuple[Subtitle, ...]]
    video: NotRequired[str]


@_strict
class ClipObservationDict(TypedDict):
    """The grounding agent located a clip. ``window`` is the evidence window around it, with its subtitles;
    ``candidates`` are further clips that may matter, most likely first."""

    kind: Literal["grounding"]
    clip: str
    window: tuple[ClipDict, ...]
    candidates: tuple[Candidate, ...]
    reason: str
    evidence: tuple[Evidence, ...]
    usage: Usage


@_strict
class VisionResultDict(TypedDict):
    """The vision agent's reply; ``is_found`` is false where the frames do not show what was asked for. ``boxes`` are
    the gold boxes of the clip, in runs that show them."""

    kind: Literal["vision"]
    text: str
    is_found: bool
    boxes: NotRequired[str]
    evidence: tuple[Evidence, ...]
    usage: Usage


@_strict
class TimelineResultDict(TypedDict):
    """What a query of the timeline found; ``value`` is the answer in a few words, if the query has one. ``missing`` is
    the part of the index that the query needs, if nobody has made it. ``num_unnamed`` counts the lines that name no
    speaker, if a query for speakers may miss some by them."""

    kind: Literal["timeline"]
    text: str
    value: str
    is_found: bool
    missing: NotRequired[IndexPart | None]
    num_unnamed: NotRequired[int]
    evidence: tuple[Evidence, ...]
    usage: Usage


@_strict
class SystemNoticeDict(TypedDict):
    """A message of the loop to the master, with the grounding result that it is about, or null."""

    kind: Literal["notice"]
    text: str
    grounding_result: GroundingResult | None
    usage: Usage


GroundingDict = Annotated[ClipObservationDict | SystemNoticeDict, Field(discriminator="kind")]
ObservationDict = Annotated[
    ClipObservationDict | VisionResultDict | TimelineResultDict | SystemNoticeDict, Field(discriminator="kind")
]


@_strict
class RoundDict(TypedDict):
    """One reply of the master. ``thought`` precedes its action; ``argument`` is the query, the request, the answer, or
    why the reply is invalid; ``context_text`` is the reply up to the end of its action; ``clip`` was current."""

    thought: str
    action: Annotated[str, Field(json_schema_extra={"enum": [spec.name for spec in ACTIONS]})]
    argument: str
    clip: str | None
    context_text: str
    reply: Reply
    observation: ObservationDict | None


@_strict
class TraceDict(TypedDict):
    """Everything that happened to one question. Times are seconds from the start of the video."""

    version: Literal[1]
    id: str
    question: str
    options: tuple[str, ...]
    settings: RolloutSettings
    outcome: Outcome | None
    stop_reason: StopReason | None
    cause: str
    answer: str
    option_index: int | None
    confidence: float | None
    evidence: tuple[Evidence, ...]
    usage: Usage
    warnings: tuple[str, ...]
    hint: NotRequired[str]
    language: NotRequired[str]
    must_answer: bool
    failure: AgentFailure | None
    first_grounding: GroundingDict | None
    rounds: tuple[RoundDict, ...]
    history: tuple[TraceDict, ...]


_TRACE_DICT: TypeAdapter[TraceDict] = TypeAdapter(TraceDict)


def trace_to_dict(trace: Trace) -> dict[str, Any]:
    """Return a trace as plain values that ``json.dumps`` accepts.

    Args:
        trace: A trace, finished or not.

    Returns:
        The form that docs/output.md describes and docs/trace.schema.json defines.
    """
    # By the schema, which is three times as fast as by the types of the values. An agent's own values may differ from
    # it, such as a list for a tuple.
    values: dict[str, Any] = _TRACE_DICT.dump_python(_trace_to_dict(trace), mode="json", warnings=False)
    return values


def _trace_to_dict(trace: Trace) -> TraceDict:
    return {
        "version": TRACE_VERSION,
        "id": trace.question.id,
        "question": trace.question.text,
        "options": trace.question.options,
        "settings": trace.settings,
        "outcome": trace.outcome,
        "stop_reason": trace.stop_reason,
        "cause": trace.cause,
        "answer": trace.answer,
        "option_index": trace.option_index,
        "confidence": trace.confidence,
        "evidence": trace.evidence,
        "usage": trace.usage,
        "warnings": trace.warnings,
        "hint": trace.hint,
        "language": trace.language,
        "must_answer": trace.must_answer,
        "failure": trace.failure,
        "first_grounding": _grounding_to_dict(trace.first_grounding) if trace.first_grounding else None,
        "rounds": tuple(map(_round_to_dict, trace.rounds)),
        "history": tuple(map(_trace_to_dict, trace.history)),
    }


def trace_from_dict(record: Mapping[str, Any]) -> Trace:
    """Return the trace of a record.

    Args:
        record: What ``trace_to_dict`` returned, in this or an earlier version.

    Returns:
        The trace; equal to the one that was written.

    Raises:
        ValueError: It is not such a record; the message names the field.
    """
    try:
        valid = _TRACE_DICT.validate_python(migrate_trace(record))
    except ValidationError as error:
        raise ValueError(".".join(map(str, error.errors()[0]["loc"]))) from None
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    return _trace_from_dict(valid)


def _trace_from_dict(valid: TraceDict) -> Trace:
    if valid["option_index"] is not None and not 0 <= valid["option_index"] < len(valid["options"]):
        raise ValueError("option_index")
    if valid.get("language", ENGLISH) not in LANGUAGES:
        raise ValueError("language")
    return Trace(
        question=Question(valid["question"], valid["options"], valid["id"]),
        settings=valid["settings"],
        first_grounding=valid["first_grounding"] and _grounding_from_dict(valid["first_grounding"]),
        rounds=tuple(map(_round_from_dict, valid["rounds"])),
        stop_reason=valid["stop_reason"],
        option_index=valid["option_index"],
        cause=valid["cause"],
        must_answer=valid["must_answer"],
        failure=valid["failure"],
        warnings=valid["warnings"],
        history=tuple(map(_trace_from_dict, valid["history"])),
        hint=valid.get("hint", ""),
        language=valid.get("language", ENGLISH),
    )


def trace_to_line(trace: Trace) -> str:
    """The trace as JSON on one line, without a line break."""
    return json.dumps(trace_to_dict(trace), separators=(",", ":"), check_circular=False)


def trace_schema() -> dict[str, Any]:
    """The JSON schema of the form."""
    schema = _TRACE_DICT.json_schema(mode="serialization")
    for name, definition in schema["$defs"].items():
        if not name.endswith("Dict"):  # the docstrings of shared types address Python code
            definition.pop("description", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "longvideoagent trace"}


def _round_to_dict(round_: Round) -> RoundDict:
    return {
        "thought": round_.thought,
        "action": spec_of(round_.action).name,
        "argument": action_argument(round_.action),
        "clip": round_.clip,
        "context_text": round_.context_text,
        "reply": round_.reply,
        "observation": _observation_to_dict(round_.observation) if round_.observation else None,
    }


def _round_from_dict(record: RoundDict) -> Round:
    return Round(
        reply=record["reply"],
        thought=record["thought"],
        action=action_named(record["action"], record["argument"]),
        context_text=record["context_text"],
        clip=record["clip"],
        observation=record["observation"] and _observation_from_dict(record["observation"]),
    )


def _observation_to_dict(observation: Observation) -> ObservationDict:
    if isinstance(observation, VisionResult):
        return {
            "kind": "vision",
            "text": observation.text,
            "is_found": observation.is_found,
            "boxes": observation.boxes,
            "evidence": observation.evidence,
            "usage": observation.usage,
        }
    if isinstance(observation, TimelineResult):
        return {
            "kind": "timeline",
            "text": observation.text,
            "value": observation.value,
            "is_found": observation.is_found,
            "missing": observation.missing,
            "num_unnamed": observation.num_unnamed,
            "evidence": observation.evidence,
            "usage": observation.usage,
        }
    return _grounding_to_dict(observation)


def _grounding_to_dict(observation: ClipObservation | SystemNotice) -> GroundingDict:
    match observation:
        case ClipObservation():
            return {
                "kind": "grounding",
                "clip": observation.clip.label,
                "window": tuple(map(_clip_to_dict, observation.window)),
                "candidates": observation.candidates,
                "reason": observation.reason,
                "evidence": observation.evidence,
                "usage": observation.usage,
            }
        case SystemNotice():
            return {
                "kind": "notice",
                "text": observation.text,
                "grounding_result": observation.grounding_result,
                "usage": observation.usage,
            }
        case _:
            assert_never(observation)


def _clip_to_dict(clip: Clip) -> ClipDict:
    """A clip without its raw text, which would double the size of a trace."""
    return {
        "label": clip.label,
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "subtitles": clip.subtitles,
        "video": clip.video,
    }


def _observation_from_dict(record: ObservationDict) -> Observation:
    if record["kind"] == "vision":
        return VisionResult(
            record["text"], record["evidence"], record["usage"], record["is_found"], record.get("boxes", "")
        )
    if record["kind"] == "timeline":
        return TimelineResult(
            record["text"],
            record["value"],
            record["evidence"],
            record["is_found"],
            record["usage"],
            record.get("missing"),
            record.get("num_unnamed", 0),
        )
    return _grounding_from_dict(record)


def _grounding_from_dict(record: GroundingDict) -> ClipObservation | SystemNotice:
    if record["kind"] == "notice":
        return SystemNotice(record["text"], record["usage"], record["grounding_result"])
    window = tuple(Clip(**clip) for clip in record["window"])
    clip = next((clip for clip in window if clip.label == record["clip"]), None)
    if clip is None:
        raise ValueError(f"window: clip {record['clip'][:80]!r} is not in it")
    return ClipObservation(clip, window, record["reason"], record["evidence"], record["usage"], record["candidates"])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(trace_schema(), indent=1) + "\n")
