"""Rows for reinforcement learning: each question's first prompt and its correct option, as Parquet (extra
``parquet``), with the columns that verl's trainer reads."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.actions import PAPER_LOOK_TAG
from longvideoagent.core.layout import PromptLayout
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import GroundingResult, Timeline
from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.first_clips import is_pending
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.records import parquet_columns
from longvideoagent.errors import DataError, UsageError, require_extra
from longvideoagent.fs import atomic_path
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.log import logger

AGENT_NAME = "longvideoagent"
"""The agent loop that verl runs for a row."""


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """The wording of the first prompt, the limits of the rollout, and the split of an export."""

    layout: PromptLayout | None = None
    """The layout of the master's prompt; None for the default."""
    look_tag: str = PAPER_LOOK_TAG
    settings: RolloutSettings = field(default_factory=RolloutSettings)
    seed: int = 0
    """Shuffles options and videos."""
    val_fraction: float = 0.1
    """Of the videos; 0: all are for training, and val.parquet is not written."""
    skip_missing: bool = False
    """Leave out questions without a clip, instead of raising DataError."""


def export_dataset(data: Dataset, first_clips: FirstClips, out: Path, config: ExportConfig) -> dict[str, int]:
    """Write train.parquet and val.parquet. Options are shuffled by the seed, and the correct one moves along. All
    questions of a video are in the same file. Without videos for val.parquet, one of an earlier export is removed, with
    a warning.

    Returns:
        Counts of the questions in each file and of those left out.

    Raises:
        DataError: If a question has no stored clip and ``skip_missing`` is off, if no question is left, or if a
            video does not have the stored clip. Nothing is written then.
        UsageError: Without the extra, and for a val.parquet of others that would have to be removed.
    """
    require_extra("pyarrow", extra="parquet")
    old_val = out / "val.parquet"
    if not config.val_fraction and old_val.exists() and not _is_export(old_val):
        raise UsageError(f"{old_val}: was not written by lva data export; move it away, or choose another --out")
    grounded = [sample for sample in data.samples if not is_pending(first_clips, sample, data)]
    missing = len(data.samples) - len(grounded)
    if missing and not (grounded and config.skip_missing):
        locate = "name a file of lva data ground" if first_clips.is_public else "run lva data ground again"
        locate += " with this --split"
        fix = f"{locate}, or leave them out with --skip-missing"
        if not grounded:
            fix = f"is it of another set or split? {locate}"
        raise DataError(f"{first_clips.path}: {missing} of {len(data.samples)} questions have no clip yet; {fix}")
    import pyarrow as pa
    import pyarrow.parquet as pq

    splits = split_by_video(grounded, config.val_fraction, config.seed)
    if not config.val_fraction:
        del splits["val"]
    rows_by_split = {split: list(build_rows(data, samples, first_clips, config)) for split, samples in splits.items()}
    for split, rows in rows_by_split.items():
        with atomic_path(out / f"{split}.parquet") as partial:
            pq.write_table(pa.Table.from_pylist(rows, _schema()), partial)
    if not config.val_fraction and old_val.exists():
        old_val.unlink()
        logger.warning("%s: of an earlier export, removed; its videos may be in train.parquet now", old_val)
    counts = {split: len(rows) for split, rows in rows_by_split.items()}
    unanswered = len(grounded) - sum(counts.values())
    return counts | {"left out, without an answer": unanswered, "left out, without a clip": missing}


def _is_export(path: Path) -> bool:
    """Whether a table has the columns of an export."""
    try:
        return parquet_columns(path) >= set(_schema().names)
    except DataError:
        return False


def split_by_video(samples: Sequence[Sample], val_fraction: float, seed: int) -> dict[str, list[Sample]]:
    """Split samples into train and val so that no video is in both. Val has at least one video if there are two, unless
    the fraction is 0. Raises UsageError for an impossible fraction."""
    if not 0 <= val_fraction < 1:
        raise UsageError(f"--val-fraction {val_fraction}: out of range; give 0 or more and less than 1")
    videos = sorted({sample.video for sample in samples})
    random.Random(seed).shuffle(videos)
    num_val = min(len(videos) - 1, max(1, round(len(videos) * val_fraction))) if val_fraction and videos else 0
    val_videos = set(videos[:num_val])
    return {
        "train": [sample for sample in samples if sample.video not in val_videos],
        "val": [sample for sample in samples if sample.video in val_videos],
    }


def build_rows(
    data: Dataset, samples: Sequence[Sample], first_clips: FirstClips, config: ExportConfig
) -> Iterator[dict[str, Any]]:
    """One row for each question with a known answer. Raises DataError if a video cannot be read, or does not have the
    stored clip."""
    timelines: dict[str, Timeline] = {}
    for sample in samples:
        if sample.gold.option_index is None:
            continue
        if sample.video not in timelines:
            timelines[sample.video] = data.open_video(sample.video).timeline
        label = first_clips.find(sample.question, timelines[sample.video])
        shuffled = shuffle_options(sample, config.seed)
        rollout = Rollout(shuffled.question, timelines[sample.video], config.settings)
        if config.settings.has_grounding:
            rollout.receive(GroundingResult(label))
        (message,) = master_messages(rollout.trace, layout=config.layout, look_tag=config.look_tag)
        yield {
            "data_source": data.name,
            "agent_name": AGENT_NAME,
            "prompt": [{"role": "user", "content": message["content"]}],
            "ability": "long-video-qa",
            "reward_model": {"style": "rule", "ground_truth": f"a{shuffled.gold.option_index}"},
            "extra_info": {
                "qid": sample.question.id,
                "video": sample.video,
                "clip": label,
                "question": shuffled.question.text,
                "options": list(shuffled.question.options),
                "kind": sample.kind,
            },
        }


def _schema() -> Any:
    """The columns of a file, which an empty one has as well."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    info = {"qid": text, "video": text, "clip": text, "question": text, "options": texts, "kind": text}
    return pa.schema(
        {
            "data_source": text,
            "agent_name": text,
            "prompt": pa.list_(pa.struct({"role": text, "content": text})),
            "ability": text,
            "reward_model": pa.struct({"style": text, "ground_truth": text}),
            "extra_info": pa.struct(info),
        }
    )


def shuffle_options(sample: Sample, seed: int) -> Sample:
    """The sample with its options shuffled; the same seed gives the same order, and the correct option moves along."""
    order = list(range(len(sample.question.options)))
    random.Random(f"{seed} {sample.question.id}").shuffle(order)
    question = replace(sample.question, options=tuple(sample.question.options[index] for index in order))
    correct_option = sample.gold.option_index
    gold = replace(sample.gold, option_index=None if correct_option is None else order.index(correct_option))
    return replace(sample, question=question, gold=gold)
