"""The ``lva`` command: parse, call one function, print.

Heavy rooms are imported inside the commands, so that ``lva --help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.cli.data import app as data_app
from longvideoagent.cli.evaluate import app as eval_app
from longvideoagent.cli.options import (
    DryRun,
    Grounding,
    LookAhead,
    Master,
    MaxRounds,
    NoCache,
    PromptFile,
    Team,
    Vision,
    Window,
)
from longvideoagent.cli.serve import app as web_app
from longvideoagent.cli.train import app as train_app
from longvideoagent.errors import EXIT_FAILED, UsageError, boundary

app = typer.Typer(
    name="lva",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help takes half the time: rich's renderer loads a Markdown parser
)

app.add_typer(data_app)
app.add_typer(eval_app)
app.add_typer(train_app)
app.add_typer(web_app)


def main() -> None:
    """Run the command line; known errors end as one line and exit status 2."""
    with boundary():
        app()


@app.callback(invoke_without_command=True)
def show_version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Ask a long video a question and get the answer with evidence you can seek to."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"lva {installed('longvideoagent')}")
        raise typer.Exit


@app.command()
def ask(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of numbered JPEG frames.")],
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    option: Annotated[list[str] | None, typer.Option("--option", "-o", help="An answer choice; repeat it.")] = None,
    subtitles: Annotated[Path | None, typer.Option(help="Subtitles; else found beside or inside the video.")] = None,
    frames_per_s: Annotated[float, typer.Option(help="Rate of a folder of frames.", min=0.01)] = 3.0,
    team: Team = "offline",
    master: Master = None,
    grounding: Grounding = None,
    vision: Vision = None,
    prompt_file: PromptFile = None,
    no_cache: NoCache = False,
    max_rounds: MaxRounds = 5,
    max_calls: Annotated[int | None, typer.Option(help="Calls of agents it must do with.", min=1)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens it must do with.", min=1)] = None,
    max_usd: Annotated[float | None, typer.Option(help="Dollars it must do with, by the team's prices.")] = None,
    window: Window = 1,
    parallel_looks: LookAhead = 1,
    dry_run: DryRun = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write the trajectory, with frames, to this file.")] = None,
) -> None:
    """Ask a video a question."""
    from longvideoagent.agents.build import cache_path, load_team
    from longvideoagent.agents.config import load_team_config
    from longvideoagent.agents.cost import check_prices, forecast_cost
    from longvideoagent.cli.console import Steps, check_page, live_words, note, print_forecast, print_json, progress_bar
    from longvideoagent.core.outcome import Outcome
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.media.video import open_video
    from longvideoagent.run import answer, make_question
    from longvideoagent.views.html.page import write_page

    if html is not None:
        check_page(html)
    asked, ignored = make_question(question, option or [])
    team_config = load_team_config(team).with_models(
        master=master, grounding=grounding, vision=vision, prompt_file=prompt_file
    )
    check_prices(team_config, max_usd)
    bounds = RolloutSettings(
        max_rounds, window, max_calls=max_calls, max_tokens=max_tokens, max_usd=max_usd, parallel_looks=parallel_looks
    )
    with live_words(quiet=json) as live:
        playing = None if dry_run else load_team(team_config, None if no_cache else cache_path(), live.on_text)
        with progress_bar() as progress:
            episode = open_video(video, subtitles, progress, frames_per_s=frames_per_s, warnings=ignored)
        if playing is None:
            print_forecast(forecast_cost(asked, episode, team_config, bounds))
            return
        show = Steps(asked, episode, live, quiet=json)
        trace = answer(asked, episode, playing, bounds, show)
    if json:
        print_json(trace)
    else:
        show.finish(trace)
    if html is not None:
        write_page(html, f"What {episode.video.path.name} was asked", episode, [trace])
        note(f"wrote {html}")
    if trace.outcome is Outcome.FAILED:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def transcribe(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; else beside the video, where ask finds it.")] = None,
    model: Annotated[str | None, typer.Option(help="tiny, base, small, medium, large-v3, turbo, or a folder.")] = None,
) -> None:
    """Write what is said in a video as subtitles. Needs the extra asr, and fetches its weights once."""
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.media.speech import chosen_model, transcribe, write_srt

    if not video.is_file():
        raise UsageError(f"{video}: no such video file; check the path")
    written = out or video.with_suffix(".srt")
    if written.exists():
        raise UsageError(f"{written}: is there already; delete it or choose another --out")
    with progress_bar() as progress:
        lines = transcribe(video, model or chosen_model(), fetch=True, progress=progress)
    if not lines:
        note(f"nothing is said in {video}, or it has no sound; no subtitles were written")
        raise typer.Exit(EXIT_FAILED)
    write_srt(written, lines)
    note(f"wrote {len(lines)} lines to {written}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the sample and its page are kept.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Which sample to make.")] = 7,
    minutes: Annotated[int, typer.Option(help="Length of the sample.", min=4, max=25)] = 20,
) -> None:
    """Make a sample episode and ask it four questions.

    The trajectories, with frames, are written to demo.html beside the sample.
    """
    from longvideoagent.cli.demo import run_demo

    if not run_demo(folder, seed, minutes):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def doctor(
    preset: Annotated[str | None, typer.Option(help="Print the line that serves this released checkpoint.")] = None,
) -> None:
    """Tell what is installed, what is missing, and what it would add."""
    from longvideoagent.cli.doctor import print_findings, serving_line

    if preset is not None:
        typer.echo(serving_line(preset))
        return
    if not print_findings():
        raise typer.Exit(EXIT_FAILED)
