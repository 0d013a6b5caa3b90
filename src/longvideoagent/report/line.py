"""A whole trace as one line of JSON, and back: how runs keep what happened. It holds no gold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from longvideoagent.trace import Trace

_TRACE = TypeAdapter(Trace)


def trace_line(trace: Trace) -> str:
    """The trace on one line, without its end."""
    told = _TRACE.dump_python(trace)
    for located in _located(told):
        if located["clip"] in located["clips"]:  # its lines need not be told twice
            located["clip"] = located["clips"].index(located["clip"])
    return json.dumps(told, separators=(",", ":"))


def read_trace(told: Any) -> Trace:
    """The trace of a line that was parsed. Raises ValueError, naming the field, where it is none."""
    try:
        for located in _located(told):
            if isinstance(located["clip"], int):
                located["clip"] = located["clips"][located["clip"]]
        return _TRACE.validate_python(told)
    except ValidationError as error:
        raise ValueError(".".join(map(str, error.errors()[0]["loc"]))) from None
    except (LookupError, TypeError) as error:
        raise ValueError(str(error)) from None


def _located(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The groundings of a trace as plain values."""
    for observed in (told["first"], *(said["observation"] for said in told["rounds"])):
        if observed is not None and "clips" in observed:
            yield observed
