"""The score of one finished question: its trace against its gold answer.

All metrics are sums over these scores, so a run of any size is measured without holding its traces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from longvideoagent.core.actions import ACTIONS, AGENT_NAMES, AgentName, Answer, spec_of
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Clip, ClipObservation, TimeSpan, Usage
from longvideoagent.datasets.gold import QUESTION_WORDS, Gold, Sample
from longvideoagent.evaluation.open_ended import OpenScore, score_open

_QUESTION_WORD = re.compile(rf"\b({'|'.join(QUESTION_WORDS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GroundingScore:
    """Whether grounding located the gold clip. Each field is None if the gold answer does not say."""

    first: bool | None = None
    last: bool | None = None
    any: bool | None = None
    window: bool | None = None
    """Whether the gold clip is in the last evidence window."""
    iou: float | None = None
    """Intersection over union, in time, of the last window and the gold span; None for a moment. The largest of several
    spans."""
    coverage: float | None = None
    """Fraction of the gold span inside the last window; 0 or 1 for a moment, a span without length. The largest of
    several spans."""


@dataclass(frozen=True, slots=True)
class SampleScore:
    """The score of one question of a run."""

    id: str
    video: str
    kind: str
    question_word: str
    """what, who, …; or other."""
    outcome: Outcome
    has_gold: bool
    """Whether there is a gold option, or the reference of an open-ended question, to compare with."""
    correct: bool
    is_invalid: bool
    """Answered with a text that names no option."""
    confidence: float | None
    """As stated with the answer; None also for a value that is not a probability."""
    grounding: GroundingScore
    num_rounds: int
    actions: Mapping[str, int]
    """Number of actions by ``count_name`` of the table of actions."""
    usage: Mapping[AgentName, Usage]
    """By agent."""
    cause: str = ""
    """Why it failed; empty if it did not."""
    is_open_ended: bool = False
    """Whether the question has no options."""
    open_score: OpenScore | None = None
    """Of an open-ended question with a reference."""

    @property
    def total_usage(self) -> Usage:
        """Of all agents."""
        return sum(self.usage.values(), Usage())


Scoring = Literal["option", "exact", "first_number"]
"""What names an option: any usual form; only ``a0``, ``a1``, …, as in the public evaluators; or the first number of the
answer, as in the reward of the public trainer."""


def score_sample(sample: Sample, trace: Trace, scoring: Scoring = "option") -> SampleScore:
    """Score a finished trace against its gold answer."""
    if scoring != "option":
        trace = _with_public_option(trace, scoring)
    question_word = _QUESTION_WORD.search(sample.question.text)
    score_ = score(trace, sample.gold.option_index)
    actions = Counter(spec_of(round_.action).count_name for round_ in trace.rounds)
    has_options, reference = bool(sample.question.options), sample.gold.reference
    open_score = None if has_options or reference is None else score_open(trace.answer, reference)
    return SampleScore(
        id=sample.question.id,
        video=sample.video,
        kind=sample.kind,
        question_word=question_word[1].lower() if question_word else "other",
        outcome=trace.outcome or Outcome.SPENT,
        has_gold=(sample.gold.option_index is not None) if has_options else open_score is not None,
        correct=score_.correct if open_score is None else open_score.correct,
        is_invalid=score_.answered and has_options and trace.option_index is None,
        confidence=_confidence(trace),
        grounding=_score_grounding(sample.gold, trace) if trace.settings.has_grounding else GroundingScore(),
        num_rounds=len(trace.rounds),
        actions={spec.count_name: actions[spec.count_name] for spec in ACTIONS},
        usage={agent: trace.usage_of(agent) for agent in AGENT_NAMES},
        cause=trace.cause if trace.outcome is Outcome.FAILED else "",
        is_open_ended=not has_options,
        open_score=open_score,
    )


def _with_public_option(trace: Trace, scoring: Scoring) -> Trace:
    """The trace with the option that the public code takes its answer for. The case of a label does not matter."""
    action = trace.answer_round.action if trace.answer_round else None
    label = action.text.strip().lower() if isinstance(action, Answer) else ""
    if scoring == "first_number":
        number = re.search(r"[0-9]+", label)
        label = f"a{number[0]}" if number else ""
    labels = [f"a{index}" for index in range(len(trace.question.options))]
    return replace(trace, option_index=labels.index(label) if label in labels else None)


def _confidence(trace: Trace) -> float | None:
    confidence = trace.confidence
    return confidence if confidence is not None and 0 <= confidence <= 1 else None


def _score_grounding(gold: Gold, trace: Trace) -> GroundingScore:
    visited = trace.visited_labels
    window = trace.current_observation.window if trace.current_observation else ()
    overlaps = [_overlap(window, span) for span in gold.spans]
    iou = max((overlap.iou for overlap in overlaps if overlap.iou is not None), default=None)
    coverage = max((overlap.coverage for overlap in overlaps), default=None)
    if gold.clip is None:
        return GroundingScore(iou=iou, coverage=coverage)
    return GroundingScore(
        first=visited[:1] == (gold.clip,) and isinstance(trace.first_grounding, ClipObservation),
        last=visited[-1:] == (gold.clip,),
        any=gold.clip in visited,
        window=any(clip.label == gold.clip for clip in window),
        iou=iou,
        coverage=coverage,
    )


class _Overlap(NamedTuple):
    iou: float | None
    """None for a moment."""
    coverage: float


def _overlap(window: Sequence[Clip], span: TimeSpan) -> _Overlap:
    """Of a window with a gold span."""
    is_moment = span.end_s <= span.start_s
    if not window:
        return _Overlap(None if is_moment else 0.0, 0.0)
    first_s, last_s = window[0].start_s, window[-1].end_s
    if is_moment:
        return _Overlap(None, float(first_s <= span.start_s <= last_s))
    shared_s = max(0.0, min(span.end_s, last_s) - max(span.start_s, first_s))
    union_s = (last_s - first_s) + (span.end_s - span.start_s) - shared_s
    return _Overlap(shared_s / union_s, shared_s / (span.end_s - span.start_s))
