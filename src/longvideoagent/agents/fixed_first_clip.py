"""Grounding whose first clip is given: known from the data set, drawn at random, or located in advance."""

from __future__ import annotations

from dataclasses import dataclass, replace

from longvideoagent.agents.base import Grounding
from longvideoagent.agents.offline.windows import WindowGrounding
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.types import GroundingResult
from longvideoagent.media.readers.base import VideoReader


@dataclass(frozen=True, slots=True)
class FixedFirstClip:
    """Returns ``label`` to the first request, and asks ``agent`` from the second request on."""

    label: str | None
    """None where grounding found no clip in advance."""
    agent: Grounding
    reason: str = ""

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """See the class."""
        if request.trace.first_grounding is None:
            return GroundingResult(self.label, self.reason)
        return await self.agent.locate(request, video)


def with_first_clip(agent: Grounding, label: str | None, reason: str = "") -> Grounding:
    """The grounding agent ``agent`` with a given first clip; that of a reader still quotes its windows.

    Args:
        agent: Locates the further clips.
        label: The first clip; None where grounding found none in advance.
        reason: Why it is the first.
    """
    if isinstance(agent, WindowGrounding):
        return replace(agent, agent=FixedFirstClip(label, agent.agent, reason))
    return FixedFirstClip(label, agent, reason)
