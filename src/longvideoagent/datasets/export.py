"""Rows for reinforcement learning: each question's first prompt and its right option, as Parquet (extra
``parquet``), in the columns verl's trainer reads."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.protocol import LOOK_TAGS
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import GroundingResult, Timeline
from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.first_clips import is_pending
from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import atomic_path
from longvideoagent.index.first_clips import FirstClips

AGENT_NAME = "longvideoagent"
"""Which agent loop verl runs for a row."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows are made: the first prompt's wording, what bounds the rollout, and the seed of all shuffling."""

    prompt: str | None = None
    look_tag: str = LOOK_TAGS[0]
    settings: RolloutSettings = field(default_factory=RolloutSettings)
    seed: int = 0
    val_share: float = 0.1
    skips_missing: bool = False
    """Whether questions without a clip are left out, rather than all refused."""


def export(data: DataSet, cache: FirstClips, out: Path, how: Rows) -> dict[str, int]:
    """Write train.parquet and val.parquet. Options are shuffled by the seed with the right one moved along;
    whole videos go to one of the two, so none stands in both. Returns counts.

    Raises DataError where the cache owes a question and none may be skipped, or any is left, or where it holds a clip
    that its video has not, and UsageError without the extra. Nothing is written then.
    """
    if find_spec("pyarrow") is None:
        raise UsageError("pyarrow is not installed; pip install 'longvideoagent[parquet]'")
    kept = [sample for sample in data.samples if not is_pending(cache, sample, data)]
    missing = len(data.samples) - len(kept)
    if missing and not (kept and how.skips_missing):
        mend = "run lva data ground again with this --split, or leave them out with --skip-missing"
        raise DataError(f"{cache.path}: {missing} of {len(data.samples)} questions have no clip yet; {mend}")
    import pyarrow as pa
    import pyarrow.parquet as pq

    splits = split_by_video(kept, how.val_share, how.seed)
    made = {split: list(rows_of(data, samples, cache, how)) for split, samples in splits.items()}
    for split, rows in made.items():
        with atomic_path(out / f"{split}.parquet") as partial:
            pq.write_table(pa.Table.from_pylist(rows, _schema()), partial)
    counts = {split: len(rows) for split, rows in made.items()}
    left_out = {"left out, without an answer": len(kept) - sum(counts.values()), "left out, without a clip": missing}
    return counts | left_out


def split_by_video(samples: Sequence[Sample], val_share: float, seed: int) -> dict[str, list[Sample]]:
    """Train and val; each video is in one of them. Val has at least one video where there are two. Raises
    UsageError for an impossible share."""
    if not 0 < val_share < 1:
        raise UsageError(f"--val-share {val_share}: no share; give more than 0 and less than 1")
    videos = sorted({sample.video for sample in samples})
    random.Random(seed).shuffle(videos)
    held_out = set(videos[: min(len(videos) - 1, max(1, round(len(videos) * val_share)))] if len(videos) > 1 else [])
    return {
        "train": [sample for sample in samples if sample.video not in held_out],
        "val": [sample for sample in samples if sample.video in held_out],
    }


def rows_of(data: DataSet, samples: Sequence[Sample], cache: FirstClips, how: Rows) -> Iterator[dict[str, Any]]:
    """One row for each question whose right option is known. Raises DataError where a video cannot be read, or
    has not the clip that the cache tells."""
    timelines: dict[str, Timeline] = {}
    for sample in samples:
        if sample.gold.option_index is None:
            continue
        if sample.video not in timelines:
            timelines[sample.video] = data.episode(sample.video).timeline
        label = cache.find(sample.question, timelines[sample.video])
        mixed = shuffle_options(sample, how.seed)
        rollout = Rollout(mixed.question, timelines[sample.video], how.settings)
        if how.settings.grounding:
            rollout.receive(GroundingResult(label))
        (asked,) = master_messages(rollout.trace, prompt=how.prompt, look_tag=how.look_tag)
        yield {
            "data_source": data.name,
            "agent_name": AGENT_NAME,
            "prompt": [{"role": "user", "content": asked["content"]}],
            "ability": "long-video-qa",
            "reward_model": {"style": "rule", "ground_truth": f"a{mixed.gold.option_index}"},
            "extra_info": {
                "qid": sample.question.id,
                "video": sample.video,
                "clip": label,
                "question": mixed.question.text,
                "options": list(mixed.question.options),
                "kind": sample.kind,
            },
        }


def _schema() -> Any:
    """The columns of a file of rows, however many it has."""
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
    """The question with its options in another order, always the same for a seed, the right one marked."""
    order = list(range(len(sample.question.options)))
    random.Random(f"{seed} {sample.question.id}").shuffle(order)
    question = replace(sample.question, options=tuple(sample.question.options[index] for index in order))
    right = sample.gold.option_index
    gold = replace(sample.gold, option_index=None if right is None else order.index(right))
    return replace(sample, question=question, gold=gold)
