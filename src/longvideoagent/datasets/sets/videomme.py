"""Video-MME: Parquet tables with its columns, or ``videomme.json``; ``data/{videoID}.*``, ``subtitle/*.srt``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from longvideoagent.datasets.records import Problem, Record, RecordFile, parquet_columns
from longvideoagent.datasets.sets.base import VideoDataset, check_split, read_video_dataset
from longvideoagent.datasets.sets.raw_question import RawQuestion, answer_by_letter, strip_letters

COLUMNS = {"videoID", "question_id", "duration", "question", "options", "answer"}
DURATION_GROUPS = ("short", "medium", "long")


def find_videomme(folder: Path) -> list[Path]:
    """The annotation files in their order; tables are recognised by their columns. Raises DataError for a table that
    cannot be read, and UsageError for a table without the extra ``parquet``."""
    if (folder / "videomme.json").exists():
        return [folder / "videomme.json"]
    tables = sorted([*folder.glob("*.parquet"), *folder.glob("*/*.parquet")])
    return [path for path in tables if parquet_columns(path) >= COLUMNS]


def read_videomme(folder: Path, split: str = "long") -> VideoDataset:
    """Read Video-MME; ``split`` is a group of durations (short, medium, long) or all. Raises DataError for another."""
    check_split(folder, split, (*DURATION_GROUPS, "all"))
    group_problems: list[Problem] = []

    def read_record(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        group = values.get("duration")
        if group not in DURATION_GROUPS:
            message = f"{str(group)[:40]!r} is none of {', '.join(DURATION_GROUPS)}; the question is only in split all"
            group_problems.append(record.problem("duration", message))
        if split not in ("all", group):
            return
        options = strip_letters(values.get("options"))
        answer = answer_by_letter(values.get("answer"), options)
        yield RawQuestion(
            values.get("question_id"),
            values.get("question"),
            options,
            answer.option_index,
            values.get("task_type"),
            values.get("videoID") or values.get("video_id"),
            errors={"answer": answer.error},
        )

    read_file = {".json": RecordFile.read, ".parquet": RecordFile.read_parquet}
    files = [read_file[path.suffix](path) for path in find_videomme(folder)]
    data = read_video_dataset("Video-MME", folder, files, read_record)
    return replace(data, problems=[*group_problems, *data.problems])
