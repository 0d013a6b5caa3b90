"""Training samples: the rows of ``lva data export``, or of the public code's converter, joined with the videos they are
about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Question
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.public_rows import is_public_row, read_public_row
from longvideoagent.datasets.records import Record, RecordFile
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.video import Video
from longvideoagent.training.config import RLConfig
from longvideoagent.training.rollouts import RolloutTask, TrainingSample

_COLUMNS = ("extra_info", "reward_model")
_INFO_FIELDS = ("qid", "video", "clip", "question", "options")


def read_training_samples(rows: Path, data: Dataset, settings: RolloutSettings) -> list[TrainingSample]:
    """One sample per row, in order; rows of ``lva data export`` and of the public converter are recognized by their
    columns. Raises DataError for other rows, for an empty file, or for videos or clips that the data set does not
    have, and UsageError without the extra ``parquet``."""
    if not rows.exists():
        raise DataError(f"{rows}: no such file; write it with lva data export")
    open_video = lru_cache(maxsize=None)(data.open_video)
    samples = [read_training_sample(record, open_video, settings) for record in RecordFile.read_parquet(rows).records()]
    if not samples:
        raise DataError(f"{rows}: holds no row; write it again with lva data export")
    return samples


def read_training_sample(
    record: Record, open_video: Callable[[str], Video], settings: RolloutSettings
) -> TrainingSample:
    """The sample of one row. Raises DataError as ``read_training_samples`` does."""
    if is_public_row(record.values):
        row = read_public_row(record)
        video = open_video(row.video)
        _check_clip(record, "vid_name", row.first_clip, video)
        task = RolloutTask(row.question, video, row.first_clip, settings)
        return TrainingSample(task, row.gold_option, row.video, "")
    _check_columns(record)
    info = record.values["extra_info"]
    video = open_video(info["video"])
    if info["clip"] is not None:
        _check_clip(record, "clip", info["clip"], video)
    options = tuple(info["options"])
    gold_option = _gold_option(record, len(options))
    question = Question(info["question"], options, str(info["qid"]))
    task = RolloutTask(question, video, info["clip"], settings)
    return TrainingSample(task, gold_option, str(info["video"]), str(info.get("kind") or ""))


def _check_clip(record: Record, field: str, label: str, video: Video) -> None:
    if video.timeline.find_clip(label) is None:
        message = f"its video has no clip {str(label)[:80]!r}; was the data set built again? export the rows again"
        raise DataError(str(record.problem(f"extra_info.{field}", message)))


def _gold_option(record: Record, num_options: int) -> int:
    """The index of the correct option, from a label such as ``a1``."""
    label = str(record.values["reward_model"].get("ground_truth", ""))
    number = label.removeprefix("a")
    if not number.isdecimal() or int(number) >= num_options:
        message = f"{label[:40]!r} is not one of {num_options} options"
        raise DataError(str(record.problem("reward_model.ground_truth", message)))
    return int(number)


def _check_columns(record: Record) -> None:
    values = record.values
    missing = [name for name in _COLUMNS if not isinstance(values.get(name), Mapping)]
    if not missing:
        missing = [f"extra_info.{name}" for name in _INFO_FIELDS if name not in values["extra_info"]]
    if missing:
        problem = "has an empty" if missing[0] in values else "has no"
        raise DataError(f"{record.file.path}: {problem} column {missing[0]}; write it again with lva data export")
    info = values["extra_info"]
    is_text = isinstance(info["options"], str) or not isinstance(info["options"], Iterable)
    options = [] if is_text else list(info["options"])
    invalid = [name for name in ("video", "question") if not isinstance(info[name], str)]
    if not options or not all(isinstance(option, str) for option in options):
        invalid.append("options")
    if invalid:
        message = "empty or not text; write the rows again with lva data export"
        raise DataError(str(record.problem(f"extra_info.{invalid[0]}", message)))


class Samples(NamedTuple):
    """The samples of a run."""

    train: list[TrainingSample]
    eval: list[TrainingSample]


def read_samples(config: RLConfig) -> Samples:
    """The samples of ``rows`` and ``eval_rows``. Raises DataError for rows that cannot be read, and UsageError for a
    video in both, or for too few questions for a step."""
    if not config.data.is_dir():
        fix = "paths begin at the working directory; the first lines of the file say how its data are made"
        raise DataError(f"data: {config.data} is not a folder; {fix}")
    data = open_dataset(config.data, config.split, config.data_options)
    train = read_training_samples(config.rows, data, config.settings)
    eval_ = [] if config.eval_rows is None else read_training_samples(config.eval_rows, data, config.settings)
    needed = config.questions_per_batch
    if len(train) < needed:  # TRL drops an incomplete batch, and would train on nothing
        batch = f"questions_per_step {needed}" if config.updates_per_batch == 1 else f"{needed} for a batch"
        raise UsageError(f"{config.rows}: {len(train)} questions, {batch}; lower questions_per_step")
    shared = {sample.video_id for sample in train} & {sample.video_id for sample in eval_}
    if shared:
        raise UsageError(f"{config.eval_rows}: video {min(shared)} is in rows, too; export the rows again")
    return Samples(train, eval_)
