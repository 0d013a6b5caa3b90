"""Vision played by a multimodal model: it is shown frames of the window, each with its time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from longvideoagent.core.protocol import escape_tags, parse_timed_lines, says_not_shown, without_reasoning
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import Clip, Evidence, Jpeg, Message, Usage, VisionResult
from longvideoagent.media.frames import Frame
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.models.base import DEFAULTS, CallSettings, Model

FRAMES = 15
"""Frames shown in one look (public code's evaluators: 15)."""
HEAVIEST_LOOK = 15_000_000
"""Bytes of frames shown in one look; servers refuse requests of some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class ModelVision:
    """``max_frames`` and ``max_image_bytes`` are what the model takes in one request."""

    model: Model
    settings: CallSettings = DEFAULTS
    prompt: str | None = None
    max_frames: int = FRAMES
    max_image_bytes: int = HEAVIEST_LOOK

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """What the model says of frames spread evenly over the window, with the lines that carry a
        time as evidence. Raises ModelError when the model is down."""
        frames = await asyncio.to_thread(self._frames, request.clips, video)
        if not frames:
            return VisionResult("No frame of these clips can be read.", is_found=False)
        text = Template(self.prompt if self.prompt is not None else vision_prompt()).safe_substitute(
            query=escape_tags(request.query)
        )
        shown = [part for frame in frames for part in (f"{frame.time_s:.1f} s:", Jpeg(frame.jpeg()))]
        reply = await self.model.complete([Message(role="user", content=(*shown, text))], self.settings)
        spent = reply.usage + Usage(images=len(frames))
        told = without_reasoning(reply.text) or reply.reasoning.strip()
        return VisionResult(told, tuple(_evidence(told, request.clips)), spent, not says_not_shown(told))

    def _frames(self, clips: Sequence[Clip], video: VideoReader) -> list[Frame]:
        """Readable frames at the middles of equal parts of the window, fewer where they weigh too much."""
        start_s, end_s = clips[0].start_s, clips[-1].end_s
        step_s = (end_s - start_s) / self.max_frames
        taken = video.frames([start_s + (index + 0.5) * step_s for index in range(self.max_frames)])
        frames = [frame for frame in dict.fromkeys(taken) if frame.is_complete()]
        while len(frames) > 1 and sum(len(frame.jpeg()) for frame in frames) > self.max_image_bytes:
            frames = frames[::2]
        return frames


@cache
def vision_prompt() -> str:
    """The shipped wording."""
    return resources.files("longvideoagent.agents.prompts").joinpath("vision.txt").read_text(encoding="utf-8")


def _evidence(text: str, clips: Sequence[Clip]) -> list[Evidence]:
    """The lines that begin with a second inside the window."""
    found = []
    for time_s, told in parse_timed_lines(text):
        clip = next((clip for clip in clips if clip.start_s <= time_s <= clip.end_s), None)
        if clip is not None:
            found.append(Evidence(clip.label, time_s, time_s, "frame", time_s, told))
    return found
