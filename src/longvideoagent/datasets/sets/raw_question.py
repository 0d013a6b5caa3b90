"""Questions as the records of a data set state them, checked before they become samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from longvideoagent.core.types import Question, TimeSpan
from longvideoagent.datasets.fields import as_finite, as_list, as_text
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.datasets.longtvqa.questions import MIN_OPTIONS
from longvideoagent.datasets.records import Problem, Record, RecordFile

LETTERS = "ABCDEFGHIJ"
_LETTERED = re.compile(r"^\s*\(?([A-J])[.):]\s*(.*)$", re.DOTALL)


class ParsedAnswer(NamedTuple):
    """The correct option of a question."""

    option_index: int | None
    """None if the answer is not published or is invalid."""
    error: str
    """Why the answer is invalid; empty if it is valid or not published."""


@dataclass
class RawQuestion:
    """The fields of a question as one record states them, unchecked."""

    id: object
    text: object
    options: Sequence[object]
    option_index: int | None
    """The correct option, or None."""
    kind: object
    video: object
    spans: Sequence[TimeSpan] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with fields that the question can do without, by field; an empty text is not an error."""


class QuestionSet(NamedTuple):
    """The questions of annotation files."""

    samples: list[Sample]
    problems: list[Problem]


class _FieldError(NamedTuple):
    field: str
    message: str


RecordReader = Callable[[Record], Iterator[RawQuestion]]
"""Yields the questions of one record."""


def read_raw_questions(files: Sequence[RecordFile], reader: RecordReader) -> QuestionSet:
    """Read all records with the reader of a data set. An unusable question becomes a problem and not a sample."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    known_ids: set[str] = set()
    for file in files:
        for record in file.records():
            for raw in reader(record):
                unusable = _find_unusable_field(raw, known_ids)
                if unusable is not None:
                    problems.append(
                        record.problem(unusable.field, f"{unusable.message}; question {raw.id} is left out")
                    )
                    continue
                errors = {**raw.errors, "options": _duplicate_answer_error(raw)}
                prefix = f"question {raw.id}: "
                problems += [record.problem(name, prefix + error) for name, error in errors.items() if error]
                known_ids.add(str(raw.id))
                samples.append(_to_sample(raw))
        problems += file.problems
    if not samples and not problems:
        problems = [Problem(file.path, 0, "", "has no question of this split; download it again") for file in files]
    return QuestionSet(samples, problems)


def _find_unusable_field(raw: RawQuestion, known_ids: set[str]) -> _FieldError | None:
    """The field that makes a question unusable and the reason, or None."""
    if not isinstance(raw.text, str) or not raw.text.strip():
        return _FieldError("question", "no question")
    empty = [number for number, option in enumerate(raw.options, 1) if not as_text(option)]
    if empty or len(raw.options) < MIN_OPTIONS:
        return _FieldError("options", f"option {empty[0] if empty else len(raw.options) + 1} is missing or empty")
    if not isinstance(raw.video, str) or not raw.video.strip():
        return _FieldError("video", "no video")
    if raw.id is None or not str(raw.id).strip():
        return _FieldError("id", "no id")
    if str(raw.id) in known_ids:
        return _FieldError("id", f"{str(raw.id)[:80]} is not a unique id")
    return None


def _duplicate_answer_error(raw: RawQuestion) -> str:
    """Why the correct option is ambiguous; empty if its text is unique."""
    texts, correct_option = [as_text(option) for option in raw.options], raw.option_index
    if correct_option is None or texts.count(texts[correct_option]) == 1:
        return ""
    option = f"option {correct_option + 1}, the correct one"
    return f"{option}, is listed twice; only the one that the answer names counts as correct"


def _to_sample(raw: RawQuestion) -> Sample:
    options = tuple(map(as_text, raw.options))
    start_s, end_s = raw.spans[0] if raw.spans else (None, None)
    gold = Gold(raw.option_index, None, start_s, end_s, more_spans=tuple(raw.spans[1:]))
    question = Question(str(raw.text).strip(), options, str(raw.id))
    return Sample(question, gold, str(raw.kind or "other"), str(raw.video))


def answer_by_index(value: object, options: Sequence[object]) -> ParsedAnswer:
    """The option with that index, from 0."""
    number = as_finite(value)
    return _check_answer(int(number) if number is not None and number == int(number) else None, value, options)


def answer_by_letter(value: object, options: Sequence[object]) -> ParsedAnswer:
    """The option with that letter, from A."""
    letter = str(value or "").strip().strip("().").upper()
    return _check_answer(LETTERS.find(letter) if len(letter) == 1 else None, value, options)


def answer_by_text(value: object, options: Sequence[object]) -> ParsedAnswer:
    """The option with exactly that text."""
    return _check_answer(options.index(value) if value in options else None, value, options)


def _check_answer(index: int | None, value: object, options: Sequence[object]) -> ParsedAnswer:
    if value is None or value == "":
        return ParsedAnswer(None, "")  # not published
    if index is not None and 0 <= index < len(options):
        return ParsedAnswer(index, "")
    return ParsedAnswer(None, f"{str(value)[:40]!r} matches none of {len(options)} options; fix it")


def strip_letters(options: object) -> list[object]:
    """Options without the letters in front of them."""
    return [
        match[2] if isinstance(option, str) and (match := _LETTERED.match(option)) else option
        for option in as_list(options)
    ]
