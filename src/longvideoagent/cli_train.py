"""The ``lva train`` command: parse, call one function, print."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.errors import UsageError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def train(
    algorithm: Annotated[str, typer.Argument(help="grpo or dapo.")],
    config: Annotated[Path, typer.Argument(help="A TOML file; see docs/training.md.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it needs; train nothing.")] = False,
) -> None:
    """Train the master by reinforcement (extra train). The same command goes on from the latest checkpoint."""
    from longvideoagent.terminal import note, print_counts, progress
    from longvideoagent.training.config import read_config

    missing = [name for name in ("torch", "trl", "peft", "datasets") if find_spec(name) is None]
    if missing:
        raise UsageError(f"{missing[0]} is not installed; pip install 'longvideoagent[train,parquet]'")
    told = read_config(config)
    from longvideoagent.training.learn import forecast
    from longvideoagent.training.learn import train as train_master

    if dry_run:
        print_counts(forecast(told, algorithm))
        return
    with progress() as tell:
        model = train_master(told, algorithm, lambda share: tell("training", share))
    note(f"wrote {model}")
