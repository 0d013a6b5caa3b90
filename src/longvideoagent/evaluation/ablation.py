"""The paper's ablations as a grid of runs that share the response cache."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, assert_never
from urllib.parse import quote

from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.config import EvalConfig, EvalData, load_samples, resolve, without_unused
from longvideoagent.evaluation.evaluate import OnProgress, RunForecast, RunOptions, forecast_run, run_evaluation
from longvideoagent.evaluation.metrics import Z_95
from longvideoagent.evaluation.protocols import apply_to_settings
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
_ROW_FIELDS = {"accuracy", "grounding", "num_finished", "outcomes"}
"""The fields of a summary that the page reads."""


@dataclass(frozen=True, slots=True)
class Grid:
    """One setting varied, and all others as in one configuration."""

    base: EvalConfig
    axis: Axis
    configs: Mapping[str, EvalConfig]
    """By value."""

    @property
    def values_without_layout(self) -> tuple[str, ...]:
        """The values that run in the default wording, since the layout has none for them."""
        layouts = {value: _layout_of(config) for value, config in self.configs.items()}
        return tuple(value for value, layout in layouts.items() if layout != _layout_of(self.base))


@dataclass(frozen=True, slots=True)
class GridResult:
    """The outcome of a grid."""

    summaries: dict[str, dict[str, Any]]
    """Of each value whose run reached its end."""
    stop_cause: str
    """Why the grid stopped early, or which of its runs cannot be used; empty if all reached their end."""
    warnings: tuple[str, ...] = ()
    """What is to be shown next to the numbers, each with the values that it holds for."""


def _layout_of(config: EvalConfig) -> tuple[object, ...]:
    return config.team_config.layout, config.team_config.layout_file


def make_grid(config: EvalConfig, axis: Axis, values: Sequence[str]) -> Grid:
    """A configuration for each value of the axis; without values, those of the paper. Raises UsageError for an
    impossible value."""
    chosen = values or _DEFAULTS.get(axis, ())
    if not chosen:
        raise UsageError(f"lva ablate {axis} compares models; name them with --value openai:NAME, twice or more")
    return Grid(config, axis, {value: _with_value(config, axis, value) for value in chosen})


def _with_value(config: EvalConfig, axis: Axis, value: str) -> EvalConfig:
    settings = config.settings
    try:
        match axis:
            case "rounds":
                return replace(config, settings=_with_max_rounds(config, int(value)))
            case "window":
                return replace(config, settings=replace(settings, window=int(value)))
            case "agents":
                return without_unused(replace(config, settings=replace(settings, agents=Agents(value))))
            case "vision":
                return replace(config, team_config=config.team_config.with_models(vision=value))
            case _:
                assert_never(axis)
    except ValueError:
        raise UsageError(f"lva ablate {axis} --value {value}: not a valid value") from None


def _with_max_rounds(config: EvalConfig, max_rounds: int) -> RolloutSettings:
    """The settings with another ``--max-rounds``, to which the protocol adds its own rounds."""
    return apply_to_settings(config.protocol, replace(config.settings, max_rounds=max_rounds))


def forecast_grid(grid: Grid, folder: Path | None = None) -> dict[str, RunForecast]:
    """The upper bound of each configuration of a grid, without asking anything. ``folder`` is that of ``run_grid``; the
    runs in it are checked. Raises as ``forecast_run`` does."""
    return {
        value: forecast_run(config, loaded, None if folder is None else _run_path(folder, grid.axis, value))
        for value, config, loaded in _load_runs(grid)
    }


def _run_path(folder: Path, axis: Axis, value: str) -> Path:
    return folder / f"{axis}-{quote(value, safe='+')}"


class _GridRun(NamedTuple):
    value: str
    config: EvalConfig
    loaded: EvalData


def _load_runs(grid: Grid) -> Iterator[_GridRun]:
    """Each configuration with its data, which are read once: of the settings that vary, only the gold boxes change
    them."""
    loaded: dict[bool, EvalData] = {}
    for value, config in grid.configs.items():
        if config.gold_boxes not in loaded:
            loaded[config.gold_boxes] = load_samples(config)
        yield _GridRun(value, config, loaded[config.gold_boxes])


def run_grid(grid: Grid, folder: Path, options: RunOptions, on_progress: OnProgress) -> GridResult:
    """Run, or resume, each configuration of a grid in a folder of its own, and write the table and its plot, which keep
    the values of earlier commands of the same grid. A damaged run does not keep the others from theirs. Raises the
    errors of ``run_evaluation`` if no value has a result."""
    summaries: dict[str, dict[str, Any]] = {}
    values_by_warning: dict[str, list[str]] = {}
    stop_causes: list[str] = []
    for value, config, loaded in _load_runs(grid):
        started: list[str] = []
        watched = replace(options, on_warning=partial(_forward, options, started))
        try:
            result = run_evaluation(config, _run_path(folder, grid.axis, value), watched, on_progress, loaded)
        except DataError as error:
            if not summaries and len(grid.configs) == len(stop_causes) + 1:
                raise
            stop_causes.append(f"{grid.axis} {value}: {error}")
            continue
        if result.stop_cause:
            stop_causes.append(f"{grid.axis} {value} stopped early: {result.stop_cause}")
            break
        summaries[value] = result.summary
        gold = (f"AGENTS GET GOLD: {description}" for description in config.gold_inputs)
        for warning in (*gold, *(f"wording: {each}" for each in result.wording_warnings), *started):
            values_by_warning.setdefault(warning, []).append(value)
    warnings = tuple(
        warning if len(values) == len(summaries) else f"{grid.axis} {', '.join(values)}: {warning}"
        for warning, values in values_by_warning.items()
    )
    if summaries:
        _write_table(grid, folder, summaries, warnings)
    return GridResult(summaries, "; ".join(stop_causes), warnings)


def _forward(options: RunOptions, started: list[str], text: str) -> None:
    """Keep a warning that a run prints before it asks, and print it."""
    started.append(text)
    options.on_warning(text)


def _write_table(grid: Grid, folder: Path, summaries: dict[str, dict[str, Any]], warnings: Sequence[str]) -> None:
    grid_digest = _grid_digest(grid)
    known = _read_rows(folder / TABLE, grid_digest) | summaries
    rows = {value: known[value] for value in dict.fromkeys([*_DEFAULTS.get(grid.axis, ()), *known]) if value in known}
    table = {"axis": grid.axis, "grid_sha256": grid_digest, "rows": rows}
    atomic_write_text(folder / TABLE, json.dumps(table, indent=1) + "\n")
    title = f"{grid.base.data.name}: {grid.axis}"
    page = render(
        "longvideoagent.evaluation",
        "ablation.html.j2",
        title=title,
        axis=grid.axis,
        rows=rows,
        z=Z_95,
        warnings=warnings,
    )
    atomic_write_text(folder / PAGE, page)


def _grid_digest(grid: Grid) -> str:
    """Equal for grids whose values may stand in one table."""
    config = resolve(grid.base, *load_samples(grid.base))
    del config["wording"], config["wording_warnings"]  # older tables were written without them
    del config["limit"]  # the questions count, not the limit that selected them
    del config["versions"]["python"]
    return digest([grid.axis, json.dumps(config, sort_keys=True)])


def _read_rows(path: Path, grid_digest: str) -> dict[str, dict[str, Any]]:
    """The rows of an earlier table of the same grid. A damaged table is replaced, since the runs are all there."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    rows = table.get("rows") if isinstance(table, dict) and table.get("grid_sha256") == grid_digest else None
    if not isinstance(rows, dict):
        return {}
    return {value: row for value, row in rows.items() if isinstance(row, dict) and row.keys() >= _ROW_FIELDS}
