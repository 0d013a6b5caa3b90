"""A trace in short, for readers that want the answer and what it rests on."""

from __future__ import annotations

from typing import Any

from longvideoagent.core.trace import Trace
from longvideoagent.views.trace_dict import trace_to_dict

SUMMARY_FIELDS = (
    "version",
    "question",
    "options",
    "outcome",
    "cause",
    "answer",
    "option_index",
    "confidence",
    "evidence",
    "usage",
    "warnings",
    "hint",
)


def summarize_trace(trace: Trace) -> dict[str, Any]:
    """The fields of ``trace_to_dict`` that say what was answered and why, without the rounds."""
    record = trace_to_dict(trace)
    return {name: record[name] for name in SUMMARY_FIELDS}
