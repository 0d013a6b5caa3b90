"""A whole trace as one line of JSON, and back: how runs keep what happened. It holds no gold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from longvideoagent.core.trace import Trace
from longvideoagent.errors import DataError

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


def read_lines(path: Path, mend: str) -> Iterator[dict[str, Any]]:
    """What stands on each whole line of a file of JSON lines. Raises DataError, which names the mend, for one that is
    no JSON object, and where there is no such file."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):  # being written, or left by a killed process
                    return
                try:
                    told = json.loads(line.decode())
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{path}:{number}: no JSON ({error}); {mend}") from error
                if not isinstance(told, dict):
                    raise DataError(f"{path}:{number}: no JSON object; {mend}")
                yield told
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; is its folder a run?") from None


def _located(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The groundings of a trace as plain values."""
    for observed in (told["first_grounding"], *(said["observation"] for said in told["rounds"])):
        if observed is not None and "clips" in observed:
            yield observed
