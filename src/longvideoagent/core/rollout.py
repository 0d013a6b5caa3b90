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
ASK, last  Reply that answers              DONE answered; DONE spent, with that answer, where a
                                           budget and not the rounds made it the last
ASK, last  Reply that does not answer      DONE spent
LOOK       Seen                            ASK, what was seen observed
GROUND     Grounded, a clip not visited    ASK, the new clip observed
GROUND     Grounded, anything else         ASK, a notice; the current clip stays
any        Failed                          DONE failed(agent, cause)
any        a budget does not bear the      ASK, last; an action is given up with a notice
           request and a reply behind it
=========  ==============================  ==========================================================

START is GROUND before the first round. Without a grounding agent there is no START: the
whole video is the current clip. Any other result is a driver's mistake and raises ``ProtocolError``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from longvideoagent.core.budget import budget_summary, can_afford
from longvideoagent.core.protocol import parse
from longvideoagent.core.scoring import match_option
from longvideoagent.core.trace import Outcome, RolloutSettings, Round, Trace
from longvideoagent.core.types import (
    AgentFailure,
    AgentName,
    Answer,
    Clip,
    ClipObservation,
    GroundingResult,
    Invalid,
    Look,
    Observation,
    Question,
    Relocate,
    Reply,
    Result,
    SystemNotice,
    Timeline,
    Usage,
    VisionResult,
)
from longvideoagent.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class MasterRequest:
    """The master must reply; all it may know is in the trace."""

    trace: Trace


@dataclass(frozen=True, slots=True)
class GroundingRequest:
    """The grounding agent must name a clip of ``timeline`` that is not in ``trace.visited``."""

    request: str
    timeline: Timeline
    trace: Trace


@dataclass(frozen=True, slots=True)
class VisionRequest:
    """The vision agent must say what ``clips`` show; it gets the query and not the question. Each of
    ``other_windows`` is the window of another clip that may matter, to be looked at in the same go."""

    query: str
    clips: tuple[Clip, ...]
    other_windows: tuple[tuple[Clip, ...], ...] = ()


Request = MasterRequest | GroundingRequest | VisionRequest


_AGENT_OF: dict[type[Request], AgentName] = {
    MasterRequest: "master",
    GroundingRequest: "grounding",
    VisionRequest: "vision",
}


