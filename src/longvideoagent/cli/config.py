"""``lva config``: the models that commands use where nothing chooses others."""

from typing import Annotated

import typer

from longvideoagent.cli.options import MODEL_FORMS
from longvideoagent.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="model, master, grounding or vision.")]


@app.command("set")
def set_(
    name: Name,
    value: Annotated[str, typer.Argument(help=f"A model: {MODEL_FORMS}, …")],
) -> None:
    """Store the model of all agents, or of one. LVA_MODEL and the options of a command have precedence."""
    from longvideoagent.models.spec import ModelSpec

    _check_name(name)
    ModelSpec.parse(value)
    _change(name, value)


@app.command()
def unset(name: Name) -> None:
    """Remove what ``set`` has stored."""
    _check_name(name)
    _change(name, None)


@app.command()
def show() -> None:
    """Print the models that commands use where nothing chooses others, and where they are set."""
    from longvideoagent.agents.default_models import default_models, default_models_source
    from longvideoagent.cli.terminal import write_line
    from longvideoagent.models.secrets import render_spec

    models = default_models().model_dump(exclude_none=True)
    for name, spec in models.items():
        write_line(f"{name} = {render_spec(spec)}")
    write_line(f"from {default_models_source()}" if models else "model = offline, since nothing else is chosen")


def _check_name(name: str) -> None:
    from longvideoagent.agents.default_models import DefaultModels

    if name not in DefaultModels.model_fields:
        raise UsageError(f"lva config: there is no {name!r} to set; give {', '.join(DefaultModels.model_fields)}")


def _change(name: str, value: str | None) -> None:
    from longvideoagent.agents.default_models import (
        MODEL_ENV,
        default_models_source,
        read_user_config,
        user_config_path,
        write_user_config,
    )
    from longvideoagent.cli.console import note

    write_user_config(read_user_config().model_copy(update={name: value}))
    note(f"wrote {user_config_path()}")
    if default_models_source() == MODEL_ENV:
        note(f"warning: {MODEL_ENV} is set in the environment and has precedence")
