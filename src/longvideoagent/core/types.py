"""The nouns of the system: frozen data and nothing else.

Every value here can be pickled, compared and written as JSON. None of them has a field for gold
answers, so an agent that is handed these types cannot see one. Times are seconds from the start of
the video unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypedDict

AgentName = Literal["master", "grounding", "vision"]


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG inside a message."""

    jpeg: bytes


class Message(TypedDict):
    """One chat message: text, or texts and pictures in their order."""

    role: Literal["user", "assistant"]
    content: str | tuple[str | Jpeg, ...]


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

    def subsample(self, share: float) -> Clip:
        """The clip with that share of its lines, spread evenly, and at least one of them."""
        count = max(1, round(len(self.subtitles) * share))
        if count >= len(self.subtitles):
            return self
        step = len(self.subtitles) / count
        return replace(self, subtitles=tuple(self.subtitles[int((index + 0.5) * step)] for index in range(count)))


@dataclass(frozen=True, slots=True)
class Timeline:
    """A long video as ordered clips that touch and do not overlap; at least one clip."""

    clips: tuple[Clip, ...]

    def __post_init__(self) -> None:
        if not self.clips:
            raise ValueError("a timeline needs at least one clip")
        if len({clip.label for clip in self.clips}) != len(self.clips):
            raise ValueError("two clips of a timeline share a label")

    def __hash__(self) -> int:
        """Of a few marks: what is kept for a timeline is looked up often, and a walk through every line takes long."""
        return hash((len(self.clips), self.clips[0].label, self.duration_s))

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
    usd: float = 0.0
    """Dollars, by the prices given for the models; 0 where none are given."""

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
            self.usd + other.usd,
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
    evidence: tuple[Evidence, ...] | None = None
    """What the master rests an answer on; None where it does not say."""
    usage: Usage = Usage()
    warnings: tuple[str, ...] = ()
    """What had to be left out to get it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another clip that may matter, and why."""

    label: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GroundingResult:
    """The clip the grounding agent points at; label None where it found nothing."""

    label: str | None
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()
    candidates: tuple[Candidate, ...] = ()
    """The next likely clips, the likeliest first."""
    warnings: tuple[str, ...] = ()
    """What had to be left out to find it."""


@dataclass(frozen=True, slots=True)
class VisionResult:
    """What the vision agent saw, as text and as evidence with times."""

    text: str
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()
    is_found: bool = True
    """False where the frames do not show what was asked for."""


@dataclass(frozen=True, slots=True)
class AgentFailure:
    """An agent that is down. Never an answer."""

    agent: AgentName
    cause: str
    usage: Usage = Usage()


Result = Reply | GroundingResult | VisionResult | AgentFailure


# --- observations: what comes of an action --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClipObservation:
    """Observation: the current clip has changed. ``clips`` is the evidence window around it."""

    clip: Clip
    clips: tuple[Clip, ...]
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()
    candidates: tuple[Candidate, ...] = ()
    """Further clips of the video that may matter, not visited, the likeliest first."""


@dataclass(frozen=True, slots=True)
class SystemNotice:
    """Observation: something the loop tells the master, such as a label that does not exist."""

    text: str
    usage: Usage = Usage()
    grounded: GroundingResult | None = None
    """What the grounding agent returned, but for its usage, where that is what the notice is about."""


Observation = ClipObservation | VisionResult | SystemNotice
