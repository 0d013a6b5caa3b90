"""The view model of a trace: what the HTML page, the evaluation report and the terminal show, in the order shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

from longvideoagent.agents.hint import MAX_GUESS_CONFIDENCE
from longvideoagent.core.actions import action_argument, spec_of
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.protocol import render_located
from longvideoagent.core.trace import Round, Trace
from longvideoagent.core.types import (
    Candidate,
    Clip,
    ClipObservation,
    Evidence,
    Observation,
    Question,
    SystemNotice,
    TimelineResult,
    Usage,
    VisionResult,
)

FRAMES_PER_LOOK = 4
MIN_SHOWN_CONFIDENCE = 0.005
"""An answer below it is called a guess: its confidence would be shown as 0.00."""


@dataclass(frozen=True, slots=True)
class ObservationView:
    """What an agent or the loop returned to the master."""

    kind: Literal["grounding", "vision", "timeline", "notice"]
    title: str
    text: str
    """As the master reads it, without tags."""
    seconds: float
    clip: Clip | None = None
    """The clip located."""
    window: tuple[Clip, ...] = ()
    """The evidence window around that clip."""
    candidates: tuple[Candidate, ...] = ()
    """Further clips that grounding considered, most likely first."""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    frame_times_s: tuple[float, ...] = ()
    """Up to ``FRAMES_PER_LOOK`` of the frames that vision cites, evenly spread."""


@dataclass(frozen=True, slots=True)
class RoundView:
    """One reply of the master and its observation."""

    number: int
    """From 1."""
    action: str
    """The action's name in the table of actions."""
    label: str
    argument: str
    thought: str
    clip: str | None
    seconds: float
    """Of the reply; the observation has its own."""
    observation: ObservationView | None


@dataclass(frozen=True, slots=True)
class TraceView:
    """A whole trace."""

    question: Question
    answer: str
    option_index: int | None
    confidence: float | None
    outcome: str
    """``stopped`` for a rollout that did not end by itself."""
    cause: str
    warnings: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    first_grounding: ObservationView | None
    rounds: tuple[RoundView, ...]
    usage: Usage

    @property
    def steps(self) -> Iterator[RoundView | ObservationView]:
        """First grounding, rounds and their observations, in the order in which they happened."""
        if self.first_grounding is not None:
            yield self.first_grounding
        for round_ in self.rounds:
            yield round_
            if round_.observation is not None:
                yield round_.observation

    @property
    def is_guess(self) -> bool:
        """Whether there is an answer without any confidence in it."""
        return bool(self.answer) and self.confidence is not None and self.confidence < MIN_SHOWN_CONFIDENCE

    @property
    def is_unsure(self) -> bool:
        """Whether there is an answer that may be a guess."""
        return bool(self.answer) and self.confidence is not None and self.confidence <= MAX_GUESS_CONFIDENCE

    @property
    def remark(self) -> str:
        """The outcome, or that an answer is not sure: as the page says it."""
        if self.outcome != Outcome.ANSWERED or not self.is_unsure:
            return self.outcome
        if self.is_guess:
            return "a guess" if self.evidence else "a guess: nothing in the video supports it"
        return "not sure"

    @property
    def frame_times_s(self) -> frozenset[float]:
        """Times of the frames to show: those of the looks, and those that the answer cites."""
        observations = (step for step in self.steps if isinstance(step, ObservationView))
        shown = {time_s for observation in observations for time_s in observation.frame_times_s}
        return frozenset(shown | {each.time_s for each in self.evidence if each.kind == "frame"})


def shown_seconds(view: TraceView, digits: int) -> float:
    """The seconds of all steps, each rounded as it is shown, so that what a reader sees adds up to this."""
    return round(sum(round(step.seconds, digits) for step in view.steps), digits)


def view_trace(trace: Trace) -> TraceView:
    """The view of a trace, finished or not."""
    return TraceView(
        question=trace.question,
        answer=trace.answer,
        option_index=trace.option_index,
        confidence=trace.confidence,
        outcome=str(trace.outcome or "stopped"),
        cause=trace.cause,
        warnings=trace.warnings,
        evidence=trace.evidence,
        first_grounding=view_observation(trace.first_grounding) if trace.first_grounding else None,
        rounds=tuple(_view_round(number, each) for number, each in enumerate(trace.rounds, 1)),
        usage=trace.usage,
    )


def _view_round(number: int, round_: Round) -> RoundView:
    spec = spec_of(round_.action)
    return RoundView(
        number=number,
        action=spec.name,
        label=spec.label,
        argument=action_argument(round_.action),
        thought=round_.thought,
        clip=round_.clip,
        seconds=round_.reply.usage.seconds,
        observation=view_observation(round_.observation) if round_.observation else None,
    )


def view_observation(observation: Observation) -> ObservationView:
    """The view of what came back to the master."""
    match observation:
        case ClipObservation():
            return ObservationView(
                kind="grounding",
                title="The grounding agent points at",
                text=render_located(observation),
                seconds=observation.usage.seconds,
                clip=observation.clip,
                window=observation.window,
                candidates=observation.candidates,
                reason=observation.reason,
                evidence=observation.evidence,
            )
        case VisionResult():
            return ObservationView(
                kind="vision",
                title="The vision agent saw",
                text=observation.text,
                seconds=observation.usage.seconds,
                evidence=observation.evidence,
                frame_times_s=frame_times(observation),
            )
        case TimelineResult():
            return ObservationView(
                kind="timeline",
                title="The timeline has",
                text=observation.text,
                seconds=observation.usage.seconds,
                evidence=observation.evidence,
            )
        case SystemNotice():
            return ObservationView(
                kind="notice", title="Notice", text=observation.text, seconds=observation.usage.seconds
            )
        case _:
            assert_never(observation)


def frame_times(result: VisionResult) -> tuple[float, ...]:
    """Times of up to ``FRAMES_PER_LOOK`` frames that a vision result cites, evenly spread, in seconds."""
    times = sorted({each.time_s for each in result.evidence})
    step = max(1, -(-len(times) // FRAMES_PER_LOOK))
    return tuple(times[::step])
