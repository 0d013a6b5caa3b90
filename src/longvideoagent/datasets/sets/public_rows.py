"""Parquet rows of the public converter, read as questions: ``{split}.parquet`` next to the subtitles of the release.

The options are those of the rows, without the empty fifth. The rows have no times; their first clips are read by
``--first-clip file={split}.parquet``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.datasets.longtvqa.questions import OPTIONS
from longvideoagent.datasets.longtvqa.read import LongTVQA, ReleaseFiles, assemble
from longvideoagent.datasets.longtvqa.texts import read_texts
from longvideoagent.datasets.public_rows import InvalidRowError, PublicRow, is_exported_row, read_public_row
from longvideoagent.datasets.records import Problem, RecordFile, parquet_columns
from longvideoagent.errors import DataError

NAME = "public rows"
COLUMNS = {"prompt", "data_source", "reward_model", "extra_info"}
MARKERS = ("train.parquet", "val.parquet")


def find_public_rows(folder: Path) -> list[Path]:
    """The files of rows, recognised by their columns. Raises DataError for a table that cannot be read, and UsageError
    for a table without the extra ``parquet``."""
    return [path for path in sorted(folder.glob("*.parquet")) if parquet_columns(path) >= COLUMNS]


def read_public_rows(folder: Path, split: str, options: DatasetOptions) -> LongTVQA:
    """Read the rows of one file; one that is not valid becomes a problem. Raises DataError for an unknown split, and
    for rows of ``lva data export``."""
    path = folder / f"{split}.parquet"
    if not path.is_file():
        names = ", ".join(file.stem for file in find_public_rows(folder))
        raise DataError(f"{folder}: no split {split!r}; there are {names}")
    questions, problems = list[dict[str, Any] | None](), list[Problem]()
    for record in RecordFile.read_parquet(path).records():
        if is_exported_row(record.values):
            raise DataError(f"{path}: rows of lva data export; ask the questions of the set that they were made of")
        try:
            questions.append(_question_values(read_public_row(record)))
        except InvalidRowError as error:
            questions.append(None)
            problems.append(replace(error.problem, message=f"{error.problem.message}; the record is left out"))
    texts = read_texts(folder, "LongTVQA_plus", problems, options.subtitles)
    return assemble(folder, split, ReleaseFiles(NAME, RecordFile(path, "", rows=questions), texts), options, problems)


def _question_values(row: PublicRow) -> dict[str, Any]:
    """The question of a row, as a record of LongTVQA."""
    choices = {name: text for name, text in zip(OPTIONS, row.question.options, strict=True) if text}
    answer = OPTIONS[row.gold_option]
    return {"qid": row.question.id, "q": row.question.text, **choices, "answer": answer, "vid_name": row.clip}
