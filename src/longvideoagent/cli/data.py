"""The ``lva data`` commands: parse, call one function, print."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longvideoagent.cli.options import (
    Concurrency,
    DataSet,
    DryRun,
    Encoding,
    Grounding,
    Ids,
    Layout,
    MaxReplyTokens,
    MaxRounds,
    Model,
    Prices,
    PromptFile,
    Split,
    Subtitles,
    Team,
    data_options,
)
from longvideoagent.core.actions import LOOK_TAGS, PUBLIC_CODE_LOOK_TAG
from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.errors import EXIT_BAD_INPUT, EXIT_FAILED, DataError, UsageError

if TYPE_CHECKING:
    from longvideoagent.agents.config import TeamConfig
    from longvideoagent.datasets.base import Dataset
    from longvideoagent.datasets.records import Problem
    from longvideoagent.index.first_clips import FirstClips

app = typer.Typer(
    name="data", no_args_is_help=True, rich_markup_mode=None, help="Read, check, build and generate data sets."
)

KIND_HELP = "moment (dialogue, pixels, both, before_after), whole-video, or a kind of these; repeat it."
FORMS = ("multiple-choice", "open-ended", "both")
WORDINGS = ("all", "dev", "held-out")
LOOK_TAG_HELP = f"The look tag in the prompt: {' or '.join(LOOK_TAGS)}."
MAX_CAUSES = 5
"""Causes of failures that are printed; each question may have its own."""
Folder = Annotated[Path, typer.Argument(help="The folder of a data set.")]
Out = Annotated[Path, typer.Option(help="The folder to write.")]
Seed = Annotated[int, typer.Option(help="The random seed; the same seed gives the same result.")]


@app.command()
def check(
    folder: Folder,
    split: Split = "val",
    data_set: DataSet = None,
    subtitles: Subtitles = None,
    encoding: Encoding = None,
) -> None:
    """Count the parts of a data set and list its problems by file and line; status 2 if there are any."""
    from longvideoagent.cli.console import print_counts
    from longvideoagent.datasets.registry import open_dataset

    report = open_dataset(folder, split, data_options(data_set, subtitles, encoding)).check()
    print_counts(report.counts)
    _exit_on_problems(report.problems)


@app.command()
def build(
    questions: Annotated[list[Path], typer.Option(help="A file of TVQA or TVQA+ questions; repeat it for each split.")],
    subtitles: Annotated[Path, typer.Option(help="A folder of {clip}.srt or .vtt, or preprocessed JSON.")],
    out: Out,
    encoding: Encoding = None,
    durations: Annotated[Path | None, typer.Option(help="Seconds of each clip, as one JSON object.")] = None,
    frames: Annotated[Path | None, typer.Option(help="A folder of {clip}/{00001}.jpg; linked, not copied.")] = None,
    video: Annotated[bool, typer.Option("--video", help="Also write one mp4 an episode from the frames.")] = False,
) -> None:
    """Build LongTVQA from TVQA, or LongTVQA+ from TVQA+."""
    from longvideoagent.cli.console import print_counts, progress_bar
    from longvideoagent.datasets.longtvqa.build import BuildInputs, build_longtvqa, files_by_split

    if video and frames is None:
        raise UsageError("--video: needs --frames, the folder of the clips' frames")
    with progress_bar() as progress:
        inputs = BuildInputs(files_by_split(questions), subtitles, durations, frames, encoding)
        report = build_longtvqa(inputs, out, with_videos=video, progress=progress)
    print_counts(report.counts)
    _exit_on_problems(report.problems)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    episodes: Annotated[int, typer.Option(help="How many episodes, 1 to 1000.")] = 5,
    minutes: Annotated[int, typer.Option(help="Length of an episode, 5 to 25.")] = 20,
    seed: Seed = 0,
    kind: Annotated[list[str] | None, typer.Option(help=KIND_HELP)] = None,
    questions_per_kind: Annotated[int, typer.Option(help="Questions of each kind about an episode.", min=1)] = 3,
    val_fraction: Annotated[float, typer.Option(help="Fraction of the episodes, the last ones, for split val.")] = 0.2,
    form: Annotated[str, typer.Option(help="multiple-choice, open-ended, or both: each question twice.")] = FORMS[0],
    wordings: Annotated[
        str, typer.Option(help="Of questions about the whole video: all, dev, or held-out, a third by a hash.")
    ] = WORDINGS[0],
    frames: Annotated[bool, typer.Option("--frames", help="Also write the frames of every clip as JPEG.")] = False,
) -> None:
    """Generate a synthetic data set in the layout of LongTVQA+."""
    from longvideoagent.cli.console import print_counts, progress_bar
    from longvideoagent.datasets.synthetic.generate import (
        expand_kinds,
        extract_frames,
        generate_dataset,
        make_config,
    )

    with progress_bar() as progress:
        config = make_config(
            episodes=episodes,
            minutes=minutes,
            seed=seed,
            kinds=expand_kinds(kind or ["moment"]),
            questions_per_kind=questions_per_kind,
            val_fraction=val_fraction,
            form=form,
            wordings=wordings,
        )
        counts = generate_dataset(out, config, progress)
        if frames:
            counts["clips with frames"] = extract_frames(out, progress)
    print_counts(counts)


@app.command()
def sample(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="A folder to write a set into, or FILE.txt for the ids of the questions.")],
    count: Annotated[int, typer.Option("--count", "-n", help="How many questions to draw of each group.", min=1)] = 100,
    group_by: Annotated[str, typer.Option(help="Draw of each show, kind or video; all is one group.")] = "all",
    proportional: Annotated[
        bool, typer.Option("--proportional", help="Draw --count in all, of each group in proportion to its size.")
    ] = False,
    split: Split = "val",
    data_set: DataSet = None,
    subtitles: Subtitles = None,
    seed: Seed = 0,
) -> None:
    """Draw a random sample of a data set: a smaller set, or a file of question ids for lva eval --ids."""
    from longvideoagent.cli.console import note, print_counts
    from longvideoagent.datasets.longtvqa.read import LongTVQA, set_name
    from longvideoagent.datasets.longtvqa.subset import write_subset
    from longvideoagent.datasets.registry import open_dataset
    from longvideoagent.datasets.sampling import IDS_SUFFIX, GroupBy, describe_shortage, draw_samples, write_ids

    if group_by not in list(GroupBy):
        raise UsageError(f"--group-by {group_by}: unknown group; give {', '.join(GroupBy)}")
    data = open_dataset(folder, split, data_options(data_set, subtitles))
    _note_problems(data)
    drawn = draw_samples(data.samples, count, seed, GroupBy(group_by), proportional=proportional)
    if out.suffix == IDS_SUFFIX:
        how = f"{group_by}, in proportion" if proportional else group_by
        write_ids(out, drawn, f"{len(drawn)} of {len(data.samples)}: {data.name} {split}, seed {seed}, by {how}")
    elif isinstance(data, LongTVQA) and set_name(data.questions_file).startswith("LongTVQA"):
        write_subset(data, drawn, out)
    else:
        raise UsageError(f"--out {out}: only a set in the layout of LongTVQA can be written; give FILE.txt for its ids")
    print_counts({"questions": len(drawn), "of": len(data.samples)})
    if shortage := describe_shortage(data.samples, count, GroupBy.ALL if proportional else GroupBy(group_by)):
        note(shortage)


@app.command()
def ground(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The file of first clips to write; an existing one is continued.")],
    split: Split = "train",
    data_set: DataSet = None,
    subtitles: Subtitles = None,
    encoding: Encoding = None,
    ids: Ids = None,
    team: Team = None,
    model: Model = None,
    grounding: Grounding = None,
    prices: Prices = None,
    max_reply_tokens: MaxReplyTokens = None,
    concurrency: Concurrency = 16,
    dry_run: DryRun = False,
) -> None:
    """Locate the first clip of every question in advance. Run it again to ask only the pending questions."""
    from longvideoagent.agents.build import cache_path, load_team
    from longvideoagent.agents.default_models import DefaultModels, choose_team
    from longvideoagent.cli.console import note, print_counts, progress_bar, show_warnings
    from longvideoagent.datasets.first_clips import ground_dataset, is_pending
    from longvideoagent.datasets.registry import open_dataset
    from longvideoagent.datasets.sampling import select_dataset
    from longvideoagent.index.first_clips import FirstClips

    data = open_dataset(folder, split, data_options(data_set, subtitles, encoding))
    _note_problems(data)
    if ids is not None:
        data = select_dataset(data, ids, split)
    chosen = DefaultModels(model=model, grounding=grounding)
    team_config = choose_team(team, chosen, prices).with_reply_limit(max_reply_tokens)
    first_clips = FirstClips(out, team_config.grounding.label)
    if dry_run:
        _print_grounding_forecast(data, team_config, first_clips)
        return
    show_warnings()
    agents = load_team(team_config, cache_path())
    with progress_bar() as progress:
        causes = ground_dataset(data, agents, first_clips, concurrency, progress)
    labels = [first_clips.get(sample.question) for sample in data.samples if not is_pending(first_clips, sample, data)]
    num_grounded = len(labels) - labels.count(None)
    print_counts(
        {
            "questions": len(data.samples),
            "grounded": num_grounded,
            "no clip": labels.count(None),
            "failed": len(causes),
        }
    )
    for cause, count in Counter(causes).most_common(MAX_CAUSES):
        note(f"{count} failed: {cause}")
    if causes:
        note("run it again to retry those that failed")
        raise typer.Exit(EXIT_FAILED)


def _print_grounding_forecast(data: "Dataset", team_config: "TeamConfig", first_clips: "FirstClips") -> None:
    """Print what the grounding agent may use at most for the pending questions."""
    from longvideoagent.agents.config import AgentConfig
    from longvideoagent.cli.console import note_missing_keys, note_old_prices, print_counts, print_forecast
    from longvideoagent.datasets.first_clips import forecast_grounding_dataset

    offline = AgentConfig()
    grounding_only = team_config.model_copy(update={"master": offline, "vision": offline})
    note_old_prices(grounding_only)
    note_missing_keys(grounding_only)
    forecast = forecast_grounding_dataset(data, grounding_only, first_clips)
    print_counts({"questions": len(data.samples), "pending": forecast.num_pending})
    print_forecast([forecast.cost])


@app.command()
def export(
    folder: Folder,
    first_clips: Annotated[
        Path, typer.Option(help="The file of first clips that lva data ground wrote, or a public cache.")
    ],
    out: Out,
    split: Split = "train",
    data_set: DataSet = None,
    subtitles: Subtitles = None,
    encoding: Encoding = None,
    seed: Seed = 0,
    val_fraction: Annotated[float, typer.Option(help="Fraction of the videos for val.parquet; 0: no such file.")] = 0.1,
    max_rounds: MaxRounds = DEFAULT_MAX_ROUNDS,
    look_tag: Annotated[str, typer.Option(help=LOOK_TAG_HELP)] = PUBLIC_CODE_LOOK_TAG,
    prompt_file: PromptFile = None,
    layout: Layout = None,
    skip_missing: Annotated[bool, typer.Option("--skip-missing", help="Leave out questions without a clip.")] = False,
) -> None:
    """Write train.parquet and val.parquet for reinforcement learning (extra parquet)."""
    from longvideoagent.agents.prompts.config import PromptConfig
    from longvideoagent.cli.console import note, print_counts, show_warnings
    from longvideoagent.core.trace import RolloutSettings
    from longvideoagent.datasets.export import ExportConfig, export_dataset
    from longvideoagent.datasets.first_clips import open_first_clips
    from longvideoagent.datasets.registry import open_dataset

    show_warnings()
    if look_tag not in LOOK_TAGS:
        raise UsageError(f"--look-tag {look_tag}: unknown; give {' or '.join(LOOK_TAGS)}")
    data = open_dataset(folder, split, data_options(data_set, subtitles, encoding))
    _note_problems(data)
    prompt_config = PromptConfig(prompt_file=prompt_file, layout_file=layout)
    settings = RolloutSettings(max_rounds)
    config = ExportConfig(prompt_config.read_layout(), look_tag, settings, seed, val_fraction, skip_missing)
    counts = export_dataset(data, open_first_clips(first_clips), out, config)
    print_counts(counts)
    if counts.get("val") == 0:
        note("val.parquet is empty: only one video has questions with answers")


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="longtvqa, longtvqa-plus, tvqa-long or frames.")],
    out: Out,
    show: Annotated[
        list[str] | None, typer.Option(help="With frames: bbt, castle, friends, grey, house or met; repeat it.")
    ] = None,
    repository: Annotated[str | None, typer.Option(help="Another repository on the hub, as OWNER/NAME.")] = None,
) -> None:
    """Download a published data set from the Hugging Face hub (extra hub); an interrupted download resumes."""
    from longvideoagent.cli.console import note, progress_bar
    from longvideoagent.datasets.download import download_dataset
    from longvideoagent.datasets.frame_archives import LICENCE_NOTE, check_shows, download_frames

    if name != "frames" or (repository is not None and not show):
        note(f"wrote {download_dataset(name, out, repository)}")
        return
    check_shows(show or ())
    note(LICENCE_NOTE)
    with progress_bar() as progress:
        reports = download_frames(show or (), out, repository, progress)
    for report in reports:
        others = f"; {report.num_left_out:,} other files of its archive are left out" if report.num_left_out else ""
        note(f"wrote {report.folder}: {report.num_frames:,} frames of {report.num_clips:,} clips{others}")
    note("the archives next to it are not read again, and can be deleted")


def _note_problems(data: "Dataset") -> None:
    """Print the number of problems on stderr. Raises DataError if there is no usable question."""
    from longvideoagent.cli.console import note
    from longvideoagent.core.text import plural

    if not data.samples:
        raise DataError(f"{data.name}: no usable question; lva data check says why")
    if data.problems:
        num_problems = len(data.problems)
        note(f"{num_problems} {plural('problem', num_problems)} in the data set; lva data check lists them")


def _exit_on_problems(problems: Sequence["Problem"]) -> None:
    """Print every problem on a line of stderr, and exit with status 2 if there are any."""
    from longvideoagent.cli.console import note

    for problem in problems:
        note(str(problem))
    if problems:
        raise typer.Exit(EXIT_BAD_INPUT)
