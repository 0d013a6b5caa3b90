"""The protocols of the three agents, and the one place where a request reaches the agent that performs it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar, assert_never

from longvideoagent.agents.parallel import look_in_parallel
from longvideoagent.core.actions import AgentName
from longvideoagent.core.outcome import StopReason
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Request, TimelineRequest, VisionRequest
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import (
    AgentFailure,
    GroundingResult,
    Reply,
    Result,
    Timeline,
    TimelineResult,
    VisionResult,
)
from longvideoagent.errors import ContextOverflowError, ModelError, TransientError
from longvideoagent.index.open import index_scenes
from longvideoagent.index.query import is_for_scenes, query_timeline
from longvideoagent.index.store import KeyValueCache
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.models.base import Model, failed_usage

R = TypeVar("R", Reply, GroundingResult, VisionResult, TimelineResult)


class Master(Protocol):
    """Decides what to do next, from the trace alone."""

    async def reply(self, trace: Trace) -> Reply:
        """Return the next reply, in the tag language. Raises ModelError if no model answers."""


class Grounding(Protocol):
    """Finds the clip that is relevant to the question."""

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """Return a clip that is not visited yet, or label None. Raises ModelError if no model answers."""


class Vision(Protocol):
    """Describes what frames show."""

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """Perform the request's action on its clips. Raises ModelError if no model answers."""


@dataclass(frozen=True, slots=True)
class Team:
    """The three agents, and what they share."""

    name: str
    """For people: ``offline``, or the models of the agents."""
    master: Master
    """Decides what to do next, and answers."""
    grounding: Grounding
    """Locates clips."""
    vision: Vision
    """Describes frames."""
    models: tuple[Model, ...] = ()
    """The models behind the agents, each once."""
    offline_agents: frozenset[AgentName] = frozenset()
    """The agents that are embedded and call no model."""
    timeline_tools: bool = False
    """Whether its master knows how to query the timeline; the released checkpoints do not."""
    cache: KeyValueCache | None = None
    """Results of earlier runs, on disk; None to keep nothing."""
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)
    """Held while an event loop uses the team: its connections belong to that loop. A copy with other agents has the
    same models, and so the same lock."""

    async def close(self) -> None:
        """Close connections and files; the next request opens them again."""
        for model in self.models:
            await model.close()
        if self.cache is not None:
            await asyncio.to_thread(self.cache.close)

    async def perform(self, request: Request, video: VideoReader) -> Result:
        """Have the right agent perform a request.

        Args:
            request: What a rollout requests.
            video: Reads the frames of the video.

        Returns:
            The agent's result, with its usage. An agent that fails gives ``AgentFailure``, not an answer.

        Raises:
            DataError: A frame of the video cannot be read.
        """
        match request:
            case MasterRequest(trace):
                return await _timed("master", self.master.reply(trace))
            case GroundingRequest():
                return await _timed("grounding", self.grounding.locate(request, video))
            case VisionRequest():
                return await _timed("vision", look_in_parallel(request, lambda each: self.vision.look(each, video)))
            case TimelineRequest(query, timeline):
                return await asyncio.to_thread(_query, query, timeline, video)
            case _:
                assert_never(request)


def require_result(result: Result, kind: type[R]) -> R:
    """The result of a request that is answered with this kind. Raises ModelError if the agent failed."""
    if isinstance(result, AgentFailure):
        raise ModelError(result.message)
    assert isinstance(result, kind)
    return result


def _query(query: str, timeline: Timeline, video: VideoReader) -> TimelineResult:
    """What a query finds; the scenes of a video file are found when they are first asked for, which is quick."""
    if is_for_scenes(query) and not timeline.scene_starts_s and video.path.is_file():
        timeline = replace(timeline, scene_starts_s=index_scenes(video))
    return query_timeline(query, timeline)


async def _timed(agent: AgentName, work: Awaitable[R]) -> R | AgentFailure:
    started = time.perf_counter()
    try:
        result = await work
    except ModelError as error:
        usage = replace(failed_usage(error), calls=1, seconds=time.perf_counter() - started)
        return AgentFailure(agent, str(error), usage, _stop_reason(error))
    return replace(result, usage=replace(result.usage, seconds=time.perf_counter() - started))


def _stop_reason(error: ModelError) -> StopReason:
    if isinstance(error, ContextOverflowError):
        return StopReason.CONTEXT_OVERFLOW
    return StopReason.UNAVAILABLE if isinstance(error, TransientError) else StopReason.MODEL
