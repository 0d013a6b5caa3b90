"""The ``lva`` command: parse the arguments, call one function, print the result.

Heavy modules are imported inside the commands, so that ``lva --help`` stays fast. For the same reason the modules
with commands do not postpone annotations (``from __future__``): typer would evaluate the text of each one twice.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import typer

from longvideoagent.cli.chapters import app as chapters_app
from longvideoagent.cli.config import app as config_app
from longvideoagent.cli.data import app as data_app
from longvideoagent.cli.evaluate import app as eval_app
from longvideoagent.cli.index import app as index_app
from longvideoagent.cli.layout import app as layout_app
from longvideoagent.cli.options import (
    DryRun,
    Encoding,
    Grounding,
    IndexDir,
    Isolate,
    Layout,
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
    Reader,
    Team,
    Vision,
    Window,
    chosen_team,
)
from longvideoagent.cli.serve import app as web_app
from longvideoagent.cli.train import app as train_app
from longvideoagent.cli.weights import app as weights_app
from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.errors import EXIT_FAILED, UsageError, boundary, exit_with

app = typer.Typer(
    name="lva",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # halves the time of --help: rich's help renderer loads a Markdown parser
)

app.add_typer(data_app)
app.add_typer(eval_app)
app.add_typer(chapters_app)
app.add_typer(index_app)
app.add_typer(config_app, name="config", help="Choose the models that commands use by default.")
app.add_typer(layout_app, name="layout", help="Show or import the wording of what the models read.")
app.add_typer(train_app)
app.add_typer(web_app)
app.add_typer(weights_app, name="weights", help="List, download or locate the weights of models that run here.")


_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""The base of typer's errors in the command line, which typer does not export: ``UsageError``."""


def main() -> None:
    """Run the command line. A known error is printed as one line; the exit status is then 2."""
    with boundary():
        exit_with(_run_app())


def _run_app() -> int:
    """Run the command and return its exit status. Raises UsageError for a command line that is wrong, in place of the
    lines and the box that typer prints for it."""
    try:
        status = app(standalone_mode=False)
    except typer.Abort:
        return EXIT_FAILED
    except _CommandLineError as error:
        context = error.ctx
        if context is not None and error.message == context.get_help():
            error.show()  # a group of commands without a command
            return error.exit_code
        command = context.command_path if context is not None else "lva"
        raise UsageError(f"{error.format_message().rstrip('.')}; see {command} --help") from error
    return status if isinstance(status, int) else 0


