"""Gold answers. They live here, apart from ``types``, so that no agent is ever handed one."""

from __future__ import annotations

from dataclasses import dataclass

from longvideoagent.types import Question


@dataclass(frozen=True, slots=True)
class Box:
    """Where something is on the frame shown at ``time_s``; pixels, as in TVQA+."""

    time_s: float
    left: int
    top: int
    width: int
    height: int
    label: str


@dataclass(frozen=True, slots=True)
class Gold:
    """The right option and where in the video it can be found."""

    option_index: int
    clip: str
    start_s: float
    end_s: float
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A question with its gold answer and its kind (what is needed to answer it)."""

    question: Question
    gold: Gold
    kind: str
