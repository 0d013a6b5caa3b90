"""The evaluation commands: parse, call one function, print."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from longvideoagent.cli.options import (
    AgentsOption,
    Concurrency,
    DataSet,
    DryRun,
    Encoding,
    FirstClip,
    GoldBoxes,
    Grounding,
    Ids,
    Isolate,
    Layout,
    LeakFree,
    Limit,
    Master,
    MaxReplyTokens,
    MaxRounds,
    Meaning,
    Model,
    NoCache,
    Objects,
    ParallelLooks,
    Prices,
    PromptFile,
    Protocol,
    Reader,
    Split,
    Subtitles,
    Switch,
    Team,
    Vision,
    Window,
    chosen_team,
    data_options,
)
from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.errors import EXIT_FAILED, EXIT_INTERRUPTED, UsageError, require_extra

if TYPE_CHECKING:
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.evaluation.ablation import GridResult
    from longvideoagent.evaluation.config import EvalConfig
    from longvideoagent.evaluation.evaluate import RunForecast, RunResult

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

RunPath = Annotated[Path, typer.Argument(help="The folder of a run.")]


@app.command("eval")
def evaluate(
    data: Annotated[Path, typer.Argument(help="The folder of a data set.")],
    split: Split = "val",
    data_set: DataSet = None,
    subtitles: Subtitles = None,
    encoding: Encoding = None,
    team: Team = None,
    model: Model = None,
    master: Master = None,
    reader: Reader = None,
    grounding: Grounding = None,
    vision: Vision = None,
    prompt_file: PromptFile = None,
    prices: Prices = None,
    layout: Layout = None,
    meaning: Meaning = None,
    objects: Objects = None,
    max_reply_tokens: MaxReplyTokens = None,
    no_cache: NoCache = False,
    run: Annotated[Path | None, typer.Option(help="The run's folder; else runs/SET-SPLIT-TEAM.")] = None,
    max_rounds: MaxRounds = DEFAULT_MAX_ROUNDS,
    window: Window = 1,
    parallel_looks: ParallelLooks = 1,
    agents: AgentsOption = None,
    baseline: Annotated[str | None, typer.Option(help="subtitles or subtitles+frames: one prompt, no agents.")] = None,
    first_clip: FirstClip = "agent",
    gold_boxes: GoldBoxes = False,
    ids: Ids = None,
    limit: Limit = None,
    protocol: Protocol = "ours",
    switch: Switch = None,
    leak_free: LeakFree = False,
    concurrency: Concurrency = 16,
    max_run_usd: Annotated[
        float | None, typer.Option(help="Maximum cost of this command in dollars, by the team's prices.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask only the questions that failed, again.")
    ] = False,
    ray: Annotated[str | None, typer.Option(help="Ask on a Ray cluster: auto or ADDRESS (extra ray).")] = None,
    _isolate: Isolate = False,
    dry_run: DryRun = False,
) -> None:
    """Ask all questions of a data set and measure the answers. The same command resumes a stopped run."""
    from longvideoagent.agents.build import cache_path
    from longvideoagent.cli.console import note, note_missing_keys, note_old_prices
    from longvideoagent.cli.console_evaluation import print_run_forecast, run_progress
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.evaluation.config import default_run_path, make_eval_config
    from longvideoagent.evaluation.evaluate import RunOptions, forecast_run, run_evaluation
    from longvideoagent.evaluation.runner import RunLimits

    models = (model, master, grounding, vision)
    team_config = chosen_team(team, models, prices, max_reply_tokens, layout, prompt_file, reader, meaning, objects)
    settings = RolloutSettings(max_rounds, window, parallel_looks=parallel_looks)
    overrides = {
        "data_options": data_options(data_set, subtitles, encoding),
        "agents": agents,
        "baseline": baseline,
        "first_clip": first_clip,
        "gold_boxes": gold_boxes,
        "ids_file": ids,
        "limit": limit,
        "protocol": protocol,
        "switches": switch,
        "max_reply_tokens": max_reply_tokens,
        "leak_free": leak_free,
    }
    config = make_eval_config(data, split, team_config, settings, overrides)
    path = run or default_run_path(config, team)
    note_old_prices(team_config)
    if dry_run:
        note_missing_keys(team_config)
        forecast = forecast_run(config, path=path)
        print_run_forecast(forecast)
        _note_forecasts([forecast], data)
        return
    with run_progress() as on_progress:
        cache = None if no_cache else cache_path()
        options = RunOptions(
            RunLimits(concurrency, max_run_usd), cache, retry_failed, ray, note, lambda: _exit_interrupted(path)
        )
        result = run_evaluation(config, path, options, on_progress)
    _print_result(result, config, path)


def _print_result(result: "RunResult", config: "EvalConfig", path: Path) -> None:
    """Print the numbers of a run and write its page. Raises Exit for a run that stopped early or has failures."""
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.cli.console_evaluation import print_summary
    from longvideoagent.evaluation.report import write_report

    print_summary(result.summary, config, result.wording_warnings)
    _note_problems(result.num_problems, config.data)
    with progress_bar() as progress:
        page = write_report(path, progress=progress)
    note(f"wrote {page}")
    if result.stop_cause:
        note(f"stopped early: {result.stop_cause}; the same command resumes")
        raise typer.Exit(EXIT_FAILED)
    if result.summary["outcomes"]["failed"]:
        raise typer.Exit(EXIT_FAILED)


def _note_forecasts(forecasts: Collection["RunForecast"], data: Path) -> None:
    """Print what the runs would warn of, each warning once."""
    from longvideoagent.cli.console import note

    for warning in dict.fromkeys(warning for forecast in forecasts for warning in forecast.warnings):
        note(warning)
    _note_problems(max(forecast.num_problems for forecast in forecasts), data)


def _note_problems(num_problems: int, data: Path) -> None:
    from longvideoagent.cli.console import note

    if num_problems:
        count = "1 problem" if num_problems == 1 else f"{num_problems} problems"
        note(f"the data set has {count}; lva data check {data} lists every problem")


@app.command()
def ablate(
    axis: Annotated[str, typer.Argument(help="rounds, window, agents or vision.")],
    data: Annotated[Path, typer.Argument(help="The folder of a data set.")],
    value: Annotated[list[str] | None, typer.Option(help="A value to try; repeat it. Else the paper's.")] = None,
    split: Split = "val",
    data_set: DataSet = None,
    subtitles: Subtitles = None,
    encoding: Encoding = None,
    team: Team = None,
    model: Model = None,
    master: Master = None,
    grounding: Grounding = None,
    vision: Vision = None,
    prompt_file: PromptFile = None,
    prices: Prices = None,
    layout: Layout = None,
    max_reply_tokens: MaxReplyTokens = None,
    no_cache: NoCache = False,
    run: Annotated[Path | None, typer.Option(help="The folder of the runs; else runs/SET-SPLIT-TEAM-AXIS.")] = None,
    max_rounds: MaxRounds = DEFAULT_MAX_ROUNDS,
    window: Window = 1,
    parallel_looks: ParallelLooks = 1,
    agents: AgentsOption = None,
    first_clip: FirstClip = "agent",
    gold_boxes: GoldBoxes = False,
    ids: Ids = None,
    limit: Limit = None,
    protocol: Protocol = "ours",
    switch: Switch = None,
    leak_free: LeakFree = False,
    concurrency: Concurrency = 16,
    dry_run: DryRun = False,
) -> None:
    """Evaluate once for each value of one setting, and show what it does."""
    from longvideoagent.agents.build import cache_path
    from longvideoagent.cli.console import note, note_missing_keys, note_old_prices
    from longvideoagent.cli.console_evaluation import print_grid_forecast, run_progress
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.evaluation.ablation import Axis, forecast_grid, make_grid, run_grid
    from longvideoagent.evaluation.config import default_run_path, make_eval_config
    from longvideoagent.evaluation.evaluate import RunOptions
    from longvideoagent.evaluation.runner import RunLimits

    if axis not in get_args(Axis):
        raise UsageError(f"lva ablate {axis}: give {', '.join(get_args(Axis))}")
    chosen = cast(Axis, axis)
    team_config = chosen_team(team, (model, master, grounding, vision), prices, max_reply_tokens, layout, prompt_file)
    settings = RolloutSettings(max_rounds, window, parallel_looks=parallel_looks)
    overrides = {
        "data_options": data_options(data_set, subtitles, encoding),
        "agents": agents,
        "first_clip": first_clip,
        "gold_boxes": gold_boxes,
        "ids_file": ids,
        "limit": limit,
        "protocol": protocol,
        "switches": switch,
        "max_reply_tokens": max_reply_tokens,
        "leak_free": leak_free,
    }
    config = make_eval_config(data, split, team_config, settings, overrides)
    _check_axis(chosen, agents, config.settings)
    note_old_prices(team_config)
    grid = make_grid(config, chosen, value or ())
    for name in grid.values_without_layout:
        note(f"{axis} {name} runs in the default wording: the layout has no prompt_without_agents")
    base = default_run_path(config, team)
    folder = run or base.with_name(f"{base.name}-{axis}")
    if dry_run:
        note_missing_keys(team_config)
        forecasts = forecast_grid(grid, folder)
        print_grid_forecast(forecasts, axis)
        _note_forecasts(forecasts.values(), data)
        return
    cache = None if no_cache else cache_path()
    options = RunOptions(RunLimits(concurrency), cache, on_warning=note, on_interrupt=lambda: _exit_interrupted(folder))
    with run_progress() as on_progress:
        result = run_grid(grid, folder, options, on_progress)
    _print_grid_result(result, axis, folder)


def _print_grid_result(result: "GridResult", axis: str, folder: Path) -> None:
    """Print the table of a grid. Raises Exit for one that stopped early or has failures."""
    from longvideoagent.cli.console import note
    from longvideoagent.cli.console_evaluation import print_grid
    from longvideoagent.evaluation.ablation import PAGE

    if result.summaries:
        print_grid(result.summaries, axis, result.warnings)
        note(f"wrote {folder / PAGE}")
    if result.stop_cause:
        note(f"{result.stop_cause}; the same command resumes")
    if result.stop_cause or any(summary["outcomes"]["failed"] for summary in result.summaries.values()):
        raise typer.Exit(EXIT_FAILED)


def _check_axis(axis: str, agents: str | None, settings: "RolloutSettings") -> None:
    """Refuse agents with which all values of the axis are the same run."""
    clashes = {"agents": agents is not None, "window": not settings.has_grounding, "vision": not settings.has_vision}
    if clashes.get(axis):
        raise UsageError(f"lva ablate {axis} --agents {agents}: there is nothing to compare; leave out --agents")


def _exit_interrupted(path: Path) -> None:
    """Exit at once; a normal exit waits for the threads of offline agents."""
    from longvideoagent.cli.console import note

    note(f"interrupted; finished questions are in {path}, and the same command resumes")
    os._exit(EXIT_INTERRUPTED)


@app.command()
def compare(first: RunPath, second: RunPath) -> None:
    """Show why two runs differ: settings, questions that changed, and whether chance may explain it."""
    from longvideoagent.cli.console_evaluation import print_comparison
    from longvideoagent.evaluation.compare import compare as compare_runs

    print_comparison(compare_runs(first, second))


@app.command()
def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="The page; else report.html in the run's folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data set, if it has moved; for frames.")] = None,
) -> None:
    """Write a run of lva eval or lva train as one HTML page: numbers, plots, and traces."""
    from longvideoagent.cli.console import check_page, note, progress_bar
    from longvideoagent.evaluation.report import write_report
    from longvideoagent.training.run_dir import is_training_run

    if out is not None:
        check_page(out, "--out")
    if is_training_run(run):
        from longvideoagent.training.plots import write_training_report

        require_extra("matplotlib", extra="train")
        note(f"wrote {write_training_report(run, out)}")
        return
    with progress_bar() as progress:
        path = write_report(run, out, data, progress)
    note(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command()
def replay(
    run: RunPath,
    question: Annotated[str, typer.Argument(help="The id of a question of it.")],
    data: Annotated[Path | None, typer.Option(help="The data set, if it has moved.")] = None,
) -> None:
    """Replay a recorded trace through the loop, without models and without a network."""
    from longvideoagent.cli.console import StepPrinter, note
    from longvideoagent.evaluation.replay import find_trace, open_recorded_video
    from longvideoagent.evaluation.replay import replay as replay_trace

    recorded_trace = find_trace(run, question)
    video = open_recorded_video(run, question, data)
    steps = StepPrinter(recorded_trace.question, video)
    is_same = replay_trace(recorded_trace, video.timeline, steps)
    steps.finish(recorded_trace)
    if not is_same:
        note("the loop or the data have changed since this was recorded; it ends in another trace today")
        raise typer.Exit(EXIT_FAILED)
