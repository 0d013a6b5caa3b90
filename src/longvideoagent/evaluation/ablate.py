"""The paper's ablations as a grid of runs that share the response cache."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from longvideoagent.errors import UsageError
from longvideoagent.evaluation.config import EvalProtocol
from longvideoagent.evaluation.evaluate import How, Watch, run_evaluation
from longvideoagent.evaluation.metrics import Z_95
from longvideoagent.files import write_whole
from longvideoagent.report.page import render
from longvideoagent.trace import Agents

Axis = Literal["rounds", "window", "agents", "vision"]
TABLE, PAGE = "ablation.json", "ablation.html"
_USUAL: Mapping[Axis, Sequence[str]] = {
    "rounds": ("2", "5", "10"),
    "window": ("1", "2", "3"),
    "agents": tuple(Agents),
}
"""The values of the paper's tables."""


def grid(protocol: EvalProtocol, axis: Axis, values: Sequence[str]) -> dict[str, EvalProtocol]:
    """A protocol for each value of the axis; without values, those of the paper. Raises UsageError for a value
    that cannot be."""
    chosen = values or _USUAL.get(axis, ())
    if not chosen:
        raise UsageError(f"lva ablate {axis} compares models; name them with --value openai:NAME, twice or more")
    return {value: _changed(protocol, axis, value) for value in chosen}


def _changed(protocol: EvalProtocol, axis: Axis, value: str) -> EvalProtocol:
    settings = protocol.settings
    try:
        match axis:
            case "rounds":
                return replace(protocol, settings=replace(settings, max_rounds=int(value)))
            case "window":
                return replace(protocol, settings=replace(settings, window=int(value)))
            case "agents":
                return replace(protocol, settings=replace(settings, agents=Agents(value)))
            case "vision":
                return replace(protocol, roster=protocol.roster.replaced(vision=value))
    except ValueError:
        raise UsageError(f"lva ablate {axis} --value {value}: no such value") from None


def run_grid(
    protocols: Mapping[str, EvalProtocol], axis: Axis, folder: Path, how: How, watch: Watch
) -> tuple[dict[str, dict[str, Any]], str]:
    """Run, or go on with, each protocol of a grid in a folder of its own, and write the table and its plot. Returns
    the summary of each value that was asked to its end, and why the grid stopped before its own; empty where it did
    not. Raises what ``run_evaluation`` raises."""
    rows: dict[str, dict[str, Any]] = {}
    stopped = ""
    for value, protocol in protocols.items():
        name = "".join(mark if mark.isalnum() or mark in "+-." else "-" for mark in value)
        result = run_evaluation(protocol, folder / f"{axis}-{name}", how, watch)
        if result.stopped:
            stopped = f"{axis} {value} stopped early: {result.stopped}"
            break
        rows[value] = result.summary
    if not rows:
        return rows, stopped
    write_whole(folder / TABLE, json.dumps({"axis": axis, "rows": rows}, indent=1) + "\n")
    title = f"{next(iter(protocols.values())).data.name}: {axis}"
    page = render("longvideoagent.evaluation", "ablation.html.j2", title=title, axis=axis, rows=rows, z=Z_95)
    write_whole(folder / PAGE, page)
    return rows, stopped
