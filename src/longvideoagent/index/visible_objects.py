"""What a detector of objects finds on one frame, and how that is worded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from longvideoagent.media.frames import Pixels

PERSON = "person"
MIN_PERSON_HEIGHT = 0.1
"""Of the frame's height: people who are smaller are not counted, since a detector finds only some of a crowd."""
SEEMS = "seems to show"
"""Begins the text of what is found: a detector is less sure than a reader of text."""
_COUNT = re.compile(r"\A(?:\d+|an?) ")
_IRREGULAR = {"knife": "knives", "mouse": "mice", "sheep": "sheep", "skis": "skis", "scissors": "scissors"}


class Box(NamedTuple):
    """A part of a frame, in fractions of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class VisibleObject:
    """Something on a frame."""

    label: str
    score: float
    """How sure the detector is, 0 to 1."""
    box: Box


class Detector(Protocol):
    """Finds objects on frames; ``models.object_detector`` has the one of ONNX."""

    @property
    def name(self) -> str:
        """The name of its weights."""

    @property
    def identity(self) -> str:
        """Changes with the weights and the code."""

    def detect(self, rgb: Pixels, /) -> Sequence[VisibleObject]:
        """The objects on a frame."""


def count_objects(objects: Iterable[VisibleObject]) -> dict[str, int]:
    """How many of each label are on a frame, by label. Of people, those of at least ``MIN_PERSON_HEIGHT`` count; if all
    are smaller, there is one."""
    counts: Counter[str] = Counter()
    for each in objects:
        is_small = each.label == PERSON and each.box.bottom - each.box.top < MIN_PERSON_HEIGHT
        counts[each.label] += not is_small
    return {label: max(1, count) for label, count in sorted(counts.items())}


def objects_text(counts: Mapping[str, int]) -> str:
    """Objects for people, such as ``seems to show 2 persons, a dog``; empty if there are none."""
    return f"{SEEMS} {', '.join(_counted(label, count) for label, count in counts.items())}" if counts else ""


def objects_of_text(text: str) -> list[str]:
    """The objects of a text by ``objects_text``, such as ``persons``, ``dog``; none of another text."""
    if not text.startswith(SEEMS):
        return []
    return [_COUNT.sub("", each) for each in text.removeprefix(SEEMS).lstrip(": ").split(", ")]


def _counted(label: str, count: int) -> str:
    if count > 1:
        return f"{count} {_plural(label)}"
    if _plural(label) == label and label.endswith("s"):
        return label
    return f"{'an' if label[:1].lower() in 'aeiou' else 'a'} {label}"


def _plural(label: str) -> str:
    first, _, last = label.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{first} {last}".strip()
