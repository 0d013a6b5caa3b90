"""The field ``reference`` of a record: by which an answer to its question without options is scored.

=============  ===================================================================================
``metric``     ``exact_match``, ``time``, ``set_f1`` or ``order``
``values``     the right values, or all items of a set or an order
``wrong``      with ``exact_match``: values that are known to be wrong; optional
``time_s``     with ``time``: seconds from the start of the video, or a duration
``tolerance_s`` with ``time``: how far an answer may be from it; optional
=============  ===================================================================================
"""

from __future__ import annotations

from typing import Any

from longvideoagent.datasets.fields import as_finite
from longvideoagent.datasets.gold import OPEN_METRICS, Reference


def reference_to_dict(reference: Reference) -> dict[str, Any]:
    """A reference as the value of the field."""
    if reference.metric == "time":
        return {"metric": "time", "time_s": reference.time_s, "tolerance_s": reference.tolerance_s}
    wrong = {"wrong": list(reference.wrong)} if reference.wrong else {}
    return {"metric": reference.metric, "values": list(reference.values), **wrong}


def read_reference(value: object) -> Reference | None:
    """The reference of a record, or None if the value is not one."""
    if not isinstance(value, dict) or value.get("metric") not in OPEN_METRICS:
        return None
    metric = OPEN_METRICS[OPEN_METRICS.index(value["metric"])]
    if metric == "time":
        time_s, tolerance_s = as_finite(value.get("time_s")), as_finite(value.get("tolerance_s", 0))
        if time_s is None or tolerance_s is None or time_s < 0 or tolerance_s < 0:
            return None
        return Reference(metric, time_s=time_s, tolerance_s=tolerance_s)
    values, wrong = _texts(value.get("values")), _texts(value.get("wrong", []))
    return Reference(metric, values, wrong) if values and wrong is not None else None


def _texts(value: object) -> tuple[str, ...] | None:
    is_list = isinstance(value, list) and all(isinstance(each, str) and each.strip() for each in value)
    return tuple(map(str, value)) if is_list and isinstance(value, list) else None
