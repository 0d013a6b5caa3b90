"""The ``lva train`` and ``lva merge`` commands: parse, call one function, print."""

from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.cli.options import Grounding, Vision
from longvideoagent.errors import UsageError, require_extra

app = typer.Typer(rich_markup_mode=None)


@app.command()
def train(
    algorithm: Annotated[str, typer.Argument(help="grpo, dapo or sft.")],
    config: Annotated[Path, typer.Argument(help="A TOML file; see docs/training.md.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model of the agents that the trained master calls.")
    ] = None,
    grounding: Grounding = None,
    vision: Vision = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the run and print what it needs.")] = False,
) -> None:
    """Train the master (extra train): by reinforcement learning (grpo, dapo), or by supervised fine-tuning on
    trajectories of a good team (sft). The same command resumes from the latest checkpoint."""
    from longvideoagent.cli.console import note, print_counts, progress_bar
    from longvideoagent.training.config import ALGORITHMS, SFT, read_config

    if algorithm not in (*ALGORITHMS, SFT):
        raise UsageError(f"{algorithm}: no such algorithm; give {', '.join(ALGORITHMS)} or sft")
    require_extra("torch", "trl", "peft", "datasets", "matplotlib", extra="train,parquet")
    from longvideoagent.training.commands import TRAIN_COMMANDS
    from longvideoagent.training.plots import write_training_report
    from longvideoagent.training.pretrained import is_main_process

    command = TRAIN_COMMANDS[algorithm]
    settings = read_config(config, command.config)
    agents = {"grounding": grounding or model, "vision": vision or model}
    if any(agents.values()):
        if algorithm == SFT:
            raise UsageError("sft calls no agent; leave out --model, --grounding and --vision")
        settings = settings.model_copy(update={name: spec for name, spec in agents.items() if spec})
    if dry_run:
        from longvideoagent.training.cost import forecast

        if missing := command.missing(settings):
            note(missing)
        command.prepare(settings)
        print_counts(forecast(settings, algorithm))
        return
    with progress_bar() as progress:
        trained = command.train(settings, progress=progress)
    if is_main_process():
        note(f"wrote {trained} and {write_training_report(settings.out)}")


@app.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="An adapter's folder, or its safetensors file.")],
    out: Annotated[Path, typer.Option(help="The model's folder; must be empty.")],
    base: Annotated[str | None, typer.Option(help="The base model. Default: the one that the adapter names.")] = None,
    adapter_config: Annotated[
        Path | None, typer.Option(help="The adapter_config.json. Default: the one next to the weights.")
    ] = None,
) -> None:
    """Merge a trained adapter into its base, as a plain model folder (extra train)."""
    from longvideoagent.cli.console import note

    require_extra("torch", "peft", extra="train")
    from longvideoagent.training.merge import merge_adapter

    note(f"wrote {merge_adapter(adapter, out, base, adapter_config)}")
