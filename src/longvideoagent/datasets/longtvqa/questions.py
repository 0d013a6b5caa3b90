"""Questions and their gold answers as LongTVQA and TVQA write them, checked record by record.

Fields are those of the data set cards (qid, q, a0..a4, answer, ts, episode_name, occur_clip, bbox) and TVQA's own
(answer_idx, vid_name).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from longvideoagent.core.types import Question
from longvideoagent.datasets.gold import QUESTION_WORDS, Box, Gold, Sample
from longvideoagent.datasets.longtvqa.clips import ClipName, Episodes
from longvideoagent.datasets.records import Problem, Record, RecordFile, finite
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S

OPTIONS = tuple(f"a{index}" for index in range(5))
LEAST_OPTIONS = 2
NO_TIMES = "NaN-NaN"
"""How TVQA writes that a question has no times."""
BROKEN_BOXES = (
    "a box lacks img_id, left, top, width, height or label, has no area or is of a frame after its clip; "
    "none of its boxes is used"
)
OVERHANG_S = 0.5
"""How far a span or a box may be past its clip: lengths and times were rounded apart."""
_SPAN = re.compile(r"\s*([\d.]+|nan)\s*-\s*([\d.]+|nan)\s*", re.IGNORECASE)


def read_questions(file: RecordFile, episodes: Episodes, problems: list[Problem]) -> Iterator[tuple[Sample, Record]]:
    """Every question that can be asked and the record it was read from; what is wrong with a record is added to
    ``problems``. Times are moved to the episode's axis. Raises DataError where the file breaks off."""
    seen: dict[str, int] = {}
    for record in file.records():
        reader = _Reader(record, episodes, problems)
        sample = reader.sample()
        if sample is None:
            continue
        if sample.question.id in seen:
            first = file.place_of(seen[sample.question.id])
            reader.complain("qid", f"{sample.question.id} stands at {first} already; the record is left out")
            continue
        seen[sample.question.id] = record.index
        yield sample, record
    problems += file.problems


def as_text(told: object) -> str:
    """An option as text, numbers among them; empty for what is none."""
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return told.strip() if isinstance(told, str) else str(told) if is_number else ""


class _UnusableError(Exception):
    """A record that cannot be asked: the field, and what is wrong with it."""


