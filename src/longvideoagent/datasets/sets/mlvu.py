"""MLVU's multiple choice. The development set has one JSON file a task: ``MLVU/json/`` on the hub, ``data/`` in the
publisher's repository; videos in ``video/{task}/``. The test set is ``test_multi_choice_tasks.json`` with
``test-ground-truth/test_mcq_gt.json`` and ``MLVU_Test/video/``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from longvideoagent.datasets.fields import as_list
from longvideoagent.datasets.records import Problem, Record, RecordFile
from longvideoagent.datasets.sets.base import ONLY_SPLIT, VideoDataset, check_split, read_video_dataset
from longvideoagent.datasets.sets.raw_question import ParsedAnswer, RawQuestion, answer_by_letter, answer_by_text

TEST_SPLIT = "test"
MARKERS = ("MLVU/json/*.json", "json/*.json", "data/1_plotQA.json", "test_multi_choice_tasks.json")
"""For messages; ``find_mlvu`` also finds the tasks by their names."""
ROOTS = (".", "MLVU", "MLVU_Test")
_JSON_FOLDERS = ("json", "MLVU/json")
_TASK_FOLDERS = ("data", "MLVU/data", "MLVU", ".")
_TASK = re.compile(
    r"\d{1,2}_(?:plotQA|needle(?:QA)?|ego|count|order|anomaly_reco|topic_reasoning|sub_?[sS]cene|summary"
    r"|sportsQA|tutorialQA)\.json"
)
_TEST_FILES = ("test_multi_choice_tasks.json", "MLVU_Test/test_multi_choice_tasks.json", "MLVU_Test/test_question.json")
_TEST_ANSWERS = ("test-ground-truth/test_mcq_gt.json", "test_mcq_gt.json")


def find_mlvu(folder: Path) -> list[Path]:
    """The annotation files of the development set, one a task, else that of the test set."""
    for name in _JSON_FOLDERS:
        if files := sorted((folder / name).glob("*.json")):
            return files
    for name in _TASK_FOLDERS:
        if files := sorted(path for path in (folder / name).glob("*.json") if _TASK.fullmatch(path.name)):
            return files
    return [folder / name for name in _TEST_FILES if (folder / name).is_file()][:1]


def read_mlvu(folder: Path, split: str = ONLY_SPLIT) -> VideoDataset:
    """Read candidates and answers, which are texts. Open-ended tasks are one problem a file. Raises DataError for an
    unknown split."""
    tasks = [path for path in find_mlvu(folder) if path.name not in {Path(name).name for name in _TEST_FILES}]
    test_files = [folder / name for name in _TEST_FILES if (folder / name).is_file()][:1]
    check_split(folder, split, [ONLY_SPLIT] * bool(tasks) + [TEST_SPLIT] * bool(test_files))
    problems: list[Problem] = []
    is_test = split == TEST_SPLIT
    answers = _read_test_answers(folder, problems) if is_test else {}
    open_ended_counts: Counter[Path] = Counter()
    files = [RecordFile.read(path) for path in (test_files if is_test else tasks)]
    data = read_video_dataset("MLVU", folder, files, _record_reader(answers, open_ended_counts, has_tasks=not is_test))
    message = "questions have no options; they are left out, since only multiple choice is supported"
    open_ended = [Problem(path, 0, "candidates", f"{count} {message}") for path, count in open_ended_counts.items()]
    return replace(data, problems=[*problems, *data.problems, *open_ended], roots=ROOTS)


def _record_reader(
    answers: Mapping[str, Any], open_ended_counts: Counter[Path], *, has_tasks: bool
) -> Callable[[Record], Iterator[RawQuestion]]:
    """The reader of a record. ``answers`` by question id are those that its file does not have."""

    def read_record(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        if "candidates" not in values:
            open_ended_counts[record.file.path] += 1
            return
        options = as_list(values["candidates"])
        answer = _answer(values.get("answer", answers.get(str(values.get("question_id")))), options)
        stem, kind = str(values.get("video") or "").rpartition(".")[0], values.get("question_type")
        yield RawQuestion(
            values.get("question_id") or f"{kind}-{record.index}",
            values.get("question"),
            options,
            answer.option_index,
            kind,
            # The name of a video is unique within its task only.
            stem and (f"{record.file.path.stem}/{stem}" if has_tasks else stem),
            errors={"answer": answer.error},
        )

    return read_record


def _answer(value: object, options: list[object]) -> ParsedAnswer:
    """The correct option, whose text the answer is, or whose letter."""
    by_text = answer_by_text(value, options)
    by_letter = answer_by_letter(value, options) if by_text.error else by_text
    return by_text if by_letter.error else by_letter


def _read_test_answers(folder: Path, problems: list[Problem]) -> dict[str, Any]:
    """The published answers of the test set by question id; empty if the folder does not have them."""
    path = next((folder / name for name in _TEST_ANSWERS if (folder / name).is_file()), None)
    if path is None:
        return {}
    file = RecordFile.read(path)
    answers = {str(record.values.get("question_id")): record.values.get("answer") for record in file.records()}
    problems += file.problems
    return answers
