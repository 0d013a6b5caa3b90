"""What a detector of objects finds on one frame, and how that is worded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from longvideoagent.media.frames import Pixels

PERSON = "person"
MIN_PERSON_HEIGHT = 0.1
"""Of the frame's height: people who are smaller are not counted, since a detector finds only some of a crowd."""


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

    @property
    def labels(self) -> tuple[str, ...]:
        """What it can see."""

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


def object_text(label: str, num_at_once: int) -> str:
    """An object for people, such as ``seems to show: person (2 at once)``: a detector is less sure than a reader of
    text."""
    return f"seems to show: {label}{f' ({num_at_once} at once)' if num_at_once > 1 else ''}"
