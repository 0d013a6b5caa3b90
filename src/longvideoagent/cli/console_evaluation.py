"""Terminal output of evaluations: progress on stderr, results on stdout."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from longvideoagent.agents.cost import TOTAL, sum_forecasts
from longvideoagent.cli.console import (
    add_usage_columns,
    print_forecast,
    print_forecast_table,
    show_warnings,
    usage_cells,
)
from longvideoagent.cli.terminal import TerminalConsole, printable, stderr_console, stdout_console
from longvideoagent.core.text import plural
from longvideoagent.core.types import Usage
from longvideoagent.evaluation.compare import Comparison
from longvideoagent.evaluation.config import EvalConfig
from longvideoagent.evaluation.evaluate import OnProgress, RunForecast
from longvideoagent.evaluation.metrics import CONFIDENT, Z_95, accuracy, to_dict
from longvideoagent.evaluation.protocols import describe_protocol
from longvideoagent.evaluation.score import SampleScore

REDRAW_INTERVAL_S = 0.5
LOG_INTERVAL_S = 30.0
BAR_WIDTH = 24
MAX_FLIPS = 20


@contextmanager
def run_progress() -> Iterator[OnProgress]:
    """A progress line on stderr: questions done, accuracy so far, cost, time left. Without a terminal, a line every
    ``LOG_INTERVAL_S``. Logged warnings are printed as notes."""
    show_warnings()
    console = stderr_console()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("", total=None)
    drawn_s = started_s = time.monotonic()
    interval_s = REDRAW_INTERVAL_S if console.is_terminal else LOG_INTERVAL_S

    def on_progress(scores: Collection[SampleScore], total: int) -> None:
        nonlocal drawn_s
        bar.update(task, total=total, completed=len(scores))
        if time.monotonic() - drawn_s < interval_s and len(scores) < total:
            return
        drawn_s = time.monotonic()
        bar.update(task, description=_summary_line(scores))
        if not console.is_terminal and drawn_s - started_s >= LOG_INTERVAL_S:
            console.print(f"{len(scores)}/{total} {_summary_line(scores)}", soft_wrap=True)

    with bar:
        yield on_progress


def _summary_line(scores: Collection[SampleScore]) -> str:
    usage = sum((score.total_usage for score in scores), Usage())
    estimate = to_dict(accuracy(scores))
    parts = [f"{percent(estimate)} correct" if estimate else "", _count(usage.calls, "call")]
    parts += [_count(usage.tokens, "token")] if usage.tokens else []
    parts += [f"${usage.usd:.4f}"] if usage.usd else []
    return " · ".join(part for part in parts if part)


def percent(estimate: Mapping[str, Any] | None) -> str:
    """A fraction in percent with half its 95 % interval, or with both bounds of a one-sided interval."""
    if estimate is None:
        return "–"
    mean = f"{100 * estimate['mean']:.1f}"
    if estimate["standard_error"]:
        return f"{mean} ± {100 * Z_95 * estimate['standard_error']:.1f} %"
    if estimate["interval"] is None:
        return f"{mean} ± – %"
    return "{} % ({:.1f} to {:.1f})".format(mean, *(100 * bound for bound in estimate["interval"]))


def print_summary(summary: Mapping[str, Any], config: EvalConfig, wording_warnings: Sequence[str] = ()) -> None:
    """The numbers of a run, next to its configuration and to what is not as in the public code."""
    console = stdout_console()
    finished, total = summary["num_finished"], summary["num_questions"]
    count = f"{finished:,}" if finished == total else f"{finished:,} out of {total:,}"
    correct = f"{percent(summary['accuracy'])} correct"
    console.print(Text.assemble((correct, "bold green"), f" of {count} {plural('question', total)}"))
    console.print(Text(_config_line(config), style="dim"), soft_wrap=True)
    for description in config.gold_inputs:
        console.print(Text(f"AGENTS GET GOLD: {description}", style="bold red"))
    for warning in wording_warnings:
        console.print(Text(f"wording: {warning}", style="yellow"), soft_wrap=True)
    outcomes = {**summary["outcomes"], "invalid answers": summary["invalid_answers"]}
    console.print(", ".join(f"{name} {number:,}" for name, number in outcomes.items() if number), soft_wrap=True)
    for cause, number in summary["failures"].items():
        console.print(Text(printable(f"{number:,} failed: {cause}"), style="red"), soft_wrap=True)
    _print_groups(console, summary["by_kind"])
    _print_open_ended(console, summary)
    grounding = [f"{name} {percent(estimate)}" for name, estimate in summary["grounding"].items() if estimate]
    if grounding:
        console.print(f"grounding: {', '.join(grounding)}", soft_wrap=True)
    means = summary["per_question"].items()
    counts = [f"{mean['mean']:.2f} {name.replace('_', ' ')}" for name, mean in means if mean]
    console.print(f"per question: {', '.join(counts)}")
    if cached := _num_cached_replies(summary):
        replies = "1 reply" if cached == 1 else f"{cached:,} replies"
        console.print(f"master: {replies} from the cache, without a call; --no-cache asks again", soft_wrap=True)
    for agent, usage in summary["agents"].items():
        if usage["calls"]:
            num_tokens = usage["prompt_tokens"] + usage["completion_tokens"]
            numbers = {"call": usage["calls"], "token": num_tokens, "image": usage["images"]}
            used = ", ".join(_count(number, name) for name, number in numbers.items())
            cost = f", ${usage['usd']:.4f}" if usage["usd"] else ""
            console.print(f"{agent}: {used}{cost}, {usage['seconds']:,.0f} s", soft_wrap=True)
    if summary["calibration"]["ece"] is not None:
        errors = summary["confident_errors"]
        console.print(
            f"calibration error of the confidence: {100 * summary['calibration']['ece']:.1f} %"
            f"; wrong with confidence over {CONFIDENT:g}: {100 * errors['mean'] if errors else 0:.1f} % of questions"
        )


def _print_open_ended(console: TerminalConsole, summary: Mapping[str, Any]) -> None:
    """The accuracy of each form and the metrics of open-ended answers, if there are any."""
    if summary["by_form"]["open_ended"] is None:
        return
    forms = [
        f"{name.replace('_', ' ')} {percent(estimate)}" for name, estimate in summary["by_form"].items() if estimate
    ]
    console.print(f"correct by form: {', '.join(forms)}", soft_wrap=True)
    means = [f"{name} {percent(estimate)}" for name, estimate in summary["open_ended"].items() if estimate]
    console.print(f"open-ended: {', '.join(means)}", soft_wrap=True)


def _num_cached_replies(summary: Mapping[str, Any]) -> int:
    """Rounds for which the master was not called."""
    rounds = summary["per_question"]["rounds"]
    num_rounds = round(rounds["mean"] * rounds["num_questions"]) if rounds else 0
    return max(0, num_rounds - int(summary["agents"]["master"]["calls"]))


def _config_line(config: EvalConfig) -> str:
    settings, team = config.settings, config.team_config
    models = ", ".join(dict.fromkeys(agent.label for agent in (team.master, team.grounding, team.vision)))
    protocol = describe_protocol(config.protocol.model_dump(mode="json"))
    parts = [
        models,
        *(["the master scores the options"] if team.is_reader else []),
        *([f"lines compared by meaning with {team.meaning}"] if team.meaning else []),
        *([f"objects by {team.objects}"] if team.objects else []),
        *([protocol] if protocol else []),
        config.wording.description,
        f"style {team.style}",
        config.baseline or f"agents {settings.agents}",
        _count(settings.max_rounds, "round"),
        f"window {settings.window}",
        f"first clip {config.first_clip_option}",
        f"gold boxes {'given' if config.gold_boxes else 'not given'}",
        *([] if config.ids_file is None else [f"questions of {config.ids_file}"]),
        "± is 95 %, clustered by video",
    ]
    return " · ".join(parts)


def _print_groups(console: TerminalConsole, groups: Mapping[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, estimate in groups.items():
        if estimate:
            table.add_row(
                Text(printable(name)), percent(estimate), f"n={estimate['num_questions']:,}", _bar(estimate["mean"])
            )
    console.print(table)


def _bar(fraction: float) -> Text:
    return Text("█" * round(BAR_WIDTH * fraction), style="green")


def print_comparison(comparison: Comparison) -> None:
    """Settings that differ, the gain with its interval, and the questions that changed."""
    console = stdout_console()
    for line in comparison.settings:
        console.print(Text(line, style="dim"), soft_wrap=True)
    for line in comparison.gold_inputs:
        console.print(Text(f"AGENTS GET GOLD IN {line}", style="bold red"), soft_wrap=True)
    first, second = percent(to_dict(comparison.first)), percent(to_dict(comparison.second))
    console.print(f"{_count(comparison.num_common, 'common question')}: {first} → {second}", soft_wrap=True)
    bounds = comparison.interval
    interval = "from {:+.1f} to {:+.1f}".format(*(100 * bound for bound in bounds)) if bounds else "–"
    gain = f"{100 * comparison.gain:+.1f} points, 95 % {interval}, p = {comparison.p_value:.3g} by video"
    console.print(Text(gain, style="bold"), soft_wrap=True)
    console.print(f"McNemar p = {comparison.p_value_mcnemar:.3g}, if questions about one video were independent")
    for form, group in comparison.by_form.items():
        before, after = percent(to_dict(group.first)), percent(to_dict(group.second))
        console.print(f"{group.num_common:,} {form}: {before} → {after}", soft_wrap=True)
    gained = sum(flip.is_gain for flip in comparison.flips)
    console.print(f"{_count(gained, 'question')} gained, {len(comparison.flips) - gained:,} lost")
    for flip in comparison.flips[:MAX_FLIPS]:
        sign, style = ("+", "green") if flip.is_gain else ("-", "red")
        question = flip.sample.question
        console.print(
            Text.assemble((printable(f"{sign} {question.id} "), style), printable(question.text)), soft_wrap=True
        )
    if len(comparison.flips) > MAX_FLIPS:
        console.print(Text(f"… {len(comparison.flips) - MAX_FLIPS} more", style="dim"))


def print_run_forecast(forecast: RunForecast) -> None:
    """The most that a run may use, by agent."""
    stdout_console().print(f"{_count(forecast.num_questions, 'question')}, {_count(forecast.max_rounds, 'round')} each")
    print_forecast(forecast.by_agent)


def _count(number: int, name: str) -> str:
    return f"{number:,} {plural(name, number)}"


def print_grid_forecast(forecasts: Mapping[str, RunForecast], axis: str) -> None:
    """The most that each run of an ablation may use; the last row is the total."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(axis)
    for name in ("questions", "max rounds"):
        table.add_column(name, justify="right")
    add_usage_columns(table)
    totals = {value: forecast.by_agent[-1] for value, forecast in forecasts.items()}
    for value, forecast in forecasts.items():
        counts = (f"{forecast.num_questions:,}", f"{forecast.max_rounds:,}")
        table.add_row(Text(printable(value)), *counts, *usage_cells(totals[value]))
    num_questions = sum(forecast.num_questions for forecast in forecasts.values())
    table.add_row(TOTAL, f"{num_questions:,}", "", *usage_cells(sum_forecasts(totals.values())), style="bold")
    print_forecast_table(table)


def print_grid(summaries: Mapping[str, Mapping[str, Any]], axis: str, warnings: Sequence[str] = ()) -> None:
    """One line for each run of an ablation, with its bar, and what holds for their numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in (axis, "accuracy", "grounding", "calls", ""):
        table.add_column(name)
    for value, summary in summaries.items():
        calls = sum(usage["calls"] for usage in summary["agents"].values())
        estimate, grounding = summary["accuracy"], summary["grounding"]["window"]
        bar = _bar(estimate["mean"] if estimate else 0)
        table.add_row(Text(printable(value)), percent(estimate), percent(grounding), f"{calls:,}", bar)
    console = stdout_console()
    console.print(table)
    for warning in warnings:
        console.print(Text(printable(warning), style="yellow"), soft_wrap=True)
