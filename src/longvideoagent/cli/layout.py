"""``lva layout``: the wording of what the models read."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("import")
def import_(
    checkout: Annotated[Path, typer.Argument(help="A checkout of the public repository, LongVideoAgent.")],
    out: Annotated[Path, typer.Option(help="The TOML file to write; an existing one is refused.")],
    protocol: Annotated[str, typer.Option(help="public-local, public-api or public-training.")] = "public-local",
    set_name: Annotated[str, typer.Option("--set", help="longtvqa-plus or longtvqa.")] = "longtvqa-plus",
) -> None:
    """Read the wording that the released checkpoints know out of the public code. Nothing of it is run."""
    from longvideoagent.agents.prompts.layout_toml import layout_to_toml
    from longvideoagent.agents.prompts.public_code import import_layout
    from longvideoagent.cli.console import note
    from longvideoagent.errors import UsageError
    from longvideoagent.fs import atomic_write_text

    if out.is_file():
        raise UsageError(f"{out}: exists already; choose another --out")
    layout = import_layout(checkout, protocol, set_name)
    comment = f"The wording of the public code ({protocol}, {set_name}), imported by lva layout import."
    atomic_write_text(out, layout_to_toml(layout, comment))
    note(f"wrote {out}; use it with --layout {out}")


@app.command()
def show(
    file: Annotated[Path | None, typer.Argument(help="A layout; without it, the default one.")] = None,
) -> None:
    """Print a layout with all its texts, as TOML."""
    from longvideoagent.agents.prompts import default_layout, read_layout
    from longvideoagent.agents.prompts.layout_toml import layout_to_toml

    typer.echo(layout_to_toml(default_layout() if file is None else read_layout(file)), nl=False)
