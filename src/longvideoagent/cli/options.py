"""Options that several commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longvideoagent.agents.presets import CHECKPOINTS, PRESETS
from longvideoagent.errors import UsageError
from longvideoagent.models.backends import BACKENDS, OFFLINE

if TYPE_CHECKING:
    from longvideoagent.agents.config import TeamConfig
    from longvideoagent.datasets.base import DatasetOptions

MODEL_FORMS = ", ".join(row.form for row in BACKENDS)
TEAM_NAMES = ", ".join((OFFLINE, *CHECKPOINTS, *PRESETS))

Team = Annotated[str | None, typer.Option(help=f"{TEAM_NAMES} or FILE.toml; else the models of lva config.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help=f"The model of all agents: {MODEL_FORMS}, …; else LVA_MODEL.")
]
Master = Annotated[str | None, typer.Option(help="As --model, for the master.")]
Reader = Annotated[
    str | None,
    typer.Option(help="As --master, for a model that only chooses among the options, by the probability of each."),
]
Grounding = Annotated[str | None, typer.Option(help="As --model, for the grounding agent.")]
Vision = Annotated[str | None, typer.Option(help="As --model, for the vision agent.")]
Prices = Annotated[Path | None, typer.Option(help="A TOML table of prices, such as configs/prices.toml.")]
PromptFile = Annotated[Path | None, typer.Option(help="A file with another prompt for the master.")]
Layout = Annotated[Path | None, typer.Option(help="A TOML file with the wording around the data: a layout.")]
Meaning = Annotated[
    str | None,
    typer.Option(help="Weights, such as minilm, by which the offline grounding also compares lines by meaning."),
]
Objects = Annotated[
    str | None,
    typer.Option(help="Weights, such as dfine-nano, or a folder, by which the offline vision also looks for objects."),
]
MaxReplyTokens = Annotated[
    int | None,
    typer.Option(help="Maximum number of tokens of one reply of each agent's model, thoughts included.", min=1),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Do not read or write the cache of replies.")]
MaxRounds = Annotated[int, typer.Option(help="Maximum number of replies by the master.", min=1)]
Window = Annotated[int, typer.Option(help="Number of neighbouring clips in one look.", min=1)]
ParallelLooks = Annotated[int, typer.Option(help="Number of candidate clips to look at in parallel.", min=1)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the maximum cost; ask nothing.")]


def _isolate(is_wanted: bool) -> bool:
    if is_wanted:
        from longvideoagent.media.isolation import enable

        enable()
    return is_wanted


def _isolate_unless(is_wanted: bool) -> bool:
    from longvideoagent.media.isolation import disable

    if not is_wanted:
        disable()
    return _isolate(is_wanted)


Isolate = Annotated[
    bool,
    typer.Option("--isolate", help="Read videos in child processes with limits of memory and time.", callback=_isolate),
]
"""Its callback does what it says; also LVA_ISOLATE=1."""
IsolateByDefault = Annotated[
    bool,
    typer.Option(
        "--isolate/--no-isolate",
        help="Read videos in child processes with limits of memory and time.",
        callback=_isolate_unless,
    ),
]


def _set_index_dir(directory: str | None) -> str | None:
    if directory is not None:
        os.environ["LVA_INDEX_DIR"] = directory  # index.location reads it, here and in processes that this one starts
    return directory


IndexDir = Annotated[
    str | None,
    typer.Option(
        "--index-dir",
        help="Where the indexes of videos are kept: a folder, or next-to-video; else LVA_INDEX_DIR, or the cache.",
        callback=_set_index_dir,
    ),
]
"""Its callback does what it says."""

Split = Annotated[str, typer.Option(help="The split to read.")]
DataSet = Annotated[str | None, typer.Option(help="The set to read if the folder has several, such as longtvqa-plus.")]
Subtitles = Annotated[
    Path | None, typer.Option(help="The subtitles by clip or by episode, if they have another name or place.")
]
Tracks = Annotated[
    list[str] | None, typer.Option(help="A subtitle file, a language (de) or a stream (#2), as for lva ask.")
]
Encoding = Annotated[
    str | None, typer.Option(help="The encoding of subtitle files, such as cp1250; by default recognised.")
]
AgentsOption = Annotated[str | None, typer.Option("--agents", help="none, grounding, or else grounding+vision.")]
FirstClip = Annotated[str, typer.Option(help="agent, random, gold or file=FILE.")]
GoldBoxes = Annotated[bool, typer.Option("--gold-boxes", help="Give the gold boxes to vision with each look.")]
Protocol = Annotated[
    str, typer.Option(help="How the public code evaluates: ours, public-local, public-api or public-training.")
]
Switch = Annotated[list[str] | None, typer.Option(help="Change a switch of the protocol, NAME=VALUE; can be repeated.")]
LeakFree = Annotated[
    bool, typer.Option("--leak-free", help="Refuse what gives gold answers, clips or boxes to an agent.")
]
Limit = Annotated[int | None, typer.Option(help="Ask only the first N questions.", min=1)]
Ids = Annotated[Path | None, typer.Option(help="Ask only the questions with the ids in this file, one a line.")]
Concurrency = Annotated[int, typer.Option(help="Questions in flight at the same time.", min=1)]


def data_options(data_set: str | None, subtitles: Path | None, encoding: str | None = None) -> "DatasetOptions":
    """How the folder of a data set is read."""
    from longvideoagent.datasets.base import DatasetOptions

    return DatasetOptions(data_set, subtitles, encoding)


def chosen_team(
    team: str | None,
    models: tuple[str | None, str | None, str | None, str | None],
    prices: Path | None,
    max_reply_tokens: int | None,
    layout_file: Path | None = None,
    prompt_file: Path | None = None,
    reader: str | None = None,
    meaning: str | None = None,
    objects: str | None = None,
) -> "TeamConfig":
    """The team that the options of a command choose; ``models`` are --model, --master, --grounding and --vision. Raises
    UsageError or DataError, as ``choose_team`` does, and UsageError for a reader next to a master."""
    from longvideoagent.agents.default_models import DefaultModels, choose_team

    model, master, grounding, vision = models
    if reader is not None and master is not None:
        raise UsageError("--reader and --master name the same agent; give one of them")
    chosen = DefaultModels(model=model, master=master, grounding=grounding, vision=vision)
    team_config = choose_team(team, chosen, prices).with_wording(prompt_file, layout_file)
    team_config.read_layout()  # a file that cannot be read is an error even where no agent reads it
    team_config = team_config.with_reader(reader).with_reply_limit(max_reply_tokens)
    return team_config.with_weights(meaning, objects)
