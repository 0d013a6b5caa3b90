"""``lva chapters``: the parts of a video, and what each is about."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


class Form(StrEnum):
    """How chapters are written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    VTT = "vtt"
    JSON = "json"


@app.command()
def chapters(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of numbered JPEG frames.")],
    subtitles: Annotated[
        list[str] | None, typer.Option(help="A subtitle file, a language (de) or a stream (#2), as for lva ask.")
    ] = None,
    form: Annotated[
        Form, typer.Option(help="text: a line each; markdown: with their key lines; vtt: for players; json.")
    ] = Form.TEXT,
    out: Annotated[Path | None, typer.Option(help="The file to write; by default they are printed.")] = None,
) -> None:
    """Cut a video into chapters by what its lines are about, without a model."""
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.cli.terminal import write_line
    from longvideoagent.fs import atomic_write_text
    from longvideoagent.index.chapters import find_chapters
    from longvideoagent.index.open import open_video
    from longvideoagent.views.chapters import chapters_text

    if out is not None and out.exists():
        raise UsageError(f"{out}: exists already; delete it or choose another --out")
    with progress_bar() as progress:
        opened_video = open_video(video, subtitles, progress)
    for warning in opened_video.warnings:
        note(f"warning: {warning}")
    text = chapters_text(find_chapters(opened_video.timeline), form.value)
    if out is None:
        for line in text.splitlines():
            write_line(line)
    else:
        atomic_write_text(out, text)
        note(f"wrote {out}")
