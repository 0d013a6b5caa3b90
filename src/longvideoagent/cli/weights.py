"""``lva weights``: which weights of models are known and available, and the one command that downloads them."""

from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.errors import EXIT_FAILED, UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The name of the weights, as in lva weights list.")]


@app.command("list")
def list_() -> None:
    """Print all known weights: size, licence, whether they are on this machine, and what they add."""
    from longvideoagent.cli.terminal import write_line
    from longvideoagent.weights.manifest import known_weights
    from longvideoagent.weights.store import size_problem

    known = known_weights()
    width = max(len(name) for name in known)
    for name, weights in known.items():
        state = "missing" if size_problem(weights) else "available"
        size = f"{weights.size_bytes / 1e6:.1f} MB"
        write_line(f"{name:{width}}  {size:>9}  {weights.license:10}  {state:9}  {weights.adds}")


@app.command()
def get(
    name: Name,
    from_folder: Annotated[
        Path | None, typer.Option("--from", help="Copy the files from this folder, and download nothing.")
    ] = None,
) -> None:
    """Copy weights into the folder of weights if this machine has them elsewhere, else download them."""
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.weights.collect import get_weights
    from longvideoagent.weights.manifest import find_weights

    weights = find_weights(name)
    if from_folder is not None and not from_folder.is_dir():
        raise UsageError(f"--from {from_folder}: no such folder; give one that has {weights.files[0].file}")
    with progress_bar() as progress:
        folder = get_weights(weights, from_folder, progress)
    note(f"{name} is in {folder}; its licence is {weights.license}")


@app.command()
def where(name: Name) -> None:
    """Print the path of each file, after comparing it with its size and hash."""
    from longvideoagent.cli.console import note
    from longvideoagent.cli.terminal import write_line
    from longvideoagent.weights.manifest import find_weights
    from longvideoagent.weights.store import is_available, open_weights, size_problem

    weights = find_weights(name)
    if not is_available(weights):
        note(size_problem(weights))
        raise typer.Exit(EXIT_FAILED)
    for path in open_weights(weights).values():
        write_line(str(path))
