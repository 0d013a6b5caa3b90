"""The questions a master is trained on: rows of ``lva data export``, with the videos they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Question
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.records import Record, RecordFile
from longvideoagent.errors import DataError
from longvideoagent.media.video import Video
from longvideoagent.training.rollouts import RolloutTask, TrainingSample

_COLUMNS = ("extra_info", "reward_model")
_INFO = ("qid", "video", "clip", "question", "options")


def read_training_samples(rows: Path, data: Dataset, settings: RolloutSettings) -> list[TrainingSample]:
    """One lesson a row, in their order. Raises DataError for rows that are not of ``lva data export``, that are none,
    or whose videos or clips the data set has not, and UsageError without the extra ``parquet``."""
    if not rows.exists():
        raise DataError(f"{rows}: no such file; write it with lva data export")
    episode = lru_cache(maxsize=None)(data.open_video)
    lessons = [training_sample_of(record, episode, settings) for record in RecordFile.read_parquet(rows).records()]
    if not lessons:
        raise DataError(f"{rows}: holds no row; write it anew with lva data export")
    return lessons


def training_sample_of(record: Record, episode_of: Callable[[str], Video], settings: RolloutSettings) -> TrainingSample:
    """The lesson of one row. Raises DataError where it is none; see ``read_training_samples``."""
    _check_columns(record)
    told, right = _told(record), str(record.values["reward_model"].get("ground_truth", ""))
    episode = episode_of(told["video"])
    options = tuple(told["options"])
    number = right.removeprefix("a")
    if not number.isdecimal() or int(number) >= len(options):
        raise DataError(
            str(record.problem("reward_model.ground_truth", f"{right!r} names none of {len(options)} options"))
        )
    if told["clip"] is not None and episode.timeline.find(told["clip"]) is None:
        why = f"its video has no clip {told['clip']!r}; was the data set built anew? export the rows again"
        raise DataError(str(record.problem("extra_info.clip", why)))
    question = Question(told["question"], options, str(told["qid"]))
    task = RolloutTask(question, episode, told["clip"], settings)
    return TrainingSample(task, int(number), str(told["video"]), str(told.get("kind") or ""))


def _check_columns(record: Record) -> None:
    missing = [name for name in _COLUMNS if not isinstance(record.values.get(name), Mapping)]
    missing += [f"extra_info.{name}" for name in _INFO if not missing and name not in _told(record)]
    if missing:
        told = "holds nothing in" if missing[0] in record.values else "has no"
        raise DataError(f"{record.file.path}: {told} column {missing[0]}; write it anew with lva data export")


def _told(record: Record) -> Mapping[str, Any]:
    told: Mapping[str, Any] = record.values["extra_info"]
    return told
