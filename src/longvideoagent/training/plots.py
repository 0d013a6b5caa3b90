"""The metrics of training runs as plots, and a page that shows them with the rollouts (extra ``train``)."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from longvideoagent.core.actions import ACTIONS
from longvideoagent.errors import DataError
from longvideoagent.fs import atomic_path, atomic_write_text
from longvideoagent.training.run_dir import CURVES, EVAL, METRICS, REPORT, ROLLOUTS, RunDir, read_settings
from longvideoagent.views.html.page import render
from longvideoagent.views.trace_dict import trace_from_dict
from longvideoagent.views.trace_view import TraceView, view_trace

ACCURACY = "accuracy"
ROLLOUT_COUNTS = ("rounds", *(spec.count_name for spec in ACTIONS if spec.agent is not None))
PANELS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "reward": ("reward",),
        ACCURACY: ("accuracy",),
        "per rollout": ROLLOUT_COUNTS,
        "loss": ("loss",),
        "KL to the first model": ("kl",),
        "entropy per token": ("entropy",),
        "sampled tokens": ("completions/mean_length",),
        "rollouts without a reward": ("failed", "prompt_too_long"),
    }
)
"""Titles -> metrics; a panel without any of its metrics is left out."""
COLUMNS = 3
SMOOTHING = 0.8
"""Weight of the previous value in the exponential moving average."""
SHOWN_ROLLOUTS = 40


def draw_curves(runs: Sequence[Path], out: Path) -> None:
    """Draw small multiples over the steps, a line per run: measured values are faint behind their moving average,
    points are evaluations. Raises DataError if no run has a metric."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    metrics = [list(RunDir(run).lines(METRICS)) for run in runs]
    evaluations = [list(RunDir(run).lines(EVAL)) for run in runs]
    names = {name for lines in metrics for line in lines for name in line}
    panels = [title for title, panel_names in PANELS.items() if names & set(panel_names)]
    if not panels:
        raise DataError(f"{runs[0]}: no step has finished yet; there is nothing to draw")
    num_rows = math.ceil(len(panels) / COLUMNS)
    figure = Figure(figsize=(11, 2.9 * num_rows), layout="constrained")
    axes = list(figure.subplots(num_rows, COLUMNS, squeeze=False).flat)
    colours = [mpl.colormaps["tab10"](index) for index in range(10)]
    for axis, title in zip(axes, panels, strict=False):
        for index, run in enumerate(runs):
            for line_index, name in enumerate(metric for metric in PANELS[title] if metric in names):
                label = name if len(runs) == 1 else run.name
                _draw_line(axis, metrics[index], name, colours[(index + line_index) % 10], label)
            if title == ACCURACY and evaluations[index]:
                steps = [line["step"] for line in evaluations[index]]
                accuracy = [line.get("accuracy", math.nan) for line in evaluations[index]]
                axis.plot(steps, accuracy, "o-", color=colours[(index + 1) % 10], lw=1, ms=4, label="eval")
        _label_axis(axis, title)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    with atomic_path(out) as partial:
        figure.savefig(partial, dpi=120)


def _label_axis(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("step", fontsize=8)
    axis.xaxis.get_major_locator().set_params(integer=True)
    if title == ACCURACY:
        axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=7, frameon=False)


def _draw_line(axis: Any, lines: Sequence[Mapping[str, Any]], name: str, colour: Any, label: str) -> None:
    points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    steps, values = [step for step, _ in points], [value for _, value in points]
    smoothed: list[float] = []
    for value in values:
        smoothed.append(SMOOTHING * smoothed[-1] + (1 - SMOOTHING) * value if smoothed else value)
    axis.plot(steps, values, color=colour, alpha=0.25, lw=1)
    axis.plot(steps, smoothed, color=colour, lw=1.6, label=label)


def write_training_report(run: Path, out: Path | None = None) -> Path:
    """Draw a run's curves and write the page: settings, curves, evaluations, latest rollouts. Returns the page's path.
    Raises DataError for a folder without a training run."""
    run_dir = RunDir(run)
    settings = read_settings(run)
    run_dir.migrate()
    draw_curves([run], run / CURVES)
    image = base64.b64encode((run / CURVES).read_bytes()).decode()
    page = render(
        "longvideoagent.training",
        "report.html.j2",
        title=f"{settings['algorithm']}: {run.name}",
        settings={name: _format_setting(value) for name, value in settings.items() if value not in (None, {}, [])},
        curves=f"data:image/png;base64,{image}",
        evaluations=list(run_dir.lines(EVAL)),
        count_names=ROLLOUT_COUNTS,
        rollouts=_latest_rollouts(run_dir),
    )
    path = out or run / REPORT
    atomic_write_text(path, page)
    return path


class RolloutView(NamedTuple):
    """A rollout on the page."""

    step: int
    trace: TraceView


def _latest_rollouts(run_dir: RunDir) -> list[RolloutView]:
    """Latest first. Raises DataError for a line that is not a trace."""
    lines = list(run_dir.lines(ROLLOUTS))[-SHOWN_ROLLOUTS:]
    try:
        views = [RolloutView(line["step"], view_trace(trace_from_dict(line["trace"]))) for line in lines]
    except (ValueError, LookupError) as error:
        raise DataError(f"{run_dir.path / ROLLOUTS}: not a trace ({error}); delete that line") from error
    return views[::-1]


def _format_setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format_setting(field)}" for name, field in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
