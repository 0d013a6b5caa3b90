"""LongVideoBench: ``lvb_{split}.json`` or ``lvb_{split}_wo_gt.json``, ``videos/``, ``subtitles/{subtitle_path}``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from longvideoagent.datasets.fields import as_finite, as_list
from longvideoagent.datasets.records import Record, RecordFile
from longvideoagent.datasets.sets.base import VideoDataset, check_split, read_video_dataset
from longvideoagent.datasets.sets.raw_question import RawQuestion, answer_by_index


def read_longvideobench(folder: Path, split: str) -> VideoDataset:
    """Read the fields candidates, correct_choice and video_path. The answers of a split ``wo_gt`` are not published.
    Raises DataError for an unknown split."""
    splits = {
        path.stem.removeprefix("lvb_").removesuffix("_wo_gt"): path
        for path in sorted(folder.glob("lvb_*.json"), reverse=True)
    }
    check_split(folder, split, sorted(splits))
    offsets_s: dict[str, float] = {}
    subtitle_names: dict[str, str] = {}

    def read_record(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        options = as_list(values.get("candidates"))
        answer = answer_by_index(values.get("correct_choice"), options)
        video = str(values.get("video_path") or "").rpartition(".")[0] or values.get("video_id")
        offsets_s[str(video)] = as_finite(values.get("starting_timestamp_for_subtitles")) or 0.0
        subtitles = values.get("subtitle_path")
        if _is_inside(subtitles):
            subtitle_names[str(video)] = subtitles
            subtitles = None
        subtitle_error = f"{str(subtitles)[:40]!r} is not a file in subtitles/; it is not read" if subtitles else ""
        yield RawQuestion(
            values.get("id"),
            values.get("question"),
            options,
            answer.option_index,
            values.get("question_category"),
            video,
            errors={"correct_choice": answer.error, "subtitle_path": subtitle_error},
        )

    data = read_video_dataset("LongVideoBench", folder, [RecordFile.read(splits[split])], read_record)
    return replace(data, subtitle_offsets_s=offsets_s, subtitle_names=subtitle_names)


def _is_inside(value: object) -> TypeGuard[str]:
    """Whether a value is a path that cannot lead out of the folder of the subtitles."""
    if not isinstance(value, str) or re.search(r"[\\:\0]", value):
        return False
    return all(part.strip() not in ("", ".", "..") for part in value.split("/"))
