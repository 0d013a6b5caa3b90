"""Gold answers. They are separate from ``core.types``, so that no agent ever receives one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from longvideoagent.core.timefmt import format_timestamp
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


OpenMetric = Literal["exact_match", "time", "set_f1", "order"]
OPEN_METRICS: tuple[OpenMetric, ...] = get_args(OpenMetric)


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference answer of an open-ended question, and the metric that compares an answer with it."""

    metric: OpenMetric
    values: tuple[str, ...] = ()
    """``exact_match``: the right values, each as good as the others; ``set_f1`` and ``order``: all items."""
    wrong: tuple[str, ...] = ()
    """Values that are known to be wrong, so that an answer that names several is not correct by chance."""
    time_s: float | None = None
    """``time``: the time, or the duration, in seconds."""
    tolerance_s: float = 0.0
    """``time``: how far an answer may be from it."""

    @property
    def text(self) -> str:
        """For people: the first of the right values, all items, or the time."""
        if self.metric == "time":
            return format_timestamp(self.time_s or 0.0)
        return self.values[0] if self.metric == "exact_match" else ", ".join(self.values)


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
    reference: Reference | None = None
    """By which an answer to the question without options is scored; None if it cannot be."""

    @property
    def is_known(self) -> bool:
        """Whether an answer can be scored."""
        return self.option_index is not None or self.reference is not None

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
