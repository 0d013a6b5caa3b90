"""Questions as the records of other sets tell them, checked before anybody is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from longvideoagent.core.types import Question
from longvideoagent.datasets.gold import Gold, Sample, Span
from longvideoagent.datasets.longtvqa.questions import LEAST_OPTIONS, as_text
from longvideoagent.datasets.records import Problem, Record, RecordFile, finite

LETTERS = "ABCDEFGHIJ"
_LETTERED = re.compile(r"^\s*\(?([A-J])[.):]\s*(.*)$", re.DOTALL)


@dataclass
class RawQuestion:
    """What a record says of a question, before it is checked."""

    number: object
    text: object
    options: Sequence[object]
    right: int | None
    kind: object
    video: object
    spans: Sequence[Span] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with fields that the question can be asked without; an empty text is no fault."""


Reader = Callable[[Record], Iterator[RawQuestion]]


def read_drafts(files: Sequence[RecordFile], reader: Reader) -> tuple[list[Sample], list[Problem]]:
    """Read records by a set's reader; what cannot be asked is a problem and no sample."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for file in files:
        for record in file.records():
            for draft in reader(record):
                unusable = _why_unusable(draft, seen)
                if unusable is not None:
                    problems.append(record.problem(unusable[0], f"{unusable[1]}; question {draft.number} is left out"))
                    continue
                faults = {**draft.faults, "options": _why_ambiguous(draft)}
                named = f"question {draft.number}: "
                problems += [record.problem(name, named + told) for name, told in faults.items() if told]
                seen.add(str(draft.number))
                samples.append(_sample(draft))
        problems += file.problems
    if not samples and not problems:
        problems = [Problem(file.path, 0, "", "holds no question of this split; get it again") for file in files]
    return samples, problems


def _why_unusable(draft: RawQuestion, seen: set[str]) -> tuple[str, str] | None:
    """The field that is wrong and why; None where it can be asked."""
    if not isinstance(draft.text, str) or not draft.text.strip():
        return "question", "no question"
    empty = [number for number, option in enumerate(draft.options, 1) if not as_text(option)]
    if empty or len(draft.options) < LEAST_OPTIONS:
        return "options", f"option {empty[0] if empty else len(draft.options) + 1} is missing or empty"
    if not isinstance(draft.video, str) or not draft.video.strip():
        return "video", "no video"
    if draft.number is None or str(draft.number) in seen:
        return "id", f"{draft.number} is no id of its own"
    return None


def _why_ambiguous(draft: RawQuestion) -> str:
    """Empty where the right option stands once."""
    texts, right = [as_text(option) for option in draft.options], draft.right
    if right is None or texts.count(texts[right]) == 1:
        return ""
    return f"option {right + 1}, the right one, stands twice; only the one that the answer names counts as right"


def _sample(draft: RawQuestion) -> Sample:
    options = tuple(map(as_text, draft.options))
    start_s, end_s = draft.spans[0] if draft.spans else (None, None)
    gold = Gold(draft.right, None, start_s, end_s, more_spans=tuple(draft.spans[1:]))
    question = Question(str(draft.text).strip(), options, str(draft.number))
    return Sample(question, gold, str(draft.kind or "other"), str(draft.video))


def by_index(told: object, options: Sequence[object]) -> tuple[int | None, str]:
    """The option of that number, from 0, and what is wrong where there is none."""
    number = finite(told)
    return _found(int(number) if number is not None and number == int(number) else None, told, options)


def by_letter(told: object, options: Sequence[object]) -> tuple[int | None, str]:
    """The option of that letter, from A."""
    letter = str(told or "").strip().strip("().").upper()
    return _found(LETTERS.find(letter) if len(letter) == 1 else None, told, options)


def by_text(told: object, options: Sequence[object]) -> tuple[int | None, str]:
    """The option that says just that."""
    return _found(options.index(told) if told in options else None, told, options)


def _found(index: int | None, told: object, options: Sequence[object]) -> tuple[int | None, str]:
    if told is None or told == "":
        return None, ""  # answers are kept back
    if index is not None and 0 <= index < len(options):
        return index, ""
    return None, f"{str(told)[:40]!r} names none of {len(options)} options; mend it"


def listed(told: object) -> list[object]:
    """A list as it is; anything else, such as a text, is none and has no members."""
    return told if isinstance(told, list) else []


def unlettered(options: object) -> list[object]:
    """Options without the letters before them."""
    return [
        found[2] if isinstance(each, str) and (found := _LETTERED.match(each)) else each for each in listed(options)
    ]
