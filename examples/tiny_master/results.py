"""The results of the demonstration: a table, a plot, and whether the gain comes from better actions."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.core.trace import Trace
from longvideoagent.evaluation.compare import compare
from longvideoagent.training.rollouts import action_counts
from longvideoagent.views.run_folder import read_samples, read_traces
from tiny_master.questions import SPOKEN

NEEDS = ("first clip correct, answer in subtitles", "first clip correct, answer in frames", "first clip wrong")
"""Groups of questions: the answer can be read, needs a look, needs a relocation."""


@dataclass(frozen=True, slots=True)
class GroupMeans:
    """Means over the questions of one group."""

    questions: int
    accuracy: float
    looks: float
    relocations: float


def group_means(run: Path) -> dict[str, GroupMeans]:
    """Accuracy and action counts of a run, by what its questions need."""
    samples = read_samples(run)
    groups: dict[str, list[tuple[Trace, bool]]] = {need: [] for need in NEEDS}
    for trace in {trace.question.id: trace for trace in read_traces(run)}.values():
        sample = samples[trace.question.id]
        is_correct_clip = bool(trace.visited_labels) and trace.visited_labels[0] == sample.gold.clip
        need = NEEDS[2] if not is_correct_clip else NEEDS[0] if sample.kind == SPOKEN else NEEDS[1]
        groups[need].append((trace, trace.option_index == sample.gold.option_index))
    return {need: _mean(answers) for need, answers in groups.items()}


def _mean(answers: Sequence[tuple[Trace, bool]]) -> GroupMeans:
    """Of traces and whether each is correct."""
    count = len(answers) or 1
    counts = [action_counts(trace) for trace, _ in answers]
    looks, relocations = (sum(row[name] for row in counts) / count for name in ("looks", "relocations"))
    return GroupMeans(len(answers), sum(is_correct for _, is_correct in answers) / count, looks, relocations)


def write_results(folder: Path, runs: Sequence[Path], seconds: float) -> None:
    """Print and write the table, and draw the plot; ``runs`` are the one before training and those after."""
    before = runs[0]
    accuracy = {run.name: json.loads((run / "summary.json").read_text())["accuracy"] for run in runs}
    means = {run.name: group_means(run) for run in runs}
    lines = [f"{'':42}{'% correct':>16}{'p':>8}"]
    for run in runs:
        mean, (low, high) = accuracy[run.name]["mean"], accuracy[run.name]["interval"] or (0.0, 1.0)
        p = "" if run is before else f"{compare(before, run).p_value:8.4f}"
        lines.append(f"{run.name:42}{f'{100 * mean:.1f} ({100 * low:.0f} to {100 * high:.0f})':>16}{p}")
    for need in NEEDS:
        lines.append(f"\n{need}, {means[before.name][need].questions} questions")
        for run in runs:
            group = means[run.name][need]
            actions = f"{group.looks:6.2f} looks {group.relocations:6.2f} relocations"
            lines.append(f"  {run.name:40}{100 * group.accuracy:6.1f} % correct {actions}")
    lines.append(f"\n{seconds:.0f} s in all")
    (folder / "results.txt").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")
    _draw(folder / "results.png", means)


def _draw(path: Path, means: Mapping[str, Mapping[str, GroupMeans]]) -> None:
    """Small multiples of accuracy, looks and relocations by what questions need; a bar per run."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
    colours = [mpl.colormaps["viridis"](0.15 if index == 0 else 0.5 + 0.12 * index) for index in range(len(means))]
    panels = (("correct, %", "accuracy"), ("looks per question", "looks"), ("relocations per question", "relocations"))
    for axis, (title, field) in zip(axes, panels, strict=True):
        for index, (run, groups) in enumerate(means.items()):
            heights = [getattr(groups[need], field) * (100 if field == "accuracy" else 1) for need in NEEDS]
            positions = [group + (index - len(means) / 2) * 0.18 for group in range(len(NEEDS))]
            axis.bar(positions, heights, 0.17, label=run, color=colours[index], align="edge")
        axis.set_title(title, fontsize=10)
        axis.set_xticks(range(len(NEEDS)), [need.replace(", ", ",\n") for need in NEEDS], fontsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=130)
