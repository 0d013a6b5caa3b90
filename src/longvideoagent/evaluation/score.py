"""One finished question in numbers: what its trace is worth against its gold answer.

All metrics are sums over these, so a run of any size is measured without holding its traces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from longvideoagent.core.actions import AgentName, Invalid, Look, Relocate
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.scoring import score
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Clip, ClipObservation, Usage, VisionResult
from longvideoagent.datasets.gold import QUESTION_WORDS, Gold, Sample

ROLES: tuple[AgentName, ...] = ("master", "grounding", "vision")
_WORD = re.compile(rf"\b({'|'.join(QUESTION_WORDS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GroundingScore:
    """Whether the clips that grounding pointed at are right. Each is None where it cannot be told."""

    first: bool | None = None
    last: bool | None = None
    any: bool | None = None
    window: bool | None = None
    """Whether the gold clip is in the last evidence window."""
    iou: float | None = None
    """Overlap of the last window with the gold span, intersection over union of time; None of a moment. Of several
    spans the largest."""
    covered: float | None = None
    """Share of the gold span that lies in the last window; a moment, a span without length, does or does not. Of
    several spans the largest."""


@dataclass(frozen=True, slots=True)
class SampleScore:
    """One question of a run, judged."""

    id: str
    video: str
    kind: str
    word: str
    """The question word: what, who, …; other where there is none."""
    outcome: Outcome
    is_known: bool
    """Whether there is a gold option to judge by."""
    is_correct: bool
    is_invalid: bool
    """Answered, but with a text that names no option."""
    confidence: float | None
    """As stated with the answer; what is no probability counts as none."""
    grounding: GroundingScore
    rounds: int
    looks: int
    relocations: int
    invalid_rounds: int
    usage: tuple[Usage, Usage, Usage]
    """Of master, grounding and vision."""
    cause: str = ""
    """Why it failed; empty where it did not."""

    @property
    def spent(self) -> Usage:
        """Of all roles."""
        return sum(self.usage, Usage())


def score_sample(sample: Sample, trace: Trace) -> SampleScore:
    """Judge a finished trace against its gold answer."""
    found = _WORD.search(sample.question.text)
    scored = score(trace, sample.gold.option_index)
    actions = [type(said.action) for said in trace.rounds]
    has_options = bool(sample.question.options)
    return SampleScore(
        id=sample.question.id,
        video=sample.video,
        kind=sample.kind,
        word=found[1].lower() if found else "other",
        outcome=trace.outcome or Outcome.SPENT,
        is_known=sample.gold.option_index is not None,
        is_correct=scored.correct,
        is_invalid=scored.answered and has_options and trace.option_index is None,
        confidence=_confidence(trace),
        grounding=_grounding(sample.gold, trace) if trace.settings.grounding else GroundingScore(),
        rounds=len(trace.rounds),
        looks=actions.count(Look),
        relocations=actions.count(Relocate),
        invalid_rounds=actions.count(Invalid),
        usage=(_used(trace, "master"), _used(trace, "grounding"), _used(trace, "vision")),
        cause=trace.cause if trace.outcome is Outcome.FAILED else "",
    )


def _confidence(trace: Trace) -> float | None:
    told = trace.answer_round.reply.confidence if trace.answer_round else None
    return told if told is not None and 0 <= told <= 1 else None


def _grounding(gold: Gold, trace: Trace) -> GroundingScore:
    visited = trace.visited
    window = trace.current.clips if trace.current else ()
    iou = covered = None
    if gold.spans:  # any of them will do; that one is a moment takes no iou from the others
        ious, shares = zip(*(_overlap(window, *span) for span in gold.spans), strict=True)
        iou, covered = max((told for told in ious if told is not None), default=None), max(shares)
    if gold.clip is None:
        return GroundingScore(iou=iou, covered=covered)
    return GroundingScore(
        first=visited[:1] == (gold.clip,) and isinstance(trace.first_grounding, ClipObservation),
        last=visited[-1:] == (gold.clip,),
        any=gold.clip in visited,
        window=any(clip.label == gold.clip for clip in window),
        iou=iou,
        covered=covered,
    )


def _overlap(window: Sequence[Clip], start_s: float, end_s: float) -> tuple[float | None, float]:
    """Intersection over union, and share of the gold span covered."""
    is_moment = end_s <= start_s
    if not window:
        return None if is_moment else 0.0, 0.0
    first_s, last_s = window[0].start_s, window[-1].end_s
    if is_moment:
        return None, float(first_s <= start_s <= last_s)
    shared_s = max(0.0, min(end_s, last_s) - max(start_s, first_s))
    union_s = (last_s - first_s) + (end_s - start_s) - shared_s
    return shared_s / union_s, shared_s / (end_s - start_s)


def _used(trace: Trace, role: AgentName) -> Usage:
    parts = [trace.failure.usage] if trace.failure is not None and trace.failure.agent == role else []
    if role == "master":
        parts += [said.reply.usage for said in trace.rounds]
    else:
        is_vision = role == "vision"
        parts += [each.usage for each in trace.observations if isinstance(each, VisionResult) is is_vision]
    return sum(parts, Usage())
