"""The data types of the system: frozen values without behaviour.

Every value can be pickled, compared and written as JSON. None has a field for gold answers, so an agent
that receives these types cannot see one. Times are seconds from the start of the video.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, NotRequired, TypedDict

from longvideoagent.core.actions import AgentName
from longvideoagent.core.outcome import StopReason


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG inside a message."""

    jpeg: bytes

    @property
    def data_url(self) -> str:
        """As a URL that holds the image itself."""
        return "data:image/jpeg;base64," + b64encode(self.jpeg).decode("ascii")


IndexPart = Literal["scenes", "sounds", "objects"]
"""A part of the index that is made only on request, by the name of the query that reads it."""


class Message(TypedDict):
    """One chat message: text, or texts and images in order."""

    role: Literal["user", "assistant"]
    content: str | tuple[str | Jpeg, ...]
    shared_chars: NotRequired[int]
    """How many characters of the text, from its start, later prompts repeat, for servers that cache what is marked.
    Absent: the chat grows, so that all of it is repeated, or nothing is. It is not part of what a model reads."""


class TimeSpan(NamedTuple):
    """A part of a video; start and end are equal for a moment."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a video. Without options it is an open question."""

    text: str
    """The question itself."""
    options: tuple[str, ...] = ()
    """The texts of the answer options, in order; empty for an open question."""
    id: str = ""
    """The id in its data set; empty for a question that a person asks."""


@dataclass(frozen=True, slots=True)
class Subtitle:
    """One line of text with its span."""

    start_s: float
    """Start, in seconds of the video."""
    end_s: float
    """End, in seconds of the video."""
    text: str
    """The text on one line. A known speaker leads it: ``Mira: Hello``."""
    source: Literal["subtitle", "screen"] = "subtitle"
    """``screen`` if the text was read from frames because the video has no subtitles."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A labelled span of the video and the subtitle lines that start in it."""

    label: str
    """The name that the agents use; unique in its timeline."""
    start_s: float
    """Start, in seconds of the video."""
    end_s: float
    """End, in seconds of the video."""
    subtitles: tuple[Subtitle, ...] = ()
    """The lines that start in the clip, in order."""
    video: str = ""
    """Which video of several the clip is cut from; empty for the only video."""
    raw_text: str = field(default="", compare=False, repr=False)
    """The text of the clip exactly as its data set has it, or empty. It is not part of a trace's JSON, and so not of
    equality."""

    def subsample(self, fraction: float) -> Clip:
        """Return the clip with a part of its lines, spread evenly.

        Args:
            fraction: The part of the lines to keep, 0 to 1.

        Returns:
            The clip with that part of its lines, and at least one if it has any. A clip that loses lines loses its
            raw text.
        """
        count = max(1, round(len(self.subtitles) * fraction))
        if count >= len(self.subtitles):
            return self
        step = len(self.subtitles) / count
        lines = tuple(self.subtitles[int((index + 0.5) * step)] for index in range(count))
        return replace(self, subtitles=lines, raw_text="")


