"""The ``lva data`` commands: parse, call one function, print."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longvideoagent.errors import EXIT_FAILED, DataError, UsageError

if TYPE_CHECKING:
    from longvideoagent.datasets.base import DataSet
    from longvideoagent.datasets.records import Problem

app = typer.Typer(
    name="data", no_args_is_help=True, rich_markup_mode=None, help="Read, check, build and make data sets."
)

EXIT_PROBLEMS = 2
MOST_CAUSES = 5
"""Causes of failures that are told; each question may have its own."""
Folder = Annotated[Path, typer.Argument(help="The folder of a data set.")]
Split = Annotated[str, typer.Option(help="Which split.")]
Out = Annotated[Path, typer.Option(help="The folder to write.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same.")]


@app.command()
def check(folder: Folder, split: Split = "val") -> None:
    """Count what is there and tell what is wrong, by file and line; status 2 where anything is."""
    from longvideoagent.cli.console import print_counts
    from longvideoagent.datasets.check import check as check_data
    from longvideoagent.datasets.open import open_dataset

    findings = check_data(open_dataset(folder, split))
    print_counts(findings.counts)
    _tell(findings.problems)


@app.command()
def build(
    questions: Annotated[list[Path], typer.Option(help="A file of TVQA or TVQA+ questions; repeat it for each split.")],
    subtitles: Annotated[Path, typer.Option(help="A folder of {clip}.srt or .vtt, or preprocessed JSON.")],
    out: Out,
    durations: Annotated[Path | None, typer.Option(help="Seconds of each clip, as one JSON object.")] = None,
    frames: Annotated[Path | None, typer.Option(help="A folder of {clip}/{00001}.jpg; linked, not copied.")] = None,
    video: Annotated[bool, typer.Option("--video", help="Also write one mp4 an episode from the frames.")] = False,
) -> None:
    """Build LongTVQA from TVQA, or LongTVQA+ from TVQA+."""
    from longvideoagent.cli.console import print_counts, progress_bar
    from longvideoagent.datasets.longtvqa.build import Source, split_names
    from longvideoagent.datasets.longtvqa.build import build as build_data

    if video and frames is None:
        raise UsageError("--video: needs --frames, the folder of the clips' frames")
    with progress_bar() as progress:
        source = Source(split_names(questions), subtitles, durations, frames)
        made = build_data(source, out, films=video, progress=progress)
    print_counts(made.counts)
    _tell(made.problems)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    episodes: Annotated[int, typer.Option(help="How many episodes, 1 to 1000.")] = 5,
    minutes: Annotated[int, typer.Option(help="Length of an episode, 5 to 25.")] = 20,
    seed: Seed = 0,
    kind: Annotated[list[str] | None, typer.Option(help="dialogue, pixels, both or before_after; repeat it.")] = None,
    per_kind: Annotated[int, typer.Option(help="Questions of each kind of an episode.", min=1)] = 3,
    val_share: Annotated[float, typer.Option(help="Share of episodes, the last ones, that are split val.")] = 0.2,
    frames: Annotated[bool, typer.Option("--frames", help="Also write the frames of every clip as JPEG.")] = False,
) -> None:
    """Make a data set of made episodes, in the layout of LongTVQA+."""
    from longvideoagent.cli.console import print_counts, progress_bar
    from longvideoagent.datasets.synthetic.episode import KINDS
    from longvideoagent.datasets.synthetic.generate import Recipe, extract_frames, grow

    with progress_bar() as progress:
        recipe = Recipe(episodes, minutes, seed, tuple(kind or KINDS), per_kind, val_share)
        counts = grow(out, recipe, progress)
        if frames:
            counts["clips with frames"] = extract_frames(out, progress)
    print_counts(counts)


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="A folder in the layout of LongTVQA or LongTVQA+.")],
    out: Out,
    n: Annotated[int, typer.Option("--n", "-n", help="How many questions, of each group.", min=1)] = 100,
    per: Annotated[str, typer.Option(help="Groups: all, show, kind or video.")] = "all",
    split: Split = "val",
    seed: Seed = 0,
) -> None:
    """Draw a part of a data set."""
    from longvideoagent.cli.console import print_counts
    from longvideoagent.datasets.longtvqa.read import read_longtvqa
    from longvideoagent.datasets.longtvqa.sample import GroupBy, choose, write_subset

    if per not in list(GroupBy):
        raise UsageError(f"--per {per}: no such group; give {', '.join(GroupBy)}")
    data = read_longtvqa(folder, split)
    _note_unusable(data)
    drawn = choose(data.samples, n, seed, GroupBy(per))
    write_subset(data, drawn, out)
    print_counts({"questions": len(drawn), "of": len(data.samples)})


@app.command()
def ground(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The cache file to write, or to go on with.")],
    split: Split = "train",
    team: Annotated[str, typer.Option(help="Whose grounding agent: offline, a preset, or FILE.toml.")] = "offline",
    grounding: Annotated[str | None, typer.Option(help="Another model for it, such as openai:NAME@URL.")] = None,
    concurrency: Annotated[int, typer.Option(help="Questions at once.", min=1)] = 16,
) -> None:
    """Find the first clip of every question beforehand. Running it again asks only for what is owed."""
    from longvideoagent.agents.build import DEFAULT_RETRY_POLICY, cache_path, load_team
    from longvideoagent.agents.config import load_team_config
    from longvideoagent.cli.console import note, print_counts, progress_bar
    from longvideoagent.datasets.first_clips import ground as ground_data
    from longvideoagent.datasets.first_clips import is_pending
    from longvideoagent.datasets.open import open_dataset
    from longvideoagent.index.first_clips import FirstClips

    data = open_dataset(folder, split)
    _note_unusable(data)
    team_config = load_team_config(team).with_models(grounding=grounding)
    cache = FirstClips(out, team_config.grounding.model)
    playing = load_team(team_config, cache_path(), retry_policy=replace(DEFAULT_RETRY_POLICY, warn=note))
    with progress_bar() as progress:
        failed = ground_data(data, playing, cache, concurrency, progress)
    labels = [cache.get(each.question) for each in data.samples if not is_pending(cache, each, data)]
    found = len(labels) - labels.count(None)
    print_counts(
        {"questions": len(data.samples), "grounded": found, "no clip": labels.count(None), "failed": len(failed)}
    )
    for cause, count in Counter(failed).most_common(MOST_CAUSES):
        note(f"{count} failed: {cause}")
    if failed:
        note("run it again for those that failed")
        raise typer.Exit(EXIT_FAILED)


@app.command()
def export(
    folder: Folder,
    cache: Annotated[Path, typer.Option(help="The file that lva data ground wrote.")],
    out: Out,
    split: Split = "train",
    seed: Seed = 0,
    val_share: Annotated[float, typer.Option(help="Share of the episodes that val.parquet gets.")] = 0.1,
    max_rounds: Annotated[int, typer.Option(help="Replies the master will have.", min=1)] = 5,
    look_tag: Annotated[str, typer.Option(help="The spelling the prompt teaches: visual_query or search.")] = "search",
    prompt_file: Annotated[Path | None, typer.Option(help="Another wording of the master's prompt.")] = None,
    skip_missing: Annotated[bool, typer.Option("--skip-missing", help="Leave out questions without a clip.")] = False,
) -> None:
    """Write train.parquet and val.parquet for reinforcement learning (extra parquet)."""
    from longvideoagent.agents.build import read_prompt
    from longvideoagent.cli.console import note, print_counts
    from longvideoagent.core.protocol import LOOK_TAGS
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.datasets.export import Rows
    from longvideoagent.datasets.export import export as export_data
    from longvideoagent.datasets.open import open_dataset
    from longvideoagent.index.first_clips import FirstClips

    if look_tag not in LOOK_TAGS:
        raise UsageError(f"--look-tag {look_tag}: give {' or '.join(LOOK_TAGS)}")
    data = open_dataset(folder, split)
    _note_unusable(data)
    how = Rows(read_prompt(prompt_file), look_tag, RolloutSettings(max_rounds), seed, val_share, skip_missing)
    counts = export_data(data, FirstClips.open_existing(cache), out, how)
    print_counts(counts)
    if not counts["val"]:
        note("val.parquet is empty: only one episode has questions with answers")


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="longtvqa, longtvqa-plus or frames.")],
    out: Out,
    repository: Annotated[str | None, typer.Option(help="OWNER/NAME on the hub; needed for frames.")] = None,
) -> None:
    """Fetch a published data set from the Hugging Face hub (extra hub); goes on where it was cut off."""
    from longvideoagent.cli.console import note
    from longvideoagent.datasets.download import download as download_data

    note(f"wrote {download_data(name, out, repository)}")


def _note_unusable(data: DataSet) -> None:
    """Say how many records are not as they should be, where some are. Raises DataError where nothing can be asked."""
    from longvideoagent.cli.console import note

    if not data.samples:
        raise DataError(f"{data.name}: no question that can be asked; lva data check tells why")
    if data.problems:
        told = "record is" if len(data.problems) == 1 else "records are"
        note(f"{len(data.problems)} {told} not as it should be; lva data check tells which")


def _tell(problems: tuple[Problem, ...]) -> None:
    """Every problem on a line of stderr; status 2 where there is one."""
    from longvideoagent.cli.console import note

    for problem in problems:
        note(str(problem))
    if problems:
        raise typer.Exit(EXIT_PROBLEMS)
