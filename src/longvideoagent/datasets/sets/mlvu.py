"""MLVU's multiple choice: ``json/*.json``, one file a task, also under ``MLVU/``; videos in ``video/{task}/``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from longvideoagent.datasets.fields import as_list
from longvideoagent.datasets.records import Problem, Record, RecordFile
from longvideoagent.datasets.sets.base import ONLY_SPLIT, VideoDataset, check_split, read_video_dataset
from longvideoagent.datasets.sets.raw_question import RawQuestion, answer_by_text


def read_mlvu(folder: Path, split: str = ONLY_SPLIT) -> VideoDataset:
    """Read candidates and answers, which are texts. Open-ended tasks are one problem a file. Raises DataError for an
    unknown split."""
    check_split(folder, split, (ONLY_SPLIT,))
    root = folder / "MLVU" if (folder / "MLVU" / "json").is_dir() else folder
    open_ended_counts: Counter[Path] = Counter()

    def read_record(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        if "candidates" not in values:
            open_ended_counts[record.file.path] += 1
            return
        options = as_list(values["candidates"])
        answer = answer_by_text(values.get("answer"), options)
        stem, kind = str(values.get("video") or "").rpartition(".")[0], values.get("question_type")
        yield RawQuestion(
            values.get("question_id") or f"{kind}-{record.index}",
            values.get("question"),
            options,
            answer.option_index,
            kind,
            stem and f"{record.file.path.stem}/{stem}",  # the name of a video is unique within its task only
            errors={"answer": answer.error},
        )

    files = [RecordFile.read(path) for path in sorted((root / "json").glob("*.json"))]
    data = read_video_dataset("MLVU", root, files, read_record)
    message = "questions have no options; they are left out, since only multiple choice is supported"
    open_ended = [Problem(path, 0, "candidates", f"{count} {message}") for path, count in open_ended_counts.items()]
    return replace(data, problems=[*data.problems, *open_ended])
