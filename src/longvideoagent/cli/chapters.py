"""``lva chapters`` and ``lva summary``: the parts of a video, and what each is about."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longvideoagent.cli.options import Encoding, IndexDir, MaxReplyTokens, Model, NoCache, Prices, Tracks, chosen_team
from longvideoagent.errors import UsageError
from longvideoagent.views.forms import Form, SummaryForm

if TYPE_CHECKING:
    from longvideoagent.agents.config import TeamConfig
    from longvideoagent.agents.summary import Summary
    from longvideoagent.core.types import Timeline

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

VideoPath = Annotated[Path, typer.Argument(help="A video file, or a folder of numbered JPEG frames.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; by default the result is printed.")]


@app.command()
def chapters(
    video: VideoPath,
    subtitles: Tracks = None,
    encoding: Encoding = None,
    form: Annotated[
        Form, typer.Option(help="text: a line each; markdown: with their key lines; vtt: for players; json.")
    ] = Form.TEXT,
    out: Out = None,
    _index_dir: IndexDir = None,
) -> None:
    """Cut a video into chapters by what its lines are about, without a model."""
    from longvideoagent.cli.console import note
    from longvideoagent.index.chapters import find_chapters
    from longvideoagent.views.chapters import chapters_text

    _check_out(out)
    timeline = _open_timeline(video, subtitles, encoding)
    if not timeline.subtitles:
        more = "; lva summary lists what detectors found" if timeline.sounds or timeline.objects else ""
        note(f"{video}: no subtitles, speech or text on screen, so it is one chapter; give --subtitles FILE{more}")
    _write(chapters_text(find_chapters(timeline), form), out)


@app.command()
def summary(
    video: VideoPath,
    subtitles: Tracks = None,
    encoding: Encoding = None,
    model: Model = None,
    prices: Prices = None,
    max_reply_tokens: MaxReplyTokens = None,
    no_cache: NoCache = False,
    form: Annotated[SummaryForm, typer.Option(help="text, markdown or json.")] = SummaryForm.TEXT,
    out: Out = None,
    _index_dir: IndexDir = None,
) -> None:
    """Sum up a video, chapter by chapter.

    With a model, it writes a few sentences on each chapter and on the whole; without one, the lines that say most of
    each chapter are shown. Of a video without lines, the sounds and objects in its index are listed.
    """
    from longvideoagent.agents.summary import outline
    from longvideoagent.cli.console import cost_text, note, note_missing_servers
    from longvideoagent.core.context import Style
    from longvideoagent.core.text import plural
    from longvideoagent.views.chapters import summary_text

    _check_out(out)
    team_config = chosen_team(None, (model, None, None, None), prices, max_reply_tokens)
    if team_config.style is Style.RAW:
        raise UsageError(f"{team_config.master.label} completes the paper's prompts only; give a chat model with -m")
    note_missing_servers(team_config)
    timeline = _open_timeline(video, subtitles, encoding)
    if not (timeline.subtitles or timeline.sounds or timeline.objects):
        raise UsageError(f"{video}: no subtitles, speech or text on screen to sum up; {_where_to_get_some(timeline)}")
    has_writer = bool(timeline.subtitles) and not team_config.master.spec.is_offline
    written = _written_by_model(timeline, team_config, use_cache=not no_cache) if has_writer else outline(timeline)
    for warning in written.warnings:
        note(f"warning: {warning}")
    _write(summary_text(written, form), out)
    if cost := cost_text(written.usage):
        note(f"{written.usage.calls} {plural('request', written.usage.calls)}, {cost}")


def _where_to_get_some(timeline: "Timeline") -> str:
    """What gives a video without lines something to sum up: what its index has been searched for already does not."""
    options = {
        "--sound": timeline.sounds is None and timeline.has_audio,
        "--objects": timeline.objects is None,
    }
    unused = " or ".join(option for option, may_find in options.items() if may_find)
    return f"give --subtitles FILE{f', or let lva index {unused} search it' if unused else ''}"


def _written_by_model(timeline: "Timeline", team_config: "TeamConfig", *, use_cache: bool) -> "Summary":
    import asyncio

    from longvideoagent.agents.build import cache_path, load_team
    from longvideoagent.agents.summary import summarize
    from longvideoagent.cli.console import progress_bar

    team = load_team(team_config, cache_path() if use_cache else None)

    async def run() -> "Summary":
        try:
            with progress_bar() as progress:
                return await summarize(timeline, team.models[0], team_config.call_settings("master"), progress)
        finally:
            await team.close()

    return asyncio.run(run())


def _open_timeline(video: Path, subtitles: list[str] | None, encoding: str | None) -> "Timeline":
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.index.open import open_video
    from longvideoagent.media.subtitles import SubtitleOptions

    with progress_bar() as progress:
        opened_video = open_video(video, SubtitleOptions(subtitles or (), encoding), progress)
    for warning in opened_video.warnings:
        note(f"warning: {warning}")
    return opened_video.timeline


def _check_out(out: Path | None) -> None:
    if out is not None and out.exists():
        raise UsageError(f"{out}: exists already; delete it or choose another --out")


def _write(text: str, out: Path | None) -> None:
    from longvideoagent.cli.console import note
    from longvideoagent.cli.terminal import write_line
    from longvideoagent.fs import atomic_write_text

    if out is None:
        for line in text.splitlines():
            write_line(line)
    else:
        atomic_write_text(out, text)
        note(f"wrote {out}")
