"""Gold answers. They live here, apart from ``types``, so that no agent is ever handed one."""

from __future__ import annotations

from dataclasses import dataclass

from longvideoagent.core.types import Question

QUESTION_WORDS = ("what", "who", "whose", "where", "when", "why", "how", "which")
"""What questions are told apart by where their set names no kinds."""

Span = tuple[float, float]
"""Where it begins and where it ends, in seconds; both are the same for a moment."""


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
    """The right option and where in the video it can be found, as far as the data tell."""

    option_index: int | None
    """None for open questions and for splits whose answers are kept back."""
    clip: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    """Seconds from the start of the episode."""
    boxes: tuple[Box, ...] = ()
    answer: str = ""
    """The answer's text, for open questions."""
    more_spans: tuple[Span, ...] = ()
    """Further spans of the episode that show it as well as the first does."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """All spans that show it."""
        first = () if self.start_s is None or self.end_s is None else ((self.start_s, self.end_s),)
        return (*first, *self.more_spans)


@dataclass(frozen=True, slots=True)
class Sample:
    """A question with its gold answer, its kind, and the name of the video it is about."""

    question: Question
    gold: Gold
    kind: str
    video: str = ""
