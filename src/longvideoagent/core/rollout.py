"""The core: the loop of one question as a state machine without I/O, clock or logging.

A driver reads ``request``, has an agent perform it, passes the result to ``receive``, and repeats until
``request`` is None; then ``trace`` records what happened. A rollout can be pickled between any two calls.

=========  ======================================  ====================================================
state      result                                  next
=========  ======================================  ====================================================
START      GroundingResult, a label of the video   ASK; observation: the clip and its subtitles
START      GroundingResult, anything else          ASK; observation: a notice
ASK        Reply that looks                        LOOK; a notice without a clip or a vision agent,
                                                   or at a span outside the video
ASK        Reply that relocates                    GROUND; a notice without a grounding agent
ASK        Reply that queries the timeline         QUERY; a notice without timeline tools
ASK        Reply that answers                      DONE answered; DONE abstained if the answer is empty
ASK        Reply without an action                 ASK; observation: a notice
ASK, last  Reply that answers                      DONE answered; DONE spent, with that answer, if a
                                                   budget and not the rounds made it the last
ASK, last  Reply that does not answer              DONE spent
LOOK       VisionResult                            ASK; observation: the result
GROUND     GroundingResult, a clip not visited     ASK; observation: the new clip
QUERY      TimelineResult                          ASK; observation: the result
GROUND     GroundingResult, anything else          ASK; observation: a notice; the current clip stays
any        AgentFailure                            DONE failed
any        a budget does not allow the request     ASK, last; a notice instead of the action
           and one reply after it
=========  ======================================  ====================================================

START is GROUND before the first round. Without a grounding agent there is no START: the whole video is the
current clip. Any other result is a mistake of the driver and raises ``ProtocolError``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from longvideoagent.core.actions import Action, AgentName, Answer, Invalid, Look, QueryTimeline, Relocate
from longvideoagent.core.budget import can_afford, tightest_budget
from longvideoagent.core.look_span import SpanQuery, cut_clips, describe_span, split_span
from longvideoagent.core.outcome import StopReason
from longvideoagent.core.protocol import parse
from longvideoagent.core.scoring import match_option
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import RolloutSettings, Round, Trace
from longvideoagent.core.types import (
    AgentFailure,
    Clip,
    ClipObservation,
    GroundingResult,
    Observation,
    Question,
    Reply,
    Result,
    SystemNotice,
    Timeline,
    TimelineResult,
    Usage,
    VisionResult,
)
from longvideoagent.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class MasterRequest:
    """The master must reply; all that it may know is in the trace."""

    trace: Trace


@dataclass(frozen=True, slots=True)
class GroundingRequest:
    """The grounding agent must name a clip of ``timeline`` that is not in ``trace.visited_labels``."""

    request: str
    timeline: Timeline
    trace: Trace


@dataclass(frozen=True, slots=True)
class VisionRequest:
    """The vision agent must perform ``action`` on ``window``; it never sees the question.

    Each of ``candidate_windows`` is the evidence window of another candidate clip, to be looked at in parallel.
    """

    action: Look
    window: tuple[Clip, ...]
    candidate_windows: tuple[tuple[Clip, ...], ...] = ()
    boxes: str = ""
    """The gold boxes of the window as text, in runs that show them."""


@dataclass(frozen=True, slots=True)
class TimelineRequest:
    """The lines of ``timeline`` must be searched; no model is called, and it costs nothing."""

    query: str
    timeline: Timeline


Request = MasterRequest | GroundingRequest | VisionRequest | TimelineRequest


class Rollout:
    """The loop of one question; the table at the top of ``core/rollout.py`` lists its transitions.

    Read ``request``, have an agent perform it, pass the result to ``receive``, and repeat until ``request`` is None.
    A rollout does no I/O, and can be pickled between any two calls.

    Args:
        question: What is asked.
        timeline: The clips of the video.
        settings: Limits of the loop; the default is five rounds.
        warnings: What was ignored while the video was opened; copied into the trace.
        history: The traces of earlier questions of the same conversation, oldest first.
    """

    def __init__(
        self,
        question: Question,
        timeline: Timeline,
        settings: RolloutSettings | None = None,
        warnings: tuple[str, ...] = (),
        history: tuple[Trace, ...] = (),
    ) -> None:
        self._timeline = timeline
        self._trace = Trace(
            question, settings or RolloutSettings(), warnings=warnings, history=history, language=timeline.language
        )
        self._request: Request | None
        if self._trace.settings.has_grounding:
            self._request = GroundingRequest("", timeline, self._trace)
        else:
            whole = timeline.as_single_clip()
            self._observe(ClipObservation(whole, (whole,)))

    @property
    def request(self) -> Request | None:
        """What an agent must do next; None when the rollout is done."""
        return self._request

    @property
    def trace(self) -> Trace:
        """What has happened so far."""
        return self._trace

    def receive(self, result: Result) -> None:
        """Take the result of the current request.

        Args:
            result: What the agent returned: a reply, a grounding or vision result, or a failure.

        Raises:
            ProtocolError: The result is not one of the current request, or the rollout is done.
        """
        match self._request, result:
            case None, _:
                raise ProtocolError("the rollout is done; start another one")
            case request, AgentFailure(agent=agent) if agent == agent_of(request):
                self._trace = replace(self._trace, failure=result)
                self._end(result.stop_reason, result.message)
                return
            case MasterRequest(), Reply():
                self._take_reply(result)
            case GroundingRequest(), GroundingResult():
                self._observe(self._locate(result))
            case VisionRequest(), VisionResult():
                self._warn(result.warnings)
                self._observe(replace(result, warnings=()))
            case TimelineRequest(), TimelineResult():
                self._observe(result)
            case request, _:
                raise ProtocolError(f"{type(request).__name__} cannot take a {type(result).__name__}")
        self._check_budget()

    def _take_reply(self, reply: Reply) -> None:
        parsed = parse(reply.text, reply.reasoning, is_truncated=reply.is_truncated, anywhere=reply.actions_anywhere)
        self._warn(reply.warnings)
        current = self._trace.current_observation
        clip = current.clip.label if current else None
        round_ = Round(reply, parsed.thought, parsed.action, parsed.text, clip)
        self._trace = replace(self._trace, rounds=(*self._trace.rounds, round_))
        if isinstance(parsed.action, Answer):
            self._answer(parsed.action.text)
        elif self._trace.must_answer:
            self._end_on_budget()
        elif self._trace.rounds_left == 0:
            self._end(StopReason.MAX_ROUNDS, f"no answer within {self._trace.settings.max_rounds} rounds")
        else:
            match self._request_for(parsed.action):
                case SystemNotice() as notice:
                    self._observe(notice)
                case MasterRequest() | GroundingRequest() | VisionRequest() | TimelineRequest() as request:
                    self._request = request
                case unexpected:
                    assert_never(unexpected)

    def _request_for(self, action: Action) -> Request | SystemNotice:
        """The request that an action becomes, or a notice why it cannot become one."""
        settings = self._trace.settings
        match action:
            case Look():
                return self._look_request(action)
            case Relocate(request):
                if not settings.has_grounding:
                    return SystemNotice("There is no grounding agent in this run. All subtitles are above.")
                return GroundingRequest(request, self._timeline, self._trace)
            case QueryTimeline(query):
                if not settings.timeline_tools:
                    return SystemNotice("There are no timeline tools in this run.")
                return TimelineRequest(query, self._timeline)
            case Invalid(reason):
                return SystemNotice(f"No valid action: {reason}. This round is spent.")
            case Answer():
                raise ProtocolError("an answer ends the rollout and becomes no request")
            case _:
                assert_never(action)

    def _look_request(self, look: Look) -> VisionRequest | SystemNotice:
        settings, current = self._trace.settings, self._trace.current_observation
        if not settings.has_vision:
            return SystemNotice("There is no vision agent in this run. Answer or relocate.")
        span, text = split_span(look.query) if settings.timeline_tools else SpanQuery(None, look.query)
        if span is not None:
            if window := cut_clips(self._timeline.clips, span):
                return VisionRequest(Look(text), window)
            end = format_timestamp(self._timeline.duration_s)
            return SystemNotice(f"Nothing can be seen from {describe_span(span)}: the video ends at {end}.")
        if current is None:
            return SystemNotice("No clip is located yet, so there is nothing to look at.")
        return VisionRequest(look, current.window, self._candidate_windows(current))

    def _answer(self, text: str) -> None:
        option_index = match_option(text, self._trace.question.options)
        self._trace = replace(self._trace, option_index=option_index)
        if text and self._trace.must_answer:
            self._end_on_budget()
        else:
            self._end(StopReason.ANSWERED if text else StopReason.ABSTAINED)

    def _candidate_windows(self, current: ClipObservation) -> tuple[tuple[Clip, ...], ...]:
        settings = self._trace.settings
        clips = [self._timeline.find_clip(each.label) for each in current.candidates[: settings.parallel_looks - 1]]
        windows = [self._timeline.window(clip, settings.window) for clip in clips if clip is not None]
        return tuple(window for window in dict.fromkeys(windows) if window != current.window)

    def _locate(self, result: GroundingResult) -> ClipObservation | SystemNotice:
        self._warn(result.warnings)
        trace = self._trace
        clip = self._timeline.find_clip(result.label) if result.label is not None else None
        if clip is None or clip.label in trace.visited_labels:
            return SystemNotice(_why_not_located(result, trace), result.usage, replace(result, usage=Usage()))
        window = self._timeline.window(clip, trace.settings.window)
        past = {*trace.visited_labels, clip.label}
        candidates = tuple(
            each for each in result.candidates if each.label not in past and self._timeline.find_clip(each.label)
        )
        return ClipObservation(clip, window, result.reason, result.evidence, result.usage, candidates)

    def _observe(self, observation: Observation) -> None:
        trace = self._trace
        if trace.rounds:
            last = replace(trace.rounds[-1], observation=observation)
            self._trace = replace(trace, rounds=(*trace.rounds[:-1], last))
        elif isinstance(observation, ClipObservation | SystemNotice):
            self._trace = replace(trace, first_grounding=observation)
        self._request = MasterRequest(self._trace)

    def _check_budget(self) -> None:
        """Ask for the last reply if the budgets do not allow the request and one more reply after it."""
        if self._request is None or self._trace.must_answer:
            return
        calls = 1 + len(self._request.candidate_windows) if isinstance(self._request, VisionRequest) else 1
        agent = agent_of(self._request)
        if agent is None or can_afford(self._trace, agent, calls):  # a query is free, and its result is budgeted next
            return
        self._trace = replace(self._trace, must_answer=True)
        if isinstance(self._request, MasterRequest):
            self._request = MasterRequest(self._trace)
        else:
            self._observe(SystemNotice("The budget does not allow this action any more."))

    def _warn(self, warnings: tuple[str, ...]) -> None:
        self._trace = replace(self._trace, warnings=tuple(dict.fromkeys((*self._trace.warnings, *warnings))))

    def _end_on_budget(self) -> None:
        budget = tightest_budget(self._trace)
        assert budget is not None  # only a budget sets must_answer
        self._end(budget.stop_reason, budget.summary)

    def _end(self, stop_reason: StopReason, cause: str = "") -> None:
        self._trace = replace(self._trace, stop_reason=stop_reason, cause=cause)
        self._request = None


def agent_of(request: Request) -> AgentName | None:
    """The agent that performs a request; None for a query of the timeline."""
    match request:
        case MasterRequest():
            return "master"
        case GroundingRequest():
            return "grounding"
        case VisionRequest():
            return "vision"
        case TimelineRequest():
            return None
        case _:
            assert_never(request)


def _why_not_located(result: GroundingResult, trace: Trace) -> str:
    if result.label is None:
        reason = f": {result.reason}" if result.reason else ""
        return f"Grounding found no {'further ' if trace.visited_labels else ''}clip{reason}."
    if result.label in trace.visited_labels:
        return f"Grounding pointed at {result.label} again, which was already visited."
    return f"Grounding named {result.label!r}, which is not a clip of this video."
