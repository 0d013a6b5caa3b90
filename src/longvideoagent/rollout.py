"""The core: one question's loop as a state machine without I/O, clock or logging.

A driver reads ``request``, has it performed, hands the result to ``receive``, and repeats until
``request`` is None; then ``trace`` says what happened. A rollout can be pickled between any two calls.

=========  ==============================  ==========================================================
state      result                          next
=========  ==============================  ==========================================================
START      Grounded, label of the video    ASK, the clip and its lines observed
START      Grounded, anything else         ASK, a notice instead of a clip
ASK        Reply that looks                LOOK; a notice where nothing is located or vision is off
ASK        Reply that relocates            GROUND; a notice where grounding is off
ASK        Reply that answers              DONE answered; DONE abstained where the answer is empty
ASK        Reply without an action         ASK, a notice
ASK, last  Reply that does not answer      DONE spent
LOOK       Seen                            ASK, what was seen observed
GROUND     Grounded, a clip not visited    ASK, the new clip observed
GROUND     Grounded, anything else         ASK, a notice; the current clip stays
any        Failed                          DONE failed(agent, cause)
any        calls or tokens used up         DONE spent, unless that very result answered
=========  ==============================  ==========================================================

START is GROUND before the first round. Without a grounding agent there is no START: the
whole video is the current clip. Any other result is a driver's mistake and raises ``ProtocolError``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from longvideoagent.errors import ProtocolError
from longvideoagent.protocol import parse
from longvideoagent.scoring import match_option
from longvideoagent.trace import Outcome, Round, Settings, Trace
from longvideoagent.types import (
    AgentName,
    Answer,
    Clip,
    Failed,
    Grounded,
    Invalid,
    Located,
    Look,
    Notice,
    Observation,
    Question,
    Relocate,
    Reply,
    Result,
    Seen,
    Timeline,
    Usage,
)


@dataclass(frozen=True, slots=True)
class AskMaster:
    """The master must reply; all it may know is in the trace."""

    trace: Trace


@dataclass(frozen=True, slots=True)
class AskGrounding:
    """The grounding agent must name a clip of ``timeline`` that is not in ``trace.visited``."""

    request: str
    timeline: Timeline
    trace: Trace


@dataclass(frozen=True, slots=True)
class AskVision:
    """The vision agent must say what ``clips`` show; it gets the query and not the question."""

    query: str
    clips: tuple[Clip, ...]


Request = AskMaster | AskGrounding | AskVision


_AGENT_OF: dict[type[Request], AgentName] = {
    AskMaster: "master",
    AskGrounding: "grounding",
    AskVision: "vision",
}


class Rollout:
    """The loop for one question; see the table above."""

    def __init__(
        self,
        question: Question,
        timeline: Timeline,
        settings: Settings | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._timeline = timeline
        self._trace = Trace(question, settings or Settings(), warnings=warnings)
        self._request: Request | None
        if self._trace.settings.grounding:
            self._request = AskGrounding("", timeline, self._trace)
        else:
            whole = timeline.whole()
            self._observe(Located(whole, (whole,)))

    @property
    def request(self) -> Request | None:
        """What the world must do next; None when the rollout is done."""
        return self._request

    @property
    def trace(self) -> Trace:
        """What has happened so far."""
        return self._trace

    def receive(self, result: Result) -> None:
        """Take the result of the current request. Raises ProtocolError for any other result."""
        match self._request, result:
            case None, _:
                raise ProtocolError("the rollout is done; start another one")
            case request, Failed(agent=agent) if agent == _AGENT_OF[type(request)]:
                self._trace = replace(self._trace, failure=result)
                self._end(Outcome.FAILED, f"{result.agent}: {result.cause}")
                return
            case AskMaster(), Reply():
                self._take_reply(result)
            case AskGrounding(), Grounded():
                self._observe(self._locate(result))
            case AskVision(), Seen():
                self._observe(result)
            case request, _:
                raise ProtocolError(f"{type(request).__name__} cannot take a {type(result).__name__}")
        self._check_budget()

    def _take_reply(self, reply: Reply) -> None:
        parsed = parse(reply.text, reply.reasoning)
        current = self._trace.current
        clip = current.clip.label if current else None
        said = Round(reply, parsed.thought, parsed.action, parsed.text, clip)
        self._trace = replace(self._trace, rounds=(*self._trace.rounds, said))
        settings = self._trace.settings
        match parsed.action:
            case Answer(text):
                chosen = match_option(text, self._trace.question.options)
                self._trace = replace(self._trace, option_index=chosen)
                self._end(Outcome.ANSWERED if text else Outcome.ABSTAINED)
            case _ if self._trace.rounds_left == 0:
                self._end(Outcome.SPENT, f"no answer within {settings.max_rounds} rounds")
            case Invalid(reason):
                self._observe(Notice(f"No valid action: {reason}. This round is spent."))
            case Look() if not settings.vision:
                self._observe(Notice("There is no vision agent in this run. Answer or relocate."))
            case Look() if current is None:
                self._observe(Notice("No clip is located yet, so there is nothing to look at."))
            case Look(query) if current is not None:
                self._request = AskVision(query, current.clips)
            case Relocate() if not settings.grounding:
                self._observe(Notice("There is no grounding agent in this run. All subtitles are above."))
            case Relocate(request):
                self._request = AskGrounding(request, self._timeline, self._trace)

    def _locate(self, result: Grounded) -> Located | Notice:
        if result.label is None:
            return Notice("Grounding found no further clip.", result.usage)
        clip = self._timeline.find(result.label)
        if clip is None:
            return Notice(f"Grounding named {result.label!r}, which is no clip of this video.", result.usage)
        if clip.label in self._trace.visited:
            return Notice(f"Grounding pointed at {clip.label} again, which was already visited.", result.usage)
        clips = self._timeline.window(clip, self._trace.settings.window)
        return Located(clip, clips, result.reason, result.evidence, result.usage)

    def _observe(self, observation: Observation) -> None:
        trace = self._trace
        if trace.rounds:
            last = replace(trace.rounds[-1], observation=observation)
            self._trace = replace(trace, rounds=(*trace.rounds[:-1], last))
        elif not isinstance(observation, Seen):
            self._trace = replace(trace, first=observation)
        self._request = AskMaster(self._trace)

    def _check_budget(self) -> None:
        if self._request is None:
            return
        used: Usage = self._trace.usage
        settings = self._trace.settings
        for name, count, limit in (
            ("calls", used.calls, settings.max_calls),
            ("tokens", used.tokens, settings.max_tokens),
        ):
            if limit is not None and count >= limit:
                self._end(Outcome.SPENT, f"{count} of {limit} {name} used")
                return

    def _end(self, outcome: Outcome, cause: str = "") -> None:
        self._trace = replace(self._trace, outcome=outcome, cause=cause)
        self._request = None