@app.callback(invoke_without_command=True)
def show_version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Ask a long video a question and get the answer with evidence you can seek to."""
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"lva {installed_version('longvideoagent')}")
        raise typer.Exit


@app.command()
def ask(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of numbered JPEG frames.")],
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="An answer choice; give one for each.")
    ] = None,
    subtitles: Annotated[
        list[str] | None,
        typer.Option(
            help="A subtitle file, a language (de) or a stream (#2); several are used together. By default the best "
            "next to or inside the video."
        ),
    ] = None,
    encoding: Encoding = None,
    frames_per_s: Annotated[float, typer.Option(help="Frame rate of a folder of frames.", min=0.01)] = 3.0,
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
    max_rounds: MaxRounds = DEFAULT_MAX_ROUNDS,
    max_calls: Annotated[int | None, typer.Option(help="Maximum number of agent calls.", min=1)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Maximum number of tokens.", min=1)] = None,
    max_usd: Annotated[float | None, typer.Option(help="Maximum cost in dollars, by the team's prices.")] = None,
    window: Window = 1,
    parallel_looks: ParallelLooks = 1,
    _index_dir: IndexDir = None,
    _isolate: Isolate = False,
    dry_run: DryRun = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write the trace with frames to this file.")] = None,
) -> None:
    """Ask a video a question."""
    from longvideoagent.agents.build import cache_path, load_team
    from longvideoagent.agents.cost import check_prices, forecast_cost
    from longvideoagent.cli import console
    from longvideoagent.cli.video_argument import check_video_argument
    from longvideoagent.core.outcome import Outcome
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.index.open import open_for_question
    from longvideoagent.media.subtitles import SubtitleOptions
    from longvideoagent.run import answer, make_question
    from longvideoagent.views.html.page import write_page

    if html is not None:
        console.check_page(html)
    check_video_argument(video, question)
    checked = make_question(question, option or [])
    models = (model, master, grounding, vision)
    team_config = chosen_team(team, models, prices, max_reply_tokens, layout, prompt_file, reader, meaning, objects)
    check_prices(team_config, max_usd)
    if dry_run or max_usd is not None:
        console.note_old_prices(team_config)
    settings = RolloutSettings(
        max_rounds, window, max_calls=max_calls, max_tokens=max_tokens, max_usd=max_usd, parallel_looks=parallel_looks
    )
    with console.live_reply(quiet=json) as live:
        loaded_team = None if dry_run else load_team(team_config, None if no_cache else cache_path(), live.on_text)
        if not dry_run:
            console.note_missing_servers(team_config)  # now, since opening the video may take minutes
        with console.progress_bar() as progress:
            tracks = SubtitleOptions(subtitles or (), encoding)
            opened_video = open_for_question(
                video, tracks, progress, frames_per_s=frames_per_s, warnings=checked.warnings
            )
        if loaded_team is None:
            console.note_missing_keys(team_config)
            console.print_forecast(forecast_cost(checked.question, opened_video, team_config, settings))
            return
        printer = console.StepPrinter(checked.question, opened_video, live, quiet=json)
        with_tools = replace(settings, timeline_tools=loaded_team.timeline_tools)
        trace = answer(checked.question, opened_video, loaded_team, with_tools, printer)
    (console.print_json if json else printer.finish)(trace)
    if html is not None:
        write_page(html, f"A question about {opened_video.reader.path.name}", opened_video, [trace])
        console.note(f"wrote {html}")
    if trace.outcome is Outcome.FAILED:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def transcribe(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    out: Annotated[
        Path | None, typer.Option(help="Output file; by default next to the video, where ask finds it.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="tiny, base, small, medium, large-v3, turbo, a folder, or NAME/NAME@REVISION.")
    ] = None,
) -> None:
    """Transcribe the speech of a video into subtitles. Needs the extra asr; downloads its weights once."""
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.core.text import plural
    from longvideoagent.index.speech import transcribe
    from longvideoagent.media.speech import configured_model, cost_text
    from longvideoagent.media.subtitles import write_srt

    if not video.is_file():
        raise UsageError(f"{video}: no such video file; check the path")
    written = out or video.with_suffix(".srt")
    if written.exists():
        raise UsageError(f"{written}: exists already; delete it or choose another --out")
    model = model or configured_model()
    if cost := cost_text(video, model):
        note(f"transcribing {video.name} with {model} takes {cost}")
    with progress_bar() as progress:
        lines, warnings = transcribe(video, model, allow_download=True, progress=progress)
    for warning in warnings:
        note(f"warning: {video.name}: {warning}")
    if not lines:
        note(f"{video} has no speech or no sound; no subtitles were written")
        raise typer.Exit(EXIT_FAILED)
    write_srt(written, lines)
    note(f"wrote {len(lines)} {plural('line', len(lines))} to {written}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Folder for the sample and its page.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 7,
    minutes: Annotated[int, typer.Option(help="Length of the sample in minutes.", min=4, max=25)] = 20,
) -> None:
    """Render a sample episode and ask it four questions.

    The traces, with frames, are written to demo.html next to the sample.
    """
    from longvideoagent.cli.demo import run_demo

    if not run_demo(folder, seed, minutes):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def doctor(
    preset: Annotated[str | None, typer.Option(help="Print the command that serves this released checkpoint.")] = None,
    gpu_memory_gib: Annotated[
        float | None, typer.Option(help="With --preset: memory of the GPU that will serve.", min=1)
    ] = None,
    team: Annotated[str | None, typer.Option(help="Call the server of each agent of this team once.")] = None,
    model: Model = None,
    master: Master = None,
    grounding: Grounding = None,
    vision: Vision = None,
    prices: Prices = None,
    max_reply_tokens: MaxReplyTokens = None,
    dry_run: DryRun = False,
    json: Annotated[bool, typer.Option("--json", help="With --team: print one JSON object and nothing else.")] = False,
) -> None:
    """Show what is installed, what is missing, and what it would add.

    With --team or a model, call each agent's server once and show what it does. Nothing is called without them.
    """
    from longvideoagent.cli.console import note
    from longvideoagent.cli.doctor import print_findings, serving_command
    from longvideoagent.cli.terminal import write_line

    has_team = bool(team or model or master or grounding or vision)
    if (json or dry_run or max_reply_tokens) and not has_team:
        raise UsageError("lva doctor: --json, --dry-run and --max-reply-tokens need a team; give --team FILE.toml")
    if gpu_memory_gib is not None and preset is None:
        raise UsageError("lva doctor: --gpu-memory-gib needs a preset; give --preset NAME")
    if prices is not None and not has_team:
        raise UsageError("lva doctor: --prices needs a team; give --team FILE.toml")
    if preset is not None and has_team:
        raise UsageError("lva doctor: --preset starts nothing and --team calls servers; give one of them")
    if has_team:
        from longvideoagent.cli.doctor_team import check_team

        team_config = chosen_team(team, (model, master, grounding, vision), prices, max_reply_tokens)
        if not check_team(team_config, dry_run=dry_run, as_json=json):
            raise typer.Exit(EXIT_FAILED)
        return
    if preset is not None:
        serve = serving_command(preset, gpu_memory_gib)
        for line in serve.notes:
            note(line)
        write_line(serve.command)
        return
    if not print_findings():
        raise typer.Exit(EXIT_FAILED)
