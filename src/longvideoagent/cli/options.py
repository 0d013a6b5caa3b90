"""Options that several commands share."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.errors import UsageError
from longvideoagent.models.spec import BACKENDS

MODEL_FORMS = ", ".join(row.form for row in BACKENDS)

Team = Annotated[str, typer.Option(help="offline, qwen3-4b, qwen2.5-7b, qwen2.5-3b or FILE.toml.")]
Master = Annotated[str | None, typer.Option(help=f"{MODEL_FORMS}, …")]
Grounding = Annotated[str | None, typer.Option(help="The same for the grounding agent.")]
Vision = Annotated[str | None, typer.Option(help="The same for the vision agent.")]
PromptFile = Annotated[Path | None, typer.Option(help="Another wording of the master's prompt.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Ask models anew instead of remembering.")]
MaxRounds = Annotated[int, typer.Option(help="Replies the master may give.", min=1)]
Window = Annotated[int, typer.Option(help="Neighbouring clips looked at together.", min=1)]
LookAhead = Annotated[int, typer.Option(help="Candidate clips looked at at once.", min=1)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what it may cost at most; ask nothing.")]

Split = Annotated[str, typer.Option(help="Which split.")]
AskedAgents = Annotated[str | None, typer.Option("--agents", help="none, grounding, or else grounding+vision.")]
FirstClip = Annotated[str, typer.Option(help="ground, random, gold or cache=FILE.")]
Boxes = Annotated[bool, typer.Option("--boxes", help="Tell the gold boxes with each look.")]
Limit = Annotated[int | None, typer.Option(help="Ask the first so many questions only.", min=1)]
Concurrency = Annotated[int, typer.Option(help="Questions at once.", min=1)]


def need(*packages: str, extra: str = "train,parquet") -> None:
    """Raises UsageError, naming the extra, where a package of it is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UsageError(f"{missing[0]} is not installed; pip install 'longvideoagent[{extra}]'")
