"""The commands around evaluations: parse, call one function, print."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from longvideoagent.cli.options import (
    AskedAgents,
    Boxes,
    Concurrency,
    DryRun,
    FirstClip,
    Grounding,
    Limit,
    LookAhead,
    Master,
    MaxRounds,
    NoCache,
    PromptFile,
    Split,
    Team,
    Vision,
    Window,
    need,
)
from longvideoagent.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

EXIT_STOPPED = 1
EXIT_INTERRUPTED = 130
RunPath = Annotated[Path, typer.Argument(help="The folder of a run.")]


@app.command("eval")
def evaluate(
    data: Annotated[Path, typer.Argument(help="The folder of a data set.")],
    split: Split = "val",
    team: Team = "offline",
    master: Master = None,
    grounding: Grounding = None,
    vision: Vision = None,
    prompt_file: PromptFile = None,
    no_cache: NoCache = False,
    run: Annotated[Path | None, typer.Option(help="The run's folder; else runs/SET-SPLIT-TEAM.")] = None,
    max_rounds: MaxRounds = 5,
    window: Window = 1,
    parallel_looks: LookAhead = 1,
    agents: AskedAgents = None,
    baseline: Annotated[str | None, typer.Option(help="subtitles or subtitles+frames: one prompt, no agents.")] = None,
    first_clip: FirstClip = "ground",
    boxes: Boxes = False,
    limit: Limit = None,
    concurrency: Concurrency = 16,
    max_usd: Annotated[float | None, typer.Option(help="Dollars this command may spend, by the team's prices.")] = None,
    retry: Annotated[str | None, typer.Option(help="failed: ask those again that failed, and no other.")] = None,
    ray: Annotated[str | None, typer.Option(help="Ask on a Ray cluster: auto or ADDRESS (extra ray).")] = None,
    dry_run: DryRun = False,
) -> None:
    """Ask all questions of a data set and measure the answers. The same command goes on where it was stopped."""
    from longvideoagent.agents.build import cache_path
    from longvideoagent.agents.config import load_team_config
    from longvideoagent.cli.console import note, print_forecast, progress_bar, show_warnings
    from longvideoagent.cli.console_evaluation import print_summary, run_progress
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.evaluation.config import default_run, make_eval_config
    from longvideoagent.evaluation.evaluate import RunOptions, forecast_run, run_evaluation
    from longvideoagent.evaluation.report import write_report
    from longvideoagent.evaluation.runner import RunLimits

    if retry not in (None, "failed"):
        raise UsageError(f"--retry {retry}: only failed questions can be asked again; give --retry failed")
    team_config = load_team_config(team).with_models(
        master=master, grounding=grounding, vision=vision, prompt_file=prompt_file
    )
    bounds = RolloutSettings(max_rounds, window, parallel_looks=parallel_looks)
    switches = {"agents": agents, "baseline": baseline, "first_clip": first_clip, "boxes": boxes, "limit": limit}
    protocol = make_eval_config(data, split, team_config, bounds, switches)
    if dry_run:
        print_forecast(forecast_run(protocol))
        return
    path = run or default_run(protocol, team)
    show_warnings()
    with run_progress() as watch:
        remembered = None if no_cache else cache_path()
        how = RunOptions(RunLimits(concurrency, max_usd), remembered, retry == "failed", ray, note, lambda: _stop(path))
        result = run_evaluation(protocol, path, how, watch)
    print_summary(result.summary, protocol)
    if result.problems:
        problems = "problem" if result.problems == 1 else "problems"
        note(f"the data set has {result.problems} {problems}; lva data check {data} tells what, and what is left out")
    with progress_bar() as progress:
        page = write_report(path, progress=progress)
    note(f"wrote {page}")
    if result.stopped:
        note(f"stopped early: {result.stopped}; the same command goes on")
        raise typer.Exit(EXIT_STOPPED)
    if result.summary["outcomes"]["failed"]:
        raise typer.Exit(EXIT_STOPPED)


@app.command()
def ablate(
    axis: Annotated[str, typer.Argument(help="rounds, window, agents or vision.")],
    data: Annotated[Path, typer.Argument(help="The folder of a data set.")],
    value: Annotated[list[str] | None, typer.Option(help="A value to try; repeat it. Else the paper's.")] = None,
    split: Split = "val",
    team: Team = "offline",
    master: Master = None,
    grounding: Grounding = None,
    vision: Vision = None,
    prompt_file: PromptFile = None,
    no_cache: NoCache = False,
    run: Annotated[Path | None, typer.Option(help="The folder of the runs; else runs/SET-SPLIT-TEAM-AXIS.")] = None,
    max_rounds: MaxRounds = 5,
    window: Window = 1,
    parallel_looks: LookAhead = 1,
    agents: AskedAgents = None,
    first_clip: FirstClip = "ground",
    boxes: Boxes = False,
    limit: Limit = None,
    concurrency: Concurrency = 16,
) -> None:
    """Evaluate once for each value of one setting, and show what it does."""
    from longvideoagent.agents.build import cache_path
    from longvideoagent.agents.config import load_team_config
    from longvideoagent.cli.console import note, show_warnings
    from longvideoagent.cli.console_evaluation import print_grid, run_progress
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.evaluation.ablation import PAGE, Axis, grid, run_grid
    from longvideoagent.evaluation.config import default_run, make_eval_config
    from longvideoagent.evaluation.evaluate import RunOptions
    from longvideoagent.evaluation.runner import RunLimits

    if axis not in get_args(Axis):
        raise UsageError(f"lva ablate {axis}: give {', '.join(get_args(Axis))}")
    chosen = cast(Axis, axis)
    team_config = load_team_config(team).with_models(
        master=master, grounding=grounding, vision=vision, prompt_file=prompt_file
    )
    bounds = RolloutSettings(max_rounds, window, parallel_looks=parallel_looks)
    switches = {"agents": agents, "first_clip": first_clip, "boxes": boxes, "limit": limit}
    protocol = make_eval_config(data, split, team_config, bounds, switches)
    settings = protocol.settings
    clashes = {"agents": agents is not None, "window": not settings.grounding, "vision": not settings.vision}
    if clashes.get(axis):
        raise UsageError(f"lva ablate {axis} --agents {agents}: there would be nothing to compare; leave out --agents")
    base = default_run(protocol, team)
    folder = run or base.with_name(f"{base.name}-{axis}")
    how = RunOptions(
        RunLimits(concurrency), None if no_cache else cache_path(), warn=note, on_interrupt=lambda: _stop(folder)
    )
    show_warnings()
    with run_progress() as watch:
        rows, stopped = run_grid(grid(protocol, chosen, value or ()), folder, how, watch)
    if rows:
        print_grid(rows, axis)
        note(f"wrote {folder / PAGE}")
    if stopped:
        note(f"{stopped}; the same command goes on")
    if stopped or any(summary["outcomes"]["failed"] for summary in rows.values()):
        raise typer.Exit(EXIT_STOPPED)


def _stop(path: Path) -> None:
    """End at once: threads of offline agents that are still busy would be waited for."""
    from longvideoagent.cli.console import note

    note(f"interrupted; what was finished is in {path}, and the same command goes on")
    os._exit(EXIT_INTERRUPTED)


@app.command()
def compare(one: RunPath, other: RunPath) -> None:
    """Tell why two runs differ: settings, flipped questions, and whether chance could have done it."""
    from longvideoagent.cli.console_evaluation import print_comparison
    from longvideoagent.evaluation.compare import compare as compare_runs

    print_comparison(compare_runs(one, other))


@app.command()
def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="The page; else report.html in the run's folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data set, where it has been moved; for frames.")] = None,
) -> None:
    """Write a run of lva eval or lva train as one HTML page: numbers, plots, and trajectories."""
    from longvideoagent.cli.console import check_page, note, progress_bar
    from longvideoagent.evaluation.report import write_report
    from longvideoagent.training.run_dir import is_training_run

    if out is not None:
        check_page(out, "--out")
    if is_training_run(run):
        from longvideoagent.training.plots import write_training_report

        need("matplotlib")
        note(f"wrote {write_training_report(run, out)}")
        return
    with progress_bar() as progress:
        path = write_report(run, out, data, progress)
    note(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command()
def replay(
    run: RunPath,
    question: Annotated[str, typer.Argument(help="The id of a question of it.")],
    data: Annotated[Path | None, typer.Option(help="The data set, where it has been moved.")] = None,
) -> None:
    """Drive a recorded trajectory through the loop again, without models and without a network."""
    from longvideoagent.cli.console import StepPrinter, note
    from longvideoagent.evaluation.replay import find_trace, open_recorded
    from longvideoagent.evaluation.replay import replay as replay_trace

    recorded = find_trace(run, question)
    episode = open_recorded(run, question, data)
    show = StepPrinter(recorded.question, episode)
    is_same = replay_trace(recorded, episode.timeline, show)
    show.finish(recorded)
    if not is_same:
        note("the loop or the data have changed since this was recorded: it ends in another trace today")
        raise typer.Exit(EXIT_STOPPED)
