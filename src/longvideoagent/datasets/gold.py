"""Gold answers. They are separate from ``core.types``, so that no agent ever receives one."""

from __future__ import annotations

from dataclasses import dataclass

from longvideoagent.core.types import Question, TimeSpan

QUESTION_WORDS = ("what", "who", "whose", "where", "when", "why", "how", "which")
"""The kinds of questions if a data set does not state them: their first word."""


@dataclass(frozen=True, slots=True)
class Box:
    """A region of the frame at ``time_s``, in pixels, as in TVQA+."""

    time_s: float
    left: int
    top: int
    width: int
    height: int
    label: str


@dataclass(frozen=True, slots=True)
class Gold:
    """The correct option, and where in the video it can be seen if the data set states it."""

    option_index: int | None
    """None for open-ended questions and for splits whose answers are not published."""
    clip: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    """Seconds from the start of the video."""
    boxes: tuple[Box, ...] = ()
    answer: str = ""
    """The text of the answer, for open-ended questions."""
    more_spans: tuple[TimeSpan, ...] = ()
    """Further spans that show the answer as well as the first one."""

    @property
    def spans(self) -> tuple[TimeSpan, ...]:
        """All spans that show the answer."""
        first = () if self.start_s is None or self.end_s is None else (TimeSpan(self.start_s, self.end_s),)
        return (*first, *self.more_spans)


@dataclass(frozen=True, slots=True)
class Sample:
    """A question with its gold answer, its kind, and the name of its video."""

    question: Question
    gold: Gold
    kind: str
    video: str = ""
