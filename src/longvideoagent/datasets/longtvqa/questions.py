"""Questions and gold answers of LongTVQA and TVQA, checked record by record.

Fields are those of the data set cards (qid, q, a0..a4, answer, ts, episode_name, occur_clip, bbox) and TVQA's own
(answer_idx, vid_name). Generated sets have two more, ``reference`` and ``scope``: with a reference, a question may be
open-ended, without options; scope ``video`` says that it is about the whole episode, and not about one clip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from longvideoagent.core.types import Question, TimeSpan
from longvideoagent.datasets.fields import as_finite, as_text, read_span
from longvideoagent.datasets.gold import QUESTION_WORDS, Box, Gold, Reference, Sample
from longvideoagent.datasets.longtvqa.clips import ClipName, Episodes
from longvideoagent.datasets.longtvqa.reference import read_reference
from longvideoagent.datasets.records import Problem, Record, RecordFile
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S

OPTIONS = tuple(f"a{index}" for index in range(5))
MIN_OPTIONS = 2
WHOLE_VIDEO_SCOPE = "video"
NO_TIMES = "NaN-NaN"
"""How TVQA writes that a question has no times."""
TOLERANCE_S = 0.5
"""A span or a box may be past its clip by this much, since lengths and times are rounded separately."""


class SampleRecord(NamedTuple):
    """A question and the record it was read from."""

    sample: Sample
    record: Record


class _Field(NamedTuple):
    name: str
    value: Any


class _OccurClip(NamedTuple):
    label: str
    name: ClipName


class ParsedBoxes(NamedTuple):
    """The boxes of a record."""

    boxes: tuple[Box, ...]
    """The valid ones."""
    valid_records: dict[str, list[object]]
    """The same as the record has them, by frame."""
    num_invalid: int = 0

    @property
    def message(self) -> str:
        """What is wrong with the invalid ones."""
        count = len(self.boxes) + self.num_invalid
        rule = "a box lacks img_id, left, top, width, height or label, has no area or is of a frame after its clip"
        return f"{rule}; {self.num_invalid} of {count} are left out"


def read_questions(
    file: RecordFile, episodes: Episodes, problems: list[Problem], records: Iterable[Record] | None = None
) -> Iterator[SampleRecord]:
    """Yield every usable question; problems of records are added to ``problems``. Times are moved to the axis of the
    episode. ``records`` are those of the file, if they were read before. Raises DataError if the file is cut short."""
    index_of: dict[str, int] = {}
    for record in file.records() if records is None else records:
        reader = _QuestionReader(record, episodes, problems)
        sample = reader.sample()
        if sample is None:
            continue
        qid = sample.question.id
        if qid in index_of:
            first = file.describe_position(index_of[qid])
            reader.add_problem("qid", f"{qid} is a duplicate of {first}; the record is left out")
            continue
        index_of[qid] = record.index
        yield SampleRecord(sample, record)
    problems += file.problems


def asked_episodes(records: Iterable[Record]) -> set[str]:
    """The episodes that records ask about, by the names of their clips."""
    names = (ClipName.parse(_clip_field(record).value) for record in records)
    return {name.episode_name for name in names if name is not None}


class _UnusableError(Exception):
    """A record that is not a usable question: the field, and what is wrong with it."""


@dataclass(slots=True)
class _QuestionReader:
    """Reads one record and collects its problems."""

    record: Record
    episodes: Episodes
    problems: list[Problem]

    def add_problem(self, name: str, message: str) -> None:
        self.problems.append(self.record.problem(name, message))

    def sample(self) -> Sample | None:
        """The question and its gold answer; None if it is unusable."""
        try:
            question, clip = self.question(), self.clip()
        except _UnusableError as error:
            self.add_problem(error.args[0], f"{error.args[1]}; the record is left out")
            return None
        correct_option = self.answer(question) if question.options else None
        if correct_option is not None and question.options.count(question.options[correct_option]) > 1:
            self.add_problem(
                "options",
                f"a{correct_option}, the correct one, is listed twice; only a{correct_option} counts as correct",
            )
        video, stated = clip.name.episode_name, self.record.values.get("episode_name")
        if stated not in (None, "", video):
            self.add_problem("episode_name", f"{str(stated)[:40]!r}, but its clip is of {video}, which is used")
        return Sample(question, self.gold(correct_option, clip.label), self.kind(question), video)

    def kind(self, question: Question) -> str:
        stated = self.record.values.get("kind")
        first = question.text.split()[0].lower().strip("'\"")
        return stated if isinstance(stated, str) and stated else first if first in QUESTION_WORDS else "other"

    def question(self) -> Question:
        values = self.record.values
        text, qid = values.get("q"), values.get("qid")
        names = [name for name in OPTIONS if name in values]
        options = [as_text(values[name]) for name in names]
        is_open = not names and self.reference() is not None
        if not isinstance(text, str) or not text.strip():
            raise _UnusableError("q", "no question")
        is_gapless = tuple(names) == OPTIONS[: len(names)]  # else the answer would name another option
        if not is_open and (not is_gapless or len(options) < MIN_OPTIONS or not all(options)):
            empty = [name for name in OPTIONS[: max(MIN_OPTIONS, len(names))] if not as_text(values.get(name))]
            raise _UnusableError(empty[0], "the option is missing or empty")
        if qid is None or isinstance(qid, dict | list) or not str(qid).strip():
            raise _UnusableError("qid", "no id")
        return Question(text.strip(), tuple(options), str(qid))

    def clip(self) -> _OccurClip:
        field, label = _clip_field(self.record)
        name = ClipName.parse(label)
        if name is None:
            raise _UnusableError(field, f"{str(label)[:80]!r} is not the name of a clip")
        if label not in self.episodes.starts_s:
            raise _UnusableError(field, f"{label} has neither subtitles nor a length here")
        return _OccurClip(label, name)

    def reference(self) -> Reference | None:
        """By which an open-ended answer is scored, or None."""
        return read_reference(self.record.values.get("reference"))

    def gold(self, correct_option: int | None, clip: str) -> Gold:
        reference = self.reference()
        if reference is None and self.record.values.get("reference") is not None:
            self.add_problem("reference", "not a metric with its values; fix it, open-ended answers are not scored")
        answer = reference.text if reference is not None and correct_option is None else ""
        gold = Gold(correct_option, clip, answer=answer, reference=reference)
        if self.record.values.get("scope") == WHOLE_VIDEO_SCOPE:
            return replace(gold, clip=None)
        span, clip_start_s = self.span(clip), self.episodes.starts_s[clip]
        if span is None:
            return gold
        return replace(gold, start_s=clip_start_s + span.start_s, end_s=clip_start_s + span.end_s)

    def answer(self, question: Question) -> int | None:
        """The index of the correct option; None if answers are not published."""
        field, value = _first_field(self.record, "answer", "answer_idx")
        if value is None:
            return None
        count = len(question.options)
        index = OPTIONS.index(value) if value in OPTIONS else None
        if index is None and (match := re.fullmatch(r"a?(\d{1,3})", str(value).strip(), re.IGNORECASE)):
            index = int(match[1])
        if index is None or index >= count:
            self.add_problem(field, f"{str(value)[:40]!r} is none of a0 to a{count - 1}; the question has no answer")
            return None
        return index

    def span(self, clip: str) -> TimeSpan | None:
        """The gold span within the clip, in seconds, or None."""
        value = self.record.values.get("ts")
        if value is None or value in ("", NO_TIMES):
            return None
        span = read_span(value)
        if span is None:
            self.add_problem("ts", f"{str(value)[:40]} is not a span in seconds; the question has no times")
            return None
        length_s = self.episodes.lengths_s[clip]
        length = f"{length_s:.1f} s{'' if clip in self.episodes.known_durations_s else ', assumed'}"
        if span.end_s <= length_s:
            return span
        if span.start_s > length_s:
            self.add_problem("ts", f"{str(value)[:40]} begins after the clip ends ({length}); it has no times")
            return None
        if span.end_s > length_s + TOLERANCE_S:
            self.add_problem("ts", f"{str(value)[:40]} ends after the clip ({length}); the clip's end is used")
        return TimeSpan(span.start_s, length_s)


def _clip_field(record: Record) -> _Field:
    return _first_field(record, "occur_clip", "vid_name")


def _first_field(record: Record, *names: str) -> _Field:
    """The first of these fields that has a value, else the first of them with None."""
    for name in names:
        value = record.values.get(name)
        if value is not None and value != "":
            return _Field(name, value)
    return _Field(names[0], None)


def read_boxes(value: object, clip_start_s: float, max_length_s: float) -> ParsedBoxes:
    """The boxes of a record, timed from the start of the episode. One is invalid if it is incomplete, has no area, or
    is of a frame after the clip, which lasts ``max_length_s`` or less."""
    if value is None:
        return ParsedBoxes((), {})
    if not isinstance(value, dict):
        return ParsedBoxes((), {}, 1)
    boxes: list[Box] = []
    valid: dict[str, list[object]] = {}
    num_invalid = 0
    for frame, items in value.items():
        if not isinstance(items, list):
            num_invalid += 1
            continue
        parsed = [(item, _parse_box(item, clip_start_s, max_length_s)) for item in items]
        valid[frame] = [item for item, box in parsed if box is not None]
        boxes += [box for _, box in parsed if box is not None]
        num_invalid += len(items) - len(valid[frame])
    return ParsedBoxes(tuple(boxes), valid, num_invalid)


def _parse_box(value: object, clip_start_s: float, max_length_s: float) -> Box | None:
    if not isinstance(value, dict):
        return None
    numbers = [as_finite(value.get(name)) for name in ("img_id", "left", "top", "width", "height")]
    integers = [int(number) for number in numbers if number is not None]
    if len(integers) < len(numbers) or not isinstance(value.get("label"), str):
        return None
    frame, left, top, width, height = integers
    time_s = (frame - 1) / TVQA_FRAMES_PER_S
    if not 0 <= time_s <= max_length_s + TOLERANCE_S or left < 0 or top < 0 or width < 1 or height < 1:
        return None
    return Box(clip_start_s + time_s, left, top, width, height, value["label"])
