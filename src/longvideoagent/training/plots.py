"""The numbers of training runs, drawn; and a page that has them beside the rollouts (extra ``train``)."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from longvideoagent.errors import DataError
from longvideoagent.fs import atomic_path, atomic_write_text
from longvideoagent.training.run_dir import CURVES, HELD_OUT, METRICS, REPORT, ROLLOUTS, TrainingFolder, read_settings
from longvideoagent.views.html.page import render

PANELS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "reward": ("reward",),
        "right": ("accuracy",),
        "a rollout": ("rounds", "looks", "relocations"),
        "loss": ("loss",),
        "KL to the first model": ("kl",),
        "entropy of a token": ("entropy",),
        "sampled tokens": ("completions/mean_length",),
        "rollouts without a reward": ("failed", "did_not_fit"),
    }
)
"""Titles, and the metrics of each; a panel without any is left out."""
SMOOTH = 0.8
"""How much of a smoothed number is the one before it."""
SHOWN_ROLLOUTS = 40


def draw(runs: Sequence[Path], out: Path) -> None:
    """Small multiples over the steps, a line for each run; what was measured is faint behind its smoothed line, and
    points are the held-out questions. Raises DataError where no run has a metric."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    metrics = [list(TrainingFolder(run).lines(METRICS)) for run in runs]
    held_out = [list(TrainingFolder(run).lines(HELD_OUT)) for run in runs]
    told = {name for lines in metrics for line in lines for name in line}
    panels = [title for title, names in PANELS.items() if told & set(names)]
    if not panels:
        raise DataError(f"{runs[0]}: no step has been made yet; there is nothing to draw")
    rows = -(-len(panels) // 3)
    figure = Figure(figsize=(11, 2.9 * rows), layout="constrained")
    axes = list(figure.subplots(rows, 3, squeeze=False).flat)
    colours = [mpl.colormaps["tab10"](number) for number in range(10)]
    for axis, title in zip(axes, panels, strict=False):
        for number, run in enumerate(runs):
            for place, name in enumerate(each for each in PANELS[title] if each in told):
                label = name if len(runs) == 1 else run.name
                _line(axis, metrics[number], name, colours[(number + place) % 10], label)
            if title == "right" and held_out[number]:
                steps = [line["step"] for line in held_out[number]]
                right = [line.get("accuracy", math.nan) for line in held_out[number]]
                axis.plot(steps, right, "o-", color=colours[(number + 1) % 10], lw=1, ms=4, label="held out")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step", fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if title == "right":
            axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=7, frameon=False)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    with atomic_path(out) as partial:
        figure.savefig(partial, dpi=120)


def _line(axis: Any, lines: Sequence[Mapping[str, Any]], name: str, colour: Any, label: str) -> None:
    points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    smoothed: list[float] = []
    for _, number in points:
        smoothed.append(SMOOTH * smoothed[-1] + (1 - SMOOTH) * number if smoothed else number)
    steps = [step for step, _ in points]
    axis.plot(steps, [number for _, number in points], color=colour, alpha=0.25, lw=1)
    axis.plot(steps, smoothed, color=colour, lw=1.6, label=label)


def _plain(value: Any) -> str:
    """A setting as one reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def write_training_report(run: Path, out: Path | None = None) -> Path:
    """Draw a run's curves, and write the page: its settings, the curves, and its latest rollouts. Raises DataError
    where the folder holds no training run."""
    folder = TrainingFolder(run)
    settings = read_settings(run)
    draw([run], run / CURVES)
    page = out or run / REPORT
    image = base64.b64encode((run / CURVES).read_bytes()).decode()
    told = render(
        "longvideoagent.training",
        "report.html.j2",
        title=f"{settings['algorithm']}: {run.name}",
        settings={name: _plain(value) for name, value in settings.items() if value not in (None, {}, [])},
        curves=f"data:image/png;base64,{image}",
        held_out=list(folder.lines(HELD_OUT)),
        rollouts=list(folder.lines(ROLLOUTS))[-SHOWN_ROLLOUTS:][::-1],
    )
    atomic_write_text(page, told)
    return page