@dataclass(frozen=True, slots=True)
class Timeline:
    """A long video as ordered clips that touch and do not overlap.

    Raises:
        ValueError: There is no clip, or two clips share a label.
    """

    clips: tuple[Clip, ...]
    """The clips in order of time; at least one."""
    unread: str = ""
    """How much of the text of the video was read, for people; empty if all of it was."""
    screen_texts: tuple[Evidence, ...] = ()
    """The texts on screen of a video with spoken lines, in order of time, as vision reports them; empty if not read."""
    scene_starts_s: tuple[float, ...] = ()
    """Where the scenes begin, the first at 0; empty if they were not found yet."""
    sounds: tuple[Evidence, ...] | None = None
    """What a sound detector heard, in order of time; None if none has listened."""
    objects: tuple[Evidence, ...] | None = None
    """What an object detector saw, in order of time; None if none has looked."""
    sound_labels: tuple[str, ...] = ()
    """Every label that this sound detector knows; none if they are not known."""
    object_labels: tuple[str, ...] = ()
    """Every label that this object detector knows."""
    has_audio: bool = True
    """Whether the video has an audio track, or may have one."""
    language: str = "en"
    """The language by whose rules the lines are searched (ISO 639-1): one of ``text_language.LANGUAGES``."""

    def __post_init__(self) -> None:
        if not self.clips:
            raise ValueError("a timeline needs at least one clip")
        if len({clip.label for clip in self.clips}) != len(self.clips):
            raise ValueError("two clips of a timeline share a label")

    def __hash__(self) -> int:
        """Hash a few fields: timelines are looked up in caches often, and hashing every line is slow."""
        return hash((len(self.clips), self.clips[0].label, self.duration_s))

    @property
    def duration_s(self) -> float:
        """The end of the last clip, in seconds."""
        return self.clips[-1].end_s

    @property
    def subtitles(self) -> tuple[Subtitle, ...]:
        """Every subtitle line of the video, in order."""
        return tuple(line for clip in self.clips for line in clip.subtitles)

    def find_clip(self, label: str) -> Clip | None:
        """Return the clip with this label. Labels are compared exactly and never used as paths.

        Args:
            label: The label, as a model may have written it.

        Returns:
            The clip, or None if no clip has this label.
        """
        return next((clip for clip in self.clips if clip.label == label), None)

    def clip_at(self, time_s: float) -> Clip:
        """Return the clip that is shown at a time.

        Args:
            time_s: Seconds from the start of the video.

        Returns:
            The clip; the nearest one for a time outside the video.
        """
        return next((clip for clip in self.clips if time_s < clip.end_s), self.clips[-1])

    def window(self, clip: Clip, num_clips: int) -> tuple[Clip, ...]:
        """Return ``num_clips`` neighbouring clips around ``clip`` (paper: evidence window).

        There are fewer only if the video has fewer. An even number takes one more later neighbour.

        Args:
            clip: A clip of this timeline.
            num_clips: How many clips the window has.

        Returns:
            The clips of the window, in order.
        """
        num_clips = min(num_clips, len(self.clips))
        first = self.clips.index(clip) - (num_clips - 1) // 2
        first = max(0, min(first, len(self.clips) - num_clips))
        return self.clips[first : first + num_clips]

    def as_single_clip(self) -> Clip:
        """Return the entire video as one clip, for runs without a grounding agent.

        Returns:
            A clip with the label ``whole`` and all subtitle lines.
        """
        raw_text = "\n".join(clip.raw_text for clip in self.clips if clip.raw_text)
        return Clip("whole", self.clips[0].start_s, self.duration_s, self.subtitles, self.clips[0].video, raw_text)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A place that a person can seek to: a subtitle line, what a frame shows, or a sound."""

    clip: str
    """The label of its clip."""
    start_s: float
    """Start of the line, of what the frame shows, or of the sound, in seconds of the video."""
    end_s: float
    """Its end, in seconds of the video; for a single frame the start."""
    kind: Literal["subtitle", "frame", "sound"]
    """Whether it can be read in the subtitles, seen in a frame or heard."""
    time_s: float
    """Where to seek to: the start of the line or sound, or the time of the frame, in seconds of the video."""
    text: str
    """The words of the line, what the frame shows, or what is heard."""
    video: str = ""
    """Which video of several; empty for the only video."""
    label: str = ""
    """What a detector calls the sound or object that it believes in; empty for other evidence."""
    num_at_once: int = 1
    """How many of an object are seen at once; 0 for a sound or object that was not found in its span."""

    @classmethod
    def from_subtitle(cls, clip: Clip, line: Subtitle) -> Evidence:
        """Make evidence of a subtitle line; text read from the screen counts as a frame.

        Args:
            clip: The clip that the line belongs to.
            line: The line to cite.

        Returns:
            The evidence, at the start of the line.
        """
        kind: Literal["subtitle", "frame"] = "subtitle" if line.source == "subtitle" else "frame"
        return cls(clip.label, line.start_s, line.end_s, kind, line.start_s, line.text, clip.video)


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of a call, or of a sum of calls."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    images: int = 0
    seconds: float = 0.0
    usd: float = 0.0
    """US dollars, by the prices given for the models; 0 without prices."""

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


# --- results: what an agent returns --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the master, in the tag language of ``protocol``."""

    text: str
    reasoning: str = ""
    """Reasoning that the server returned in a field of its own; empty if it is inside the text."""
    confidence: float | None = None
    """Confidence in an answer, 0 to 1, or None."""
    evidence: tuple[Evidence, ...] | None = None
    """What the master bases an answer on, or None if it does not say."""
    usage: Usage = Usage()
    warnings: tuple[str, ...] = ()
    """What was left out to get the reply."""
    is_truncated: bool = False
    """Whether a limit or a stop text ended the reply, and not the master itself."""
    actions_anywhere: bool = False
    """Whether an action counts wherever it is in the reply, as in the public code; see ``protocol.parse``."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another clip that may be relevant, and why."""

    label: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GroundingResult:
    """The clip that the grounding agent names; its label is None if it found none."""

    label: str | None
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()
    candidates: tuple[Candidate, ...] = ()
    """The next likely clips, most likely first."""
    warnings: tuple[str, ...] = ()
    """What was left out to find the clip."""