@dataclass(slots=True)
class _Reader:
    """Reads one record, and tells what is wrong with it."""

    record: Record
    episodes: Episodes
    problems: list[Problem]

    def complain(self, name: str, told: str) -> None:
        self.problems.append(self.record.problem(name, told))

    def sample(self) -> Sample | None:
        """The question and its gold; None where it cannot be asked."""
        try:
            question, (name, clip) = self.question(), self.clip()
        except _UnusableError as error:
            self.complain(error.args[0], f"{error.args[1]}; the record is left out")
            return None
        right = self.answer(question)
        if right is not None and question.options.count(question.options[right]) > 1:
            self.complain("options", f"a{right}, the right one, stands twice; only a{right} counts as right")
        video, told = clip.episode_name, self.record.values.get("episode_name")
        if told not in (None, "", video):
            self.complain("episode_name", f"{str(told)[:40]!r}, but its clip is of {video}, which is taken")
        return Sample(question, self.gold(right, name), self.kind(question), video)

    def kind(self, question: Question) -> str:
        told = self.record.values.get("kind")
        first = question.text.split()[0].lower().strip("'\"")
        return told if isinstance(told, str) and told else first if first in QUESTION_WORDS else "other"

    def question(self) -> Question:
        values = self.record.values
        text, number = values.get("q"), values.get("qid")
        told = [name for name in OPTIONS if name in values]
        options = [as_text(values[name]) for name in told]
        if not isinstance(text, str) or not text.strip():
            raise _UnusableError("q", "no question")
        is_gapless = tuple(told) == OPTIONS[: len(told)]  # else the answer would name another option
        if not is_gapless or len(options) < LEAST_OPTIONS or not all(options):
            empty = [name for name in OPTIONS[: max(LEAST_OPTIONS, len(told))] if not as_text(values.get(name))]
            raise _UnusableError(empty[0], "the option is missing or empty")
        if number is None or isinstance(number, dict | list):
            raise _UnusableError("qid", "no id")
        return Question(text.strip(), tuple(options), str(number))

    def told(self, *names: str) -> tuple[str, Any]:
        """The first of these fields that tells something, and what; the first of them where none does."""
        values = self.record.values
        return next(((name, values[name]) for name in names if values.get(name) not in (None, "")), (names[0], None))

    def clip(self) -> tuple[str, ClipName]:
        field, name = self.told("occur_clip", "vid_name")
        clip = ClipName.parse(name)
        if clip is None:
            raise _UnusableError(field, f"{str(name)[:80]!r} is no clip's name")
        if name not in self.episodes.starts_s:
            raise _UnusableError(field, f"{name} has neither subtitles nor a length here")
        return name, clip

    def gold(self, right: int | None, clip: str) -> Gold:
        span, clip_start_s = self.span(clip), self.episodes.starts_s[clip]
        if span is None:
            return Gold(right, clip)
        return Gold(right, clip, clip_start_s + span[0], clip_start_s + span[1])

    def answer(self, question: Question) -> int | None:
        """The right option's index; None in a split whose answers are kept back."""
        field, told = self.told("answer", "answer_idx")
        if told is None:
            return None
        count = len(question.options)
        number = OPTIONS.index(told) if told in OPTIONS else None
        if number is None and (found := re.fullmatch(r"a?(\d{1,3})", str(told).strip(), re.IGNORECASE)):
            number = int(found[1])
        if number is None or number >= count:
            self.complain(field, f"{str(told)[:40]!r} is none of a0 to a{count - 1}; the question has no answer")
            return None
        return number

    def span(self, clip: str) -> tuple[float, float] | None:
        """Seconds within the clip; None where there are none."""
        told = self.record.values.get("ts")
        if told is None or told in ("", NO_TIMES):
            return None
        span = read_span(told)
        if span is None:
            self.complain("ts", f"{str(told)[:40]} is no span of seconds; the question has no times")
            return None
        length_s = self.episodes.lengths_s[clip]
        lasts = f"{length_s:.1f} s{'' if clip in self.episodes.known_durations_s else ', a guess'}"
        if span[1] <= length_s:
            return span
        if span[0] > length_s:
            self.complain("ts", f"{str(told)[:40]} begins after the clip ends ({lasts}); it has no times")
            return None
        if span[1] > length_s + OVERHANG_S:
            self.complain("ts", f"{str(told)[:40]} ends after the clip ({lasts}), whose end is taken")
        return span[0], length_s


def read_span(told: object) -> tuple[float, float] | None:
    """Two seconds, as ``[48.6, 60.0]`` or ``"48.62-60.02"``; None where there are no such, as in "NaN-NaN"."""
    if isinstance(told, str) and (found := _SPAN.fullmatch(told)):
        told = [found[1], found[2]]
    if not isinstance(told, list) or len(told) != 2:
        return None
    start_s, end_s = finite(told[0]), finite(told[1])
    return (start_s, end_s) if start_s is not None and end_s is not None and 0 <= start_s <= end_s else None


def read_boxes(told: object, clip_start_s: float, length_s: float) -> tuple[Box, ...] | None:
    """The boxes of a record, on the episode's axis; None where one of them is not whole, has no area or is of a frame
    after the clip, which lasts ``length_s``."""
    if told is None:
        return ()
    if not isinstance(told, dict) or not all(isinstance(boxes, list) for boxes in told.values()):
        return None
    made = [_box(box, clip_start_s, length_s) for boxes in told.values() for box in boxes]
    whole = tuple(box for box in made if box is not None)
    return whole if len(whole) == len(made) else None


def _box(told: object, clip_start_s: float, length_s: float) -> Box | None:
    if not isinstance(told, dict):
        return None
    numbers = [finite(told.get(name)) for name in ("img_id", "left", "top", "width", "height")]
    kept = [int(number) for number in numbers if number is not None]
    if len(kept) < len(numbers) or not isinstance(told.get("label"), str):
        return None
    frame, left, top, width, height = kept
    time_s = (frame - 1) / TVQA_FRAMES_PER_S
    if not 0 <= time_s <= length_s + OVERHANG_S or left < 0 or top < 0 or width < 1 or height < 1:
        return None
    return Box(clip_start_s + time_s, left, top, width, height, told["label"])
