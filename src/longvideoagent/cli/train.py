"""The ``lva train`` command: parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.cli.options import need
from longvideoagent.errors import UsageError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def train(
    algorithm: Annotated[str, typer.Argument(help="grpo, dapo or sft.")],
    config: Annotated[Path, typer.Argument(help="A TOML file; see docs/training.md.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it needs; train nothing.")] = False,
) -> None:
    """Train the master (extra train): by reinforcement, or on trajectories of a good team (sft). The same command goes
    on from the latest checkpoint."""
    from longvideoagent.cli.console import note, print_counts, progress_bar
    from longvideoagent.training.config import REINFORCEMENT, SftConfig, TrainConfig, read_config

    if algorithm not in (*REINFORCEMENT, "sft"):
        raise UsageError(f"{algorithm}: no such algorithm; give {', '.join(REINFORCEMENT)} or sft")
    need("torch", "trl", "peft", "datasets", "matplotlib")
    from longvideoagent.training.loading import is_main_process
    from longvideoagent.training.plots import write_training_report

    told = read_config(config, SftConfig) if algorithm == "sft" else read_config(config, TrainConfig)
    if dry_run:
        from longvideoagent.training.cost import forecast
        from longvideoagent.training.rl import prepare
        from longvideoagent.training.sft import prepare_teaching

        if isinstance(told, SftConfig):
            prepare_teaching(told)
        else:
            prepare(told, algorithm)
        print_counts(forecast(told, algorithm))
        return
    with progress_bar() as progress:
        if isinstance(told, SftConfig):
            from longvideoagent.training.sft import teach

            model = teach(told, progress)
        else:
            from longvideoagent.training.rl import train as reinforce

            model = reinforce(told, algorithm, progress)
    if is_main_process():
        note(f"wrote {model}, and {write_training_report(told.out)}")


@app.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="An adapter's folder, or its safetensors file.")],
    out: Annotated[Path, typer.Option(help="The model's folder; must be empty.")],
    base: Annotated[str | None, typer.Option(help="Its base model; else the one that it names.")] = None,
    config: Annotated[Path | None, typer.Option(help="Its adapter_config.json; else the one beside it.")] = None,
) -> None:
    """Put a trained adapter into its base's weights, as a plain model folder (extra train)."""
    from longvideoagent.cli.console import note

    need("torch", "peft")
    from longvideoagent.training.merge import merge as merge_adapter

    note(f"wrote {merge_adapter(adapter, out, base, config)}")
