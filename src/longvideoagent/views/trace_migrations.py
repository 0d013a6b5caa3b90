"""Migrations of trace records: each takes a record of version n and returns one of version n + 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _from_version_0(record: Mapping[str, Any]) -> dict[str, Any]:
    """Records of development builds before 0.1.0, which had no version."""
    settings = {_RENAMED_0.get(name, name): value for name, value in record["settings"].items()}
    return {
        "version": 1,
        "id": record["question"]["id"],
        "question": record["question"]["text"],
        "options": record["question"]["options"],
        "settings": settings,
        **{name: record[name] for name in ("outcome", "cause", "option_index", "warnings")},
        "stop_reason": _stop_reason_from_version_0(record["outcome"], record["cause"]),
        "failure": record["failure"] and record["failure"] | {"stop_reason": "model_error"},
        "answer": "",
        "confidence": None,
        "evidence": (),
        "usage": {},
        "must_answer": record["is_hurried"],
        "first_grounding": _observation_from_version_0(record["first"]),
        "rounds": [_round_from_version_0(each) for each in record["rounds"]],
        "history": (),
    }


def _stop_reason_from_version_0(outcome: str | None, cause: str) -> str | None:
    """Version 0 said in words only why a rollout was spent or failed."""
    if outcome == "spent":
        return next((name for unit, name in _LIMITS_0.items() if cause.endswith(f"{unit} used")), "max_rounds")
    if outcome == "failed":
        return "data_error" if cause.startswith("data: ") else "model_error"
    return outcome


_LIMITS_0 = {"calls": "max_calls", "tokens": "max_tokens", "dollars": "max_usd"}
_RENAMED_0 = {"look_ahead": "parallel_looks", "others": "candidates", "shows_it": "is_found", "clips": "window"}


def _round_from_version_0(record: Mapping[str, Any]) -> dict[str, Any]:
    ((field, argument),) = record["action"].items()
    action = {"query": "look", "request": "relocate", "text": "answer", "reason": "invalid"}[field]
    return {
        **{name: record[name] for name in ("thought", "clip", "reply")},
        "context_text": record["text"],
        "action": action,
        "argument": argument,
        "observation": _observation_from_version_0(record["observation"]),
    }


def _observation_from_version_0(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if record is None:
        return None
    fields = {_RENAMED_0.get(name, name): value for name, value in record.items()}
    if "window" in fields:
        clip = fields["clip"]  # its place in the window, or all of it
        label = fields["window"][clip]["label"] if isinstance(clip, int) else clip["label"]
        return fields | {"kind": "grounding", "clip": label}
    if "is_found" in fields:
        return fields | {"kind": "vision"}
    result = fields.pop("grounded")
    if result is not None:
        result = {_RENAMED_0.get(name, name): value for name, value in result.items()}
    return fields | {"kind": "notice", "grounding_result": result}


_MIGRATIONS = (_from_version_0,)


def migrate_trace(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record in the current version. Raises ValueError for a version that is not known, and LookupError, TypeError
    or AttributeError for a damaged record of an older one."""
    version = record.get("version", 0)
    if version not in range(len(_MIGRATIONS) + 1):
        raise ValueError(f"version {version!r} is not known; update longvideoagent")
    for migrate in _MIGRATIONS[version:]:
        record = migrate(record)
    return record
