"""The nouns of the system: frozen data and nothing else.

Every value here can be pickled, compared and written as JSON. None of them has a field for gold
answers, so an agent that is handed these types cannot see one. Times are seconds from the start of
the video unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypedDict

AgentName = Literal["master", "grounding", "vision"]


class Message(TypedDict):
    """One chat message."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. With no options it is an open question."""

    text: str
    options: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class Subtitle:
    """One line of text with its span. A speaker, where known, leads the text: ``Mira: Hello``."""

    start_s: float
    end_s: float
    text: str
    source: Literal["subtitle", "screen"] = "subtitle"
    """``screen`` where the text was read off frames because the video has no subtitles."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A labelled span of the video and the lines that start in it."""

    label: str
    start_s: float
    end_s: float
    subtitles: tuple[Subtitle, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """A long video as ordered clips that touch and do not overlap; at least one clip."""

    clips: tuple[Clip, ...]

    def __post_init__(self) -> None:
        if not self.clips:
            raise ValueError("a timeline needs at least one clip")
        if len({clip.label for clip in self.clips}) != len(self.clips):
            raise ValueError("two clips of a timeline share a label")

    @property
    def duration_s(self) -> float:
        """The end of the last clip."""
        return self.clips[-1].end_s

    @property
    def subtitles(self) -> tuple[Subtitle, ...]:
        """Every line of the video, in order."""
        return tuple(line for clip in self.clips for line in clip.subtitles)

    def find(self, label: str) -> Clip | None:
        """The clip of that label, or None. Labels are compared exactly and never used as paths."""
        return next((clip for clip in self.clips if clip.label == label), None)

    def at(self, time_s: float) -> Clip:
        """The clip playing at ``time_s``; times outside the video give the nearest clip."""
        return next((clip for clip in self.clips if time_s < clip.end_s), self.clips[-1])

    def window(self, clip: Clip, width: int) -> tuple[Clip, ...]:
        """``width`` neighbouring clips around ``clip`` (paper: evidence window), fewer only where
        the video has fewer. The later neighbour comes first when the width is even."""
        width = min(width, len(self.clips))
        first = self.clips.index(clip) - (width - 1) // 2
        first = max(0, min(first, len(self.clips) - width))
        return self.clips[first : first + width]

    def whole(self) -> Clip:
        """The entire video as one clip, for runs without a grounding agent."""
        return Clip("whole", self.clips[0].start_s, self.duration_s, self.subtitles)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something a person can seek to: a line or what one frame shows."""

    clip: str
    start_s: float
    end_s: float
    kind: Literal["subtitle", "frame"]
    time_s: float
    text: str

    @classmethod
    def of_line(cls, clip: str, line: Subtitle) -> Evidence:
        """A line as evidence; text read off the screen counts as frame."""
        kind: Literal["subtitle", "frame"] = "subtitle" if line.source == "subtitle" else "frame"
        return cls(clip, line.start_s, line.end_s, kind, line.start_s, line.text)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call, or a sum of calls, has cost."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    images: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.images + other.images,
            self.seconds + other.seconds,
        )


# --- actions: what a master's reply asks for -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the vision agent about the current clip."""

    query: str


@dataclass(frozen=True, slots=True)
class Relocate:
    """Ask the grounding agent for another clip. The request may be empty."""

    request: str


@dataclass(frozen=True, slots=True)
class Answer:
    """End the loop. An empty text abstains."""

    text: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """A reply without a usable action. The round is spent."""

    reason: str


Action = Look | Relocate | Answer | Invalid


# --- results: what an agent returns --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """One utterance of the master, in the tag language."""

    text: str
    reasoning: str = ""
    """Thought that the server returned apart from the text; empty where it is inside the text."""
    confidence: float | None = None
    """0 to 1, how sure the master is of an answer; None where it does not say."""
    evidence: tuple[Evidence, ...] = ()
    """What the master rests an answer on; empty leaves it to what the other agents returned."""
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Grounded:
    """The clip the grounding agent points at; label None where it found nothing."""

    label: str | None
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the vision agent saw, as text and as evidence with times."""

    text: str
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Failed:
    """An agent that is down. Never an answer."""

    agent: AgentName
    cause: str
    usage: Usage = Usage()


Result = Reply | Grounded | Seen | Failed


# --- what happened -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Located:
    """Observation: the current clip has changed. ``clips`` is the evidence window around it."""

    clip: Clip
    clips: tuple[Clip, ...]
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Notice:
    """Observation: something the loop tells the master, such as a label that does not exist."""

    text: str
    usage: Usage = Usage()


Observation = Located | Seen | Notice


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
class Settings:
    """What bounds a rollout. ``None`` means unbounded."""

    max_rounds: int = 5
    """K, replies of the master (paper: 5)."""
    window: int = 1
    """w, clips in the evidence window."""
    agents: Agents = Agents.GROUNDING_VISION
    max_calls: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_rounds", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")

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
    settings: Settings
    first: Located | Notice | None = None
    rounds: tuple[Round, ...] = ()
    outcome: Outcome | None = None
    option_index: int | None = None
    """The option that the answer names; None for open questions and answers that name none."""
    cause: str = ""
    """Why the rollout was spent or failed; empty otherwise."""
    failure: Failed | None = None
    warnings: tuple[str, ...] = field(default=())
    """What was ignored or repaired on the way to an answer."""

    @property
    def observations(self) -> Iterator[Observation]:
        """First grounding, then what each round brought."""
        if self.first is not None:
            yield self.first
        yield from (each.observation for each in self.rounds if each.observation is not None)

    @property
    def located(self) -> tuple[Located, ...]:
        """Every successful grounding, oldest first."""
        return tuple(seen for seen in self.observations if isinstance(seen, Located))

    @property
    def visited(self) -> tuple[str, ...]:
        """Labels of the clips grounding has pointed at, oldest first."""
        return tuple(each.clip.label for each in self.located)

    @property
    def current(self) -> Located | None:
        """The latest successful grounding."""
        return self.located[-1] if self.located else None

    @property
    def rounds_left(self) -> int:
        """Replies the master may still give."""
        return self.settings.max_rounds - len(self.rounds)

    @property
    def final(self) -> Round | None:
        """The round that answered, or None."""
        last = self.rounds[-1] if self.rounds else None
        return last if last is not None and isinstance(last.action, Answer) else None

    @property
    def answer(self) -> str:
        """The option's text where the answer names one, else the answer as given; empty where there
        is none."""
        if self.option_index is not None:
            return self.question.options[self.option_index]
        final = self.final
        return final.action.text if final and isinstance(final.action, Answer) else ""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What the answer rests on: the master's own choice, else all that was returned."""
        if self.final and self.final.reply.evidence:
            return self.final.reply.evidence
        found = [each for seen in self.observations if not isinstance(seen, Notice) for each in seen.evidence]
        return tuple(dict.fromkeys(found))

    @property
    def usage(self) -> Usage:
        """The sum over all agents."""
        parts = [each.reply.usage for each in self.rounds] + [seen.usage for seen in self.observations]
        if self.failure is not None:
            parts.append(self.failure.usage)
        return sum(parts, Usage())
