"""The three agents side by side, and the one place where a request meets the agent it is for."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from longvideoagent.agents.parallel import parallel_looks
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Request, VisionRequest
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import AgentFailure, AgentName, GroundingResult, Reply, Result, Usage, VisionResult
from longvideoagent.errors import ModelError
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.models.base import Model
from longvideoagent.models.cache import KeyValueCache

R = TypeVar("R", Reply, GroundingResult, VisionResult)


class Master(Protocol):
    """Decides what to do next, from the trace alone."""

    async def reply(self, trace: Trace) -> Reply:
        """The next utterance, in the tag language. Raises ModelError when it is down."""


class Grounding(Protocol):
    """Finds the clip that matters."""

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """A clip not yet visited, or label None. Raises ModelError when it is down."""


class Vision(Protocol):
    """Says what frames show."""

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """What the request's clips show. Raises ModelError when it is down."""


@dataclass(frozen=True, slots=True)
class Team:
    """Who plays which role."""

    name: str
    master: Master
    grounding: Grounding
    vision: Vision
    models: tuple[Model, ...] = ()
    """The models behind the agents, each once."""
    memory: KeyValueCache | None = None
    """What has been found out before."""
    in_use: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)
    """Held while one event loop asks the team: its connections belong to that loop."""

    async def close(self) -> None:
        """Let go of connections and files; they come back when the team is asked again."""
        for model in self.models:
            await model.close()
        if self.memory is not None:
            self.memory.close()

    async def perform(self, request: Request, video: VideoReader) -> Result:
        """Have the agent answer the request. An agent that is down gives ``AgentFailure``, not an answer."""
        match request:
            case MasterRequest(trace):
                return await _timed("master", self.master.reply(trace))
            case GroundingRequest():
                return await _timed("grounding", self.grounding.locate(request, video))
            case VisionRequest():
                return await _timed("vision", parallel_looks(request, lambda each: self.vision.look(each, video)))


async def _timed(agent: AgentName, work: Awaitable[R]) -> R | AgentFailure:
    started = time.perf_counter()
    try:
        result = await work
    except ModelError as error:
        return AgentFailure(agent, str(error), Usage(calls=1, seconds=time.perf_counter() - started))
    spent = replace(result.usage, seconds=time.perf_counter() - started)
    return replace(result, usage=spent)