class Rollout:
    """The loop for one question; see the table above."""

    def __init__(
        self,
        question: Question,
        timeline: Timeline,
        settings: RolloutSettings | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._timeline = timeline
        self._trace = Trace(question, settings or RolloutSettings(), warnings=warnings)
        self._request: Request | None
        if self._trace.settings.grounding:
            self._request = GroundingRequest("", timeline, self._trace)
        else:
            whole = timeline.whole()
            self._observe(ClipObservation(whole, (whole,)))

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
            case request, AgentFailure(agent=agent) if agent == _AGENT_OF[type(request)]:
                self._trace = replace(self._trace, failure=result)
                self._end(Outcome.FAILED, f"{result.agent}: {result.cause}")
                return
            case MasterRequest(), Reply():
                self._take_reply(result)
            case GroundingRequest(), GroundingResult():
                self._observe(self._locate(result))
            case VisionRequest(), VisionResult():
                self._observe(result)
            case request, _:
                raise ProtocolError(f"{type(request).__name__} cannot take a {type(result).__name__}")
        self._check_budget()

    def _take_reply(self, reply: Reply) -> None:
        parsed = parse(reply.text, reply.reasoning)
        self._warn(reply.warnings)
        current = self._trace.current
        clip = current.clip.label if current else None
        said = Round(reply, parsed.thought, parsed.action, parsed.text, clip)
        self._trace = replace(self._trace, rounds=(*self._trace.rounds, said))
        settings = self._trace.settings
        match parsed.action:
            case Answer(text):
                self._answer(text)
            case _ if self._trace.must_answer:
                self._end(Outcome.SPENT, budget_summary(self._trace))
            case _ if self._trace.rounds_left == 0:
                self._end(Outcome.SPENT, f"no answer within {settings.max_rounds} rounds")
            case Invalid(reason):
                self._observe(SystemNotice(f"No valid action: {reason}. This round is spent."))
            case Look() if not settings.vision:
                self._observe(SystemNotice("There is no vision agent in this run. Answer or relocate."))
            case Look() if current is None:
                self._observe(SystemNotice("No clip is located yet, so there is nothing to look at."))
            case Look(query):
                assert current is not None  # the case before
                self._request = VisionRequest(query, current.clips, self._other_windows(current))
            case Relocate() if not settings.grounding:
                self._observe(SystemNotice("There is no grounding agent in this run. All subtitles are above."))
            case Relocate(request):
                self._request = GroundingRequest(request, self._timeline, self._trace)

    def _answer(self, text: str) -> None:
        chosen = match_option(text, self._trace.question.options)
        self._trace = replace(self._trace, option_index=chosen)
        if text and self._trace.must_answer:
            self._end(Outcome.SPENT, budget_summary(self._trace))
        else:
            self._end(Outcome.ANSWERED if text else Outcome.ABSTAINED)

    def _other_windows(self, current: ClipObservation) -> tuple[tuple[Clip, ...], ...]:
        settings = self._trace.settings
        found = [self._timeline.find(other.label) for other in current.candidates[: settings.parallel_looks - 1]]
        windows = [self._timeline.window(clip, settings.window) for clip in found if clip is not None]
        return tuple(window for window in dict.fromkeys(windows) if window != current.clips)

    def _locate(self, result: GroundingResult) -> ClipObservation | SystemNotice:
        self._warn(result.warnings)
        trace = self._trace
        clip = self._timeline.find(result.label) if result.label is not None else None
        if clip is None or clip.label in trace.visited:
            return SystemNotice(_why_not_located(result, trace), result.usage, replace(result, usage=Usage()))
        clips = self._timeline.window(clip, trace.settings.window)
        past = {*trace.visited, clip.label}
        others = tuple(each for each in result.candidates if each.label not in past and self._timeline.find(each.label))
        return ClipObservation(clip, clips, result.reason, result.evidence, result.usage, others)

    def _observe(self, observation: Observation) -> None:
        trace = self._trace
        if trace.rounds:
            last = replace(trace.rounds[-1], observation=observation)
            self._trace = replace(trace, rounds=(*trace.rounds[:-1], last))
        elif not isinstance(observation, VisionResult):
            self._trace = replace(trace, first_grounding=observation)
        self._request = MasterRequest(self._trace)

    def _check_budget(self) -> None:
        """Where the budgets do not bear the request and a reply behind it, ask for the last reply."""
        if self._request is None or self._trace.must_answer:
            return
        calls = 1 + len(self._request.other_windows) if isinstance(self._request, VisionRequest) else 1
        if can_afford(self._trace, _AGENT_OF[type(self._request)], calls):
            return
        self._trace = replace(self._trace, must_answer=True)
        if isinstance(self._request, MasterRequest):
            self._request = MasterRequest(self._trace)
        else:
            self._observe(SystemNotice("The budget does not bear this action any more."))

    def _warn(self, warnings: tuple[str, ...]) -> None:
        told = tuple(dict.fromkeys((*self._trace.warnings, *warnings)))
        self._trace = replace(self._trace, warnings=told)

    def _end(self, outcome: Outcome, cause: str = "") -> None:
        self._trace = replace(self._trace, outcome=outcome, cause=cause)
        self._request = None


def _why_not_located(result: GroundingResult, trace: Trace) -> str:
    if result.label is None:
        why = f": {result.reason}" if result.reason else ""
        return f"Grounding found no {'further ' if trace.visited else ''}clip{why}."
    if result.label in trace.visited:
        return f"Grounding pointed at {result.label} again, which was already visited."
    return f"Grounding named {result.label!r}, which is no clip of this video."