@dataclass(frozen=True, slots=True)
class VisionResult:
    """What the vision agent sees, as text and as evidence with times. Also an observation."""

    text: str
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()
    is_found: bool = True
    """False if the frames do not show what the query asks for."""
    boxes: str = ""
    """The gold boxes of the clip as text, in runs that show them."""
    warnings: tuple[str, ...] = ()
    """What was left out to get the result, such as the rest of a reply that was cut."""


@dataclass(frozen=True, slots=True)
class TimelineResult:
    """What a query of the timeline found. Also an observation."""

    text: str
    """For a master that is a model: a summary, and the lines that were found, each with its time."""
    value: str = ""
    """The answer in a few words, such as ``10 times``, ``4:15`` or ``Felix``; empty if the query has none."""
    evidence: tuple[Evidence, ...] = ()
    """Every occurrence, in order of time."""
    is_found: bool = True
    """False if nothing was found, or the query cannot be read."""
    usage: Usage = Usage()
    missing: IndexPart | None = None
    """The part of the index that the query needs, if nobody has made it; None otherwise."""
    num_unnamed: int = 0
    """Of a query for speakers: lines that name none, if these are so many that they may change what was found."""


@dataclass(frozen=True, slots=True)
class AgentFailure:
    """An agent that cannot be used. Never an answer."""

    agent: AgentName
    cause: str
    usage: Usage = Usage()
    stop_reason: StopReason = StopReason.MODEL
    """Which kind of failure: one whose outcome is failed."""

    @property
    def message(self) -> str:
        """The agent and the cause."""
        return f"{self.agent}: {self.cause}"


Result = Reply | GroundingResult | VisionResult | TimelineResult | AgentFailure


# --- observations: what an action results in ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClipObservation:
    """Observation: the current clip has changed. ``window`` is the evidence window around it."""

    clip: Clip
    window: tuple[Clip, ...]
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()
    candidates: tuple[Candidate, ...] = ()
    """Further clips that may be relevant, not yet visited, most likely first."""


@dataclass(frozen=True, slots=True)
class SystemNotice:
    """Observation: a message of the loop to the master, such as that a label does not exist."""

    text: str
    usage: Usage = Usage()
    grounding_result: GroundingResult | None = None
    """The result of the grounding agent, without its usage, if the notice is about it."""


Observation = ClipObservation | VisionResult | TimelineResult | SystemNotice
