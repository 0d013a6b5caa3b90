"""A trace as the API sends it: its one JSON form, and next to it what the page shows of each observation."""

from __future__ import annotations

from typing import Any

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Observation
from longvideoagent.views.trace_dict import trace_to_dict
from longvideoagent.views.trace_view import view_observation


def trace_fields(trace: Trace | None) -> dict[str, Any]:
    """The fields ``trace`` and ``view`` of a job or of a question of a run; both are None without a trace."""
    if trace is None:
        return {"trace": None, "view": None}
    return {
        "trace": trace_to_dict(trace),
        "view": {
            "first_grounding": _observation_fields(trace.first_grounding),
            "rounds": [_observation_fields(round_.observation) for round_ in trace.rounds],
        },
    }


def _observation_fields(observation: Observation | None) -> dict[str, Any] | None:
    if observation is None:
        return None
    view = view_observation(observation)
    return {"title": view.title, "frame_times_s": list(view.frame_times_s)}
