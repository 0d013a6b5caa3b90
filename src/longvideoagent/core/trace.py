"""The record of one question: its settings, its rounds, and why it ended.

Prompt, score, reward, report and page are functions of a ``Trace``; nothing parses printed text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from longvideoagent.core.actions import Action, AgentName, Answer
from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.core.outcome import Outcome, StopReason
from longvideoagent.core.types import (
    AgentFailure,
    ClipObservation,
    Evidence,
    Observation,
    Question,
    Reply,
    SystemNotice,
    TimelineResult,
    Usage,
    VisionResult,
)


@dataclass(frozen=True, slots=True)
class Round:
    """One reply of the master and its result."""

    reply: Reply
    thought: str
    action: Action
    context_text: str
    """The reply up to the end of its action: what stays in the master's context."""
    clip: str | None
    """Label of the current clip at the time of the reply."""
    observation: Observation | None = None


class Agents(StrEnum):
    """Which agents the master can call: the rows of the paper's ablation."""

    NONE = "none"
    """None: the master reads all subtitles, and answers."""
    GROUNDING = "grounding"
    """The grounding agent, which locates clips."""
    GROUNDING_VISION = "grounding+vision"
    """The grounding agent, and the vision agent, which describes frames."""

    @property
    def names(self) -> frozenset[AgentName]:
        """The agents as names."""
        match self:
            case Agents.NONE:
                return frozenset()
            case Agents.GROUNDING:
                return frozenset({"grounding"})
            case Agents.GROUNDING_VISION:
                return frozenset({"grounding", "vision"})
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """Limits of a rollout. ``None`` means no limit.

    Raises:
        ValueError: A count is below 1, or ``max_usd`` is not more than 0.
    """

    max_rounds: int = DEFAULT_MAX_ROUNDS
    """K, replies of the master (paper: 5)."""
    window: int = 1
    """w, clips in the evidence window."""
    agents: Agents = Agents.GROUNDING_VISION
    """Which agents the master can call."""
    max_calls: int | None = None
    """Calls of models, of all agents together."""
    max_tokens: int | None = None
    """Prompt and completion tokens, of all agents together."""
    max_usd: float | None = None
    """US dollars, of all agents together, by the prices given for their models."""
    parallel_looks: int = 1
    """Windows that vision looks at in one look, at the same time."""
    timeline_tools: bool = False
    """Whether the master can query the timeline and look at any span, which the paper's cannot."""

    def __post_init__(self) -> None:
        for name in ("max_rounds", "window", "max_calls", "max_tokens", "parallel_looks"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.max_usd is not None and not self.max_usd > 0:
            raise ValueError("max_usd must be more than 0")

    @property
    def has_grounding(self) -> bool:
        """Whether there is a grounding agent. Without it the whole video is the only clip."""
        return "grounding" in self.agents.names

    @property
    def has_vision(self) -> bool:
        """Whether there is a vision agent."""
        return "vision" in self.agents.names


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that happened to one question."""

    question: Question
    """The question that was asked."""
    settings: RolloutSettings
    """The limits of the rollout."""
    first_grounding: ClipObservation | SystemNotice | None = None
    """The clip located before the first round, or why there is none; None until then."""
    rounds: tuple[Round, ...] = ()
    """The replies of the master with their results, oldest first."""
    stop_reason: StopReason | None = None
    """Why the rollout ended; None while it runs."""
    option_index: int | None = None
    """Index of the option that the answer names; None for an open question and for an answer that names none."""
    cause: str = ""
    """What the stop reason means here, for a person; empty for an answer and an abstention."""
    must_answer: bool = False
    """Whether a budget allows only one more reply of the master."""
    failure: AgentFailure | None = None
    """The agent that failed and ended the rollout, or None."""
    warnings: tuple[str, ...] = ()
    """What was ignored or repaired on the way."""
    history: tuple[Trace, ...] = ()
    """Earlier questions of the same conversation, oldest first."""
    hint: str = ""
    """How to get a better answer, for a person; empty if there is nothing to say."""
    language: str = "en"
    """The language by whose rules the lines of the video are searched; see ``Timeline``."""

    @property
    def outcome(self) -> Outcome | None:
        """How the rollout ended; None while it runs."""
        return None if self.stop_reason is None else self.stop_reason.outcome

    @property
    def observations(self) -> Iterator[Observation]:
        """The first grounding, then the observation of each round."""
        if self.first_grounding is not None:
            yield self.first_grounding
        yield from (round_.observation for round_ in self.rounds if round_.observation is not None)

    @property
    def groundings(self) -> tuple[ClipObservation, ...]:
        """Every successful grounding, oldest first."""
        return tuple(each for each in self.observations if isinstance(each, ClipObservation))

    @property
    def visited_labels(self) -> tuple[str, ...]:
        """Labels of the clips that grounding has named, oldest first."""
        return tuple(each.clip.label for each in self.groundings)

    @property
    def current_observation(self) -> ClipObservation | None:
        """The latest successful grounding."""
        return self.groundings[-1] if self.groundings else None

    @property
    def rounds_left(self) -> int:
        """Replies that the master may still give."""
        return self.settings.max_rounds - len(self.rounds)

    @property
    def is_last_round(self) -> bool:
        """Whether rounds or budget allow only one more reply of the master."""
        return self.rounds_left == 1 or self.must_answer

    @property
    def answer_round(self) -> Round | None:
        """The round that answered, or None."""
        last = self.rounds[-1] if self.rounds else None
        return last if last is not None and isinstance(last.action, Answer) else None

    @property
    def answer(self) -> str:
        """The text of the option that the answer names, else the answer as given; empty without one.

        A spent rollout may have an answer too: the one that the master gave within its budget.
        """
        if self.option_index is not None:
            return self.question.options[self.option_index]
        last = self.answer_round
        return last.action.text if last and isinstance(last.action, Answer) else ""

    @property
    def confidence(self) -> float | None:
        """Confidence in the answer, 0 to 1, as the master states it; None without an answer or a statement."""
        return self.answer_round.reply.confidence if self.answer_round is not None else None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What the answer is based on: what the master cites, else all that the other agents returned."""
        if self.answer_round and self.answer_round.reply.evidence is not None:
            return self.answer_round.reply.evidence
        results = [each for each in self.observations if not isinstance(each, SystemNotice)]
        return tuple(dict.fromkeys(evidence for result in results for evidence in result.evidence))

    @property
    def usage(self) -> Usage:
        """The sum over all agents."""
        parts = [round_.reply.usage for round_ in self.rounds] + [each.usage for each in self.observations]
        if self.failure is not None:
            parts.append(self.failure.usage)
        return sum(parts, Usage())

    def usage_of(self, agent: AgentName) -> Usage:
        """Sum up the usage of one agent.

        Args:
            agent: ``master``, ``grounding`` or ``vision``.

        Returns:
            Its calls, tokens, images, seconds and dollars, with those of its failure.
        """
        if agent == "master":
            parts = [round_.reply.usage for round_ in self.rounds]
        else:
            parts = [each.usage for each in self.observations if observation_agent(each) == agent]
        if self.failure is not None and self.failure.agent == agent:
            parts.append(self.failure.usage)
        return sum(parts, Usage())


def observation_agent(observation: Observation) -> AgentName | None:
    """The agent whose usage an observation records; None for the timeline, which is not an agent. A notice without a
    result used no agent and costs nothing."""
    match observation:
        case VisionResult():
            return "vision"
        case TimelineResult():
            return None
        case ClipObservation() | SystemNotice():
            return "grounding"
        case _:
            assert_never(observation)
