"""What happened to one question: its settings, its rounds, its outcome.

Prompt, score, reward, report and page are functions of a ``Trace``; nothing parses printed text back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from longvideoagent.core.types import (
    Action,
    AgentFailure,
    Answer,
    ClipObservation,
    Evidence,
    Observation,
    Question,
    Reply,
    SystemNotice,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Round:
    """One reply of the master and what came of it."""

    reply: Reply
    thought: str
    action: Action
    text: str
    """The reply up to the end of its action: what stays in the master's context."""
    clip: str | None
    """Label of the clip that was current when the reply was given."""
    observation: Observation | None = None


class Outcome(StrEnum):
    """How a rollout ended."""

    ANSWERED = "answered"
    ABSTAINED = "abstained"
    SPENT = "spent"
    FAILED = "failed"


class Agents(StrEnum):
    """Which agents the master can call: the rows of the paper's ablation."""

    NONE = "none"
    GROUNDING = "grounding"
    GROUNDING_VISION = "grounding+vision"


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """What bounds a rollout. ``None`` means unbounded."""

    max_rounds: int = 5
    """K, replies of the master (paper: 5)."""
    window: int = 1
    """w, clips in the evidence window."""
    agents: Agents = Agents.GROUNDING_VISION
    max_calls: int | None = None
    max_tokens: int | None = None
    max_usd: float | None = None
    parallel_looks: int = 1
    """Candidate clips that vision looks at in one look, at the same time."""

    def __post_init__(self) -> None:
        for name in ("max_rounds", "window", "max_calls", "max_tokens", "parallel_looks"):
            bound = getattr(self, name)
            if bound is not None and bound < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.max_usd is not None and not self.max_usd > 0:
            raise ValueError("max_usd must be more than 0")

    @property
    def grounding(self) -> bool:
        """Without it the whole video is the one clip and relocating is refused."""
        return self.agents is not Agents.NONE

    @property
    def vision(self) -> bool:
        """Without it looking is refused."""
        return self.agents is Agents.GROUNDING_VISION


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that happened to one question; prompt, score, reward and report are functions of
    it. ``outcome`` is None while the rollout runs."""

    question: Question
    settings: RolloutSettings
    first_grounding: ClipObservation | SystemNotice | None = None
    rounds: tuple[Round, ...] = ()
    outcome: Outcome | None = None
    option_index: int | None = None
    """The option that the answer names; None for open questions and answers that name none."""
    cause: str = ""
    """Why the rollout was spent or failed; empty otherwise."""
    must_answer: bool = False
    """Whether a budget leaves the master one more reply only."""
    failure: AgentFailure | None = None
    warnings: tuple[str, ...] = ()
    """What was ignored or repaired on the way to an answer."""

    @property
    def observations(self) -> Iterator[Observation]:
        """First grounding, then what each round brought."""
        if self.first_grounding is not None:
            yield self.first_grounding
        yield from (each.observation for each in self.rounds if each.observation is not None)

    @property
    def groundings(self) -> tuple[ClipObservation, ...]:
        """Every successful grounding, oldest first."""
        return tuple(each for each in self.observations if isinstance(each, ClipObservation))

    @property
    def visited(self) -> tuple[str, ...]:
        """Labels of the clips grounding has pointed at, oldest first."""
        return tuple(each.clip.label for each in self.groundings)

    @property
    def current(self) -> ClipObservation | None:
        """The latest successful grounding."""
        return self.groundings[-1] if self.groundings else None

    @property
    def rounds_left(self) -> int:
        """Replies the master may still give."""
        return self.settings.max_rounds - len(self.rounds)

    @property
    def is_last_round(self) -> bool:
        """Whether the master's next reply is its last, for want of rounds or of budget."""
        return self.rounds_left == 1 or self.must_answer

    @property
    def answer_round(self) -> Round | None:
        """The round that answered, or None."""
        last = self.rounds[-1] if self.rounds else None
        return last if last is not None and isinstance(last.action, Answer) else None

    @property
    def answer(self) -> str:
        """The option's text where the answer names one, else the answer as given; empty where there
        is none. A rollout that was spent may have one too: what it could tell within its budget."""
        if self.option_index is not None:
            return self.question.options[self.option_index]
        final = self.answer_round
        return final.action.text if final and isinstance(final.action, Answer) else ""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What the answer rests on: what the master says, else all that the others returned."""
        if self.answer_round and self.answer_round.reply.evidence is not None:
            return self.answer_round.reply.evidence
        told = [observed for observed in self.observations if not isinstance(observed, SystemNotice)]
        found = [each for observed in told for each in observed.evidence]
        return tuple(dict.fromkeys(found))

    @property
    def usage(self) -> Usage:
        """The sum over all agents."""
        parts = [each.reply.usage for each in self.rounds] + [observed.usage for observed in self.observations]
        if self.failure is not None:
            parts.append(self.failure.usage)
        return sum(parts, Usage())
