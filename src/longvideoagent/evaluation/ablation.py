"""The paper's ablations as a grid of runs that share the response cache."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from longvideoagent.core.trace import Agents
from longvideoagent.errors import UsageError
from longvideoagent.evaluation.config import EvalConfig, read_asked, resolve, without_unused
from longvideoagent.evaluation.evaluate import RunOptions, Watch, run_evaluation
from longvideoagent.evaluation.metrics import Z_95
from longvideoagent.fs import atomic_write_text
from longvideoagent.views.html.page import render
from longvideoagent.views.run_folder import digest

Axis = Literal["rounds", "window", "agents", "vision"]
TABLE, PAGE = "ablation.json", "ablation.html"
_DEFAULTS: Mapping[Axis, Sequence[str]] = {
    "rounds": ("2", "5", "10"),
    "window": ("1", "2", "3"),
    "agents": tuple(Agents),
}
"""The values of the paper's tables."""


@dataclass(frozen=True, slots=True)
class Grid:
    """One setting varied, and all else as in one protocol."""

    base: EvalConfig
    axis: Axis
    protocols: Mapping[str, EvalConfig]
    """By value."""


def grid(protocol: EvalConfig, axis: Axis, values: Sequence[str]) -> Grid:
    """A protocol for each value of the axis; without values, those of the paper. Raises UsageError for a value
    that cannot be."""
    chosen = values or _DEFAULTS.get(axis, ())
    if not chosen:
        raise UsageError(f"lva ablate {axis} compares models; name them with --value openai:NAME, twice or more")
    return Grid(protocol, axis, {value: _changed(protocol, axis, value) for value in chosen})


def _changed(protocol: EvalConfig, axis: Axis, value: str) -> EvalConfig:
    settings = protocol.settings
    try:
        match axis:
            case "rounds":
                return replace(protocol, settings=replace(settings, max_rounds=int(value)))
            case "window":
                return replace(protocol, settings=replace(settings, window=int(value)))
            case "agents":
                return without_unused(replace(protocol, settings=replace(settings, agents=Agents(value))))
            case "vision":
                return replace(protocol, team_config=protocol.team_config.with_models(vision=value))
    except ValueError:
        raise UsageError(f"lva ablate {axis} --value {value}: no such value") from None


def run_grid(grid: Grid, folder: Path, how: RunOptions, watch: Watch) -> tuple[dict[str, dict[str, Any]], str]:
    """Run, or go on with, each protocol of a grid in a folder of its own, and write the table and its plot, in which
    the values stay that were asked before in the same grid. Returns the summary of each value that was asked to its
    end, and why the grid stopped before its own; empty where it did not. Raises what ``run_evaluation`` raises."""
    rows: dict[str, dict[str, Any]] = {}
    stopped = ""
    for value, protocol in grid.protocols.items():
        name = "".join(mark if mark.isalnum() or mark in "+-." else "-" for mark in value)
        result = run_evaluation(protocol, folder / f"{grid.axis}-{name}", how, watch)
        if result.stopped:
            stopped = f"{grid.axis} {value} stopped early: {result.stopped}"
            break
        rows[value] = result.summary
    if rows:
        _write_table(grid, folder, rows)
    return rows, stopped


def _write_table(grid: Grid, folder: Path, rows: dict[str, dict[str, Any]]) -> None:
    mark = _mark(grid)
    known = _earlier(folder / TABLE, mark) | rows
    table = {value: known[value] for value in dict.fromkeys([*_DEFAULTS.get(grid.axis, ()), *known]) if value in known}
    told = {"axis": grid.axis, "grid_sha256": mark, "rows": table}
    atomic_write_text(folder / TABLE, json.dumps(told, indent=1) + "\n")
    title = f"{grid.base.data.name}: {grid.axis}"
    page = render("longvideoagent.evaluation", "ablation.html.j2", title=title, axis=grid.axis, rows=table, z=Z_95)
    atomic_write_text(folder / PAGE, page)


def _mark(grid: Grid) -> str:
    """The same for grids whose values can stand in one table."""
    config = resolve(grid.base, *read_asked(grid.base))
    del config["limit"]  # what is asked counts, not how it was bounded
    del config["versions"]["python"]
    return digest([grid.axis, json.dumps(config, sort_keys=True)])


def _earlier(path: Path, mark: str) -> dict[str, dict[str, Any]]:
    """The rows of an earlier table of the same grid. One that is damaged is written anew: the runs are all there."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return dict(told["rows"]) if isinstance(told, dict) and told.get("grid_sha256") == mark else {}
