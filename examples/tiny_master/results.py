"""What the demonstration measured: a table, a plot, and whether the gain comes from acting better."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.core.actions import Look, Relocate
from longvideoagent.core.trace import Trace
from longvideoagent.evaluation.compare import compare
from longvideoagent.views.run_folder import read_samples, read_traces
from tiny_master.questions import SPOKEN

STATES = ("first clip right, told by lines", "first clip right, told by frames", "first clip wrong")
"""What a question needs: nothing more, a look, a relocation first."""


@dataclass(frozen=True, slots=True)
class Acted:
    """Means over the questions of one state."""

    questions: int
    right: float
    looks: float
    relocations: float


def acted(run: Path) -> dict[str, Acted]:
    """How a master acted, by what its questions needed."""
    samples = read_samples(run)
    by_state: dict[str, list[tuple[Trace, bool]]] = {state: [] for state in STATES}
    for trace in {trace.question.id: trace for trace in read_traces(run)}.values():
        sample = samples[trace.question.id]
        is_there = bool(trace.visited) and trace.visited[0] == sample.gold.clip
        state = STATES[2] if not is_there else STATES[0] if sample.kind == SPOKEN else STATES[1]
        by_state[state].append((trace, trace.option_index == sample.gold.option_index))
    return {state: _mean(told) for state, told in by_state.items()}


def _mean(told: Sequence[tuple[Trace, bool]]) -> Acted:
    count = len(told) or 1
    actions = [[type(said.action) for said in trace.rounds] for trace, _ in told]
    looks, moves = (sum(each.count(kind) for each in actions) / count for kind in (Look, Relocate))
    return Acted(len(told), sum(right for _, right in told) / count, looks, moves)


def write_results(folder: Path, runs: Sequence[Path], seconds: float) -> None:
    """Print and keep the table, and draw it; ``runs`` are the one before and those after."""
    before = runs[0]
    accuracy = {run.name: json.loads((run / "summary.json").read_text())["accuracy"] for run in runs}
    told = {run.name: acted(run) for run in runs}
    lines = [f"{'':34}{'right':>16}{'p':>8}"]
    for run in runs:
        mean, (low, high) = accuracy[run.name]["mean"], accuracy[run.name]["interval"] or (0.0, 1.0)
        p = "" if run is before else f"{compare(before, run).p:8.4f}"
        lines.append(f"{run.name:34}{f'{100 * mean:.1f} ({100 * low:.0f} to {100 * high:.0f})':>16}{p}")
    for state in STATES:
        lines.append(f"\n{state}, {told[before.name][state].questions} questions")
        for run in runs:
            each = told[run.name][state]
            used = f"{each.looks:6.2f} looks {each.relocations:6.2f} relocations"
            lines.append(f"  {run.name:32}{100 * each.right:6.1f} % right {used}")
    lines.append(f"\n{seconds:.0f} s in all")
    (folder / "results.txt").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")
    _draw(folder / "results.png", [told[run.name] for run in runs], [run.name for run in runs])


def _draw(path: Path, told: Sequence[dict[str, Acted]], names: Sequence[str]) -> None:
    """Small multiples: what was right, looks and relocations, by what questions needed; a bar a run."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
    colours = [mpl.colormaps["viridis"](0.15 if number == 0 else 0.5 + 0.12 * number) for number in range(len(names))]
    for axis, (title, field) in zip(
        axes,
        (("right, %", "right"), ("looks a question", "looks"), ("relocations a question", "relocations")),
        strict=True,
    ):
        for run, (acts, name) in enumerate(zip(told, names, strict=True)):
            heights = [getattr(acts[state], field) * (100 if field == "right" else 1) for state in STATES]
            places = [place + (run - len(names) / 2) * 0.18 for place in range(len(STATES))]
            axis.bar(places, heights, 0.17, label=name, color=colours[run], align="edge")
        axis.set_title(title, fontsize=10)
        axis.set_xticks(range(len(STATES)), [state.replace(", ", ",\n") for state in STATES], fontsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=130)
