"""What a person sees of an evaluation in the terminal."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from longvideoagent.core.types import Usage
from longvideoagent.evaluation.compare import Comparison
from longvideoagent.evaluation.config import EvalConfig
from longvideoagent.evaluation.evaluate import Watch
from longvideoagent.evaluation.metrics import Z_95, accuracy, plain
from longvideoagent.evaluation.score import SampleScore

REDRAWN_EVERY_S = 0.5
TOLD_EVERY_S = 30.0
BAR = 24
FLIPS_SHOWN = 20


@contextmanager
def run_progress() -> Iterator[Watch]:
    """A line on stderr: how many are done, how well so far, what it has cost, how long it will take. Where stderr
    is no terminal, a line now and then."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("", total=None)
    drawn_s = begun_s = time.monotonic()
    every_s = REDRAWN_EVERY_S if console.is_terminal else TOLD_EVERY_S

    def watch(judged: Collection[SampleScore], total: int) -> None:
        nonlocal drawn_s
        bar.update(task, total=total, completed=len(judged))
        if time.monotonic() - drawn_s < every_s and len(judged) < total:
            return
        drawn_s = time.monotonic()
        bar.update(task, description=_so_far(judged))
        if not console.is_terminal and drawn_s - begun_s >= TOLD_EVERY_S:
            console.print(f"{len(judged)}/{total} {_so_far(judged)}", soft_wrap=True, highlight=False)

    with bar:
        yield watch


def _so_far(judged: Collection[SampleScore]) -> str:
    spent = sum((each.spent for each in judged), Usage())
    right = plain(accuracy(judged))
    parts = [f"{percent(right)} right" if right else "", f"{spent.calls:,} calls"]
    parts += [f"{spent.tokens:,} tokens"] if spent.tokens else []
    parts += [f"${spent.usd:.2f}"] if spent.usd else []
    return " · ".join(part for part in parts if part)


def percent(told: Mapping[str, Any] | None) -> str:
    """A share in percent with its 95 % half interval, or from where to where it reaches if it lies to one side."""
    if told is None:
        return "–"
    mean = f"{100 * told['mean']:.1f}"
    if told["error"]:
        return f"{mean} ± {100 * Z_95 * told['error']:.1f} %"
    if told["interval"] is None:
        return f"{mean} ± – %"
    return "{} % ({:.1f} to {:.1f})".format(mean, *(100 * bound for bound in told["interval"]))


def print_summary(summary: Mapping[str, Any], protocol: EvalConfig) -> None:
    """The numbers of a run, with its protocol beside them."""
    console = Console(highlight=False)
    right, finished, total = summary["accuracy"], summary["finished"], summary["questions"]
    asked = f"{finished:,}" if finished == total else f"{finished:,} out of {total:,}"
    console.print(Text.assemble((f"{percent(right)} right", "bold green"), f" of {asked} questions"))
    console.print(Text(_told_protocol(protocol), style="dim"), soft_wrap=True)
    for told in protocol.tells_gold:
        console.print(Text(f"GOLD IS TOLD: {told}", style="bold red"))
    outcomes = {**summary["outcomes"], "invalid answers": summary["invalid_answers"]}
    console.print(", ".join(f"{name} {count:,}" for name, count in outcomes.items() if count), soft_wrap=True)
    for cause, count in summary["failures"].items():
        console.print(Text(f"{count:,} failed: {cause}", style="red"), soft_wrap=True)
    _print_groups(console, summary["by_kind"])
    grounding = {name: told for name, told in summary["grounding"].items() if told}
    if grounding:
        told = ", ".join(f"{name} {percent(value)}" for name, value in grounding.items())
        console.print(f"grounding: {told}", soft_wrap=True)
    counts = summary["per_question"].items()
    console.print(
        "a question: " + ", ".join(f"{told['mean']:.2f} {name.replace('_', ' ')}" for name, told in counts if told)
    )
    for role, used in summary["roles"].items():
        if used["calls"]:
            tokens = f", {used['prompt_tokens'] + used['completion_tokens']:,} tokens, {used['images']:,} pictures"
            cost = f", ${used['usd']:.2f}" if used["usd"] else ""
            console.print(f"{role}: {used['calls']:,} calls{tokens}{cost}, {used['seconds']:,.0f} s", soft_wrap=True)
    if summary["calibration"]["ece"] is not None:
        console.print(f"calibration error of the confidence: {100 * summary['calibration']['ece']:.1f} %")


def _told_protocol(protocol: EvalConfig) -> str:
    settings = protocol.settings
    parts = [
        protocol.baseline or f"agents {settings.agents}",
        f"{settings.max_rounds} rounds",
        f"window {settings.window}",
    ]
    parts += [f"first clip {protocol.first_clip}", f"boxes {'told' if protocol.boxes else 'not told'}"]
    roles = [protocol.team_config.master, protocol.team_config.grounding, protocol.team_config.vision]
    names = ", ".join(dict.fromkeys(role.model for role in roles))
    return " · ".join([names, f"style {protocol.team_config.style}", *parts, "± is 95 %, clustered by episode"])


def _print_groups(console: Console, groups: Mapping[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, told in groups.items():
        if told:
            table.add_row(name, percent(told), f"n={told['n']:,}", Text("█" * round(BAR * told["mean"]), style="green"))
    console.print(table)


def print_comparison(told: Comparison) -> None:
    """Settings that differ, the gain with its interval, and what flipped."""
    console = Console(highlight=False)
    for line in told.settings:
        console.print(Text(line, style="dim"), soft_wrap=True)
    for line in told.tells_gold:
        console.print(Text(f"GOLD IS TOLD IN {line}", style="bold red"), soft_wrap=True)
    first, second = percent(plain(told.first)), percent(plain(told.second))
    console.print(f"{told.common:,} common questions: {first} → {second}", soft_wrap=True)
    reach = "from {:+.1f} to {:+.1f}".format(*(100 * bound for bound in told.interval)) if told.interval else "–"
    gain = f"{100 * told.gain:+.1f} points, 95 % {reach}, p = {told.p:.3g} by episode"
    console.print(Text(gain, style="bold"), soft_wrap=True)
    console.print(f"McNemar p = {told.p_mcnemar:.3g}, if questions about one episode were independent")
    gained = sum(flip.gained for flip in told.flips)
    console.print(f"{gained:,} questions gained, {len(told.flips) - gained:,} lost")
    for flip in told.flips[:FLIPS_SHOWN]:
        mark, style = ("+", "green") if flip.gained else ("-", "red")
        console.print(
            Text.assemble((f"{mark} {flip.sample.question.id} ", style), flip.sample.question.text), soft_wrap=True
        )
    if len(told.flips) > FLIPS_SHOWN:
        console.print(Text(f"… {len(told.flips) - FLIPS_SHOWN} more", style="dim"))


def print_grid(rows: Mapping[str, Mapping[str, Any]], what: str) -> None:
    """One line a run of an ablation, with its bar."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in (what, "accuracy", "grounding", "calls", ""):
        table.add_column(name)
    for name, summary in rows.items():
        calls = sum(used["calls"] for used in summary["roles"].values())
        bar = Text("█" * round(BAR * (summary["accuracy"] or {"mean": 0})["mean"]), style="green")
        table.add_row(name, percent(summary["accuracy"]), percent(summary["grounding"]["window"]), f"{calls:,}", bar)
    Console(highlight=False).print(table)
