"""EgoSchema: ``questions.json``, ``subset_answers.json`` and ``videos/{q_uid}.*``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from longvideoagent.datasets.records import Problem, Record, RecordFile
from longvideoagent.datasets.sets.base import VideoDataset, check_split, read_members, read_video_dataset
from longvideoagent.datasets.sets.raw_question import RawQuestion, answer_by_index


def read_egoschema(folder: Path, split: str = "subset") -> VideoDataset:
    """Read EgoSchema; ``split`` is subset, whose answers are public, or all. Raises DataError for another."""
    check_split(folder, split, ("subset", "all"))
    answer_problems: list[Problem] = []
    answers = read_members(folder / "subset_answers.json", answer_problems, required=split == "subset")

    def read_record(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        question_id = values.get("q_uid")
        if split == "subset" and str(question_id) not in answers:
            return
        options = [values.get(f"option {index}") for index in range(5)]
        answer = answer_by_index(answers.get(str(question_id)), options)
        yield RawQuestion(
            question_id,
            values.get("question"),
            options,
            answer.option_index,
            "other",
            question_id,
            errors={"answer": answer.error},
        )

    data = read_video_dataset("EgoSchema", folder, [RecordFile.read(folder / "questions.json")], read_record)
    return replace(data, problems=[*answer_problems, *data.problems])
