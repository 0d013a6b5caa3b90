"""Vision with a multimodal model, which gets frames of the window, each with its time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from longvideoagent.agents.prompts import default_layout
from longvideoagent.core.context import render_boxes
from longvideoagent.core.layout import PromptLayout, fill
from longvideoagent.core.protocol import TimedLine, escape_tags, parse_timed_lines, says_not_shown, without_reasoning
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.timefmt import MAX_CHARS_READ, times_in_s
from longvideoagent.core.types import Clip, Evidence, Jpeg, Message, Usage, VisionResult
from longvideoagent.media.frames import Frame
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, Model

FRAMES = 15
"""Frames of one look (public code's evaluators: 15)."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_MOMENT = re.compile(
    r"(?:\b(?:at|around|about|near|from)\s{1,3}|[(\[])(\d[\d:.]{0,12}\s?(?:s|sec|seconds?)?\b)", re.IGNORECASE
)
"""Durations, as in "for 3 s", do not count."""
MAX_EVIDENCE_CHARS = 200
"""Characters of a description without times, as evidence."""
MAX_IMAGE_BYTES = 15_000_000
"""Bytes of the frames of one look; servers refuse requests of some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class ModelVision:
    """Vision that calls a chat model. ``max_frames`` and ``max_image_bytes`` are its limits per request."""

    model: Model
    settings: CallSettings = DEFAULT_CALL_SETTINGS
    layout: PromptLayout | None = None
    """The wording; None: the default layout."""
    max_frames: int = FRAMES
    max_image_bytes: int = MAX_IMAGE_BYTES
    frame_numbers: tuple[int, int, int] | None = None
    """First, last and step of the frames of each clip, instead of ``max_frames``; see ``AgentConfig``."""

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """Return what the model says about frames spread evenly over the window.

        Lines of the reply that begin with a time become evidence; without them, the reply is evidence for the whole
        window. Raises ModelError if the model does not answer.
        """
        frames = await asyncio.to_thread(self._frames, request.window, video)
        if not frames:
            return VisionResult("No frame of these clips can be read.", is_found=False)
        layout = self.layout or default_layout()
        query = escape_tags(request.action.query)
        boxes = render_boxes(request.boxes, layout, request.window[0].label)
        text = fill(layout.vision_prompt, query=query, num_frames=len(frames), boxes=boxes)
        parts = [part for frame in frames for part in _frame_parts(frame, layout)]
        reply = await self.model.complete([Message(role="user", content=(*parts, text))], self.settings)
        usage = reply.usage + Usage(images=len(frames))
        description = without_reasoning(reply.text) or reply.reasoning.strip()
        is_found = not says_not_shown(description)
        evidence = tuple(_evidence(description, request.window))
        if is_found and not evidence:
            evidence = (_window_evidence(description, request.window, frames),)
        return VisionResult(description, evidence, usage, is_found, warnings=reply.warnings)

    def _frames(self, clips: Sequence[Clip], video: VideoReader) -> list[Frame]:
        """Read frames at the middles of equal parts of the window, or those of ``frame_numbers``; drop every other one
        while they are too large."""
        read = video.frames(self._times_s(clips))
        frames = [frame for frame in dict.fromkeys(read) if frame.is_complete()]
        while len(frames) > 1 and sum(len(frame.jpeg()) for frame in frames) > self.max_image_bytes:
            frames = frames[::2]
        return frames

    def _times_s(self, clips: Sequence[Clip]) -> list[float]:
        if self.frame_numbers is not None:
            first, last, step = self.frame_numbers
            return [
                time_s
                for clip in clips
                for number in range(first, last + 1, step)
                if (time_s := clip.start_s + (number - 1) / TVQA_FRAMES_PER_S) < clip.end_s
            ]
        start_s, end_s = clips[0].start_s, clips[-1].end_s
        step_s = (end_s - start_s) / self.max_frames
        return [start_s + (index + 0.5) * step_s for index in range(self.max_frames)]


def _frame_parts(frame: Frame, layout: PromptLayout) -> Iterator[str | Jpeg]:
    if layout.frame_label:
        yield fill(layout.frame_label, time_s=f"{frame.time_s:.1f}")
    yield Jpeg(frame.jpeg())


def _evidence(text: str, clips: Sequence[Clip]) -> list[Evidence]:
    """The lines of a description that begin with a time inside the window; without any, the sentences that name the
    time of a frame."""
    evidence = []
    for time_s, line in parse_timed_lines(text) or _timed_sentences(text):
        clip = next((clip for clip in clips if clip.start_s <= time_s <= clip.end_s), None)
        if clip is not None:
            evidence.append(Evidence(clip.label, time_s, time_s, "frame", time_s, line, clip.video))
    return evidence


def _timed_sentences(text: str) -> Iterator[TimedLine]:
    """The sentences that say at which time something is seen, such as "At 12 s a sign is shown."."""
    for sentence in _SENTENCE_END.split(text[:MAX_CHARS_READ]):
        for moment in _MOMENT.findall(sentence):
            for time_s in times_in_s(moment):
                yield TimedLine(time_s, sentence.strip())


def _window_evidence(text: str, clips: Sequence[Clip], frames: Sequence[Frame]) -> Evidence:
    """The frames in view as one piece of evidence: the window, and the time of its middle frame."""
    time_s = frames[len(frames) // 2].time_s
    clip = next((clip for clip in clips if clip.start_s <= time_s <= clip.end_s), clips[0])
    summary = " ".join(text.split())
    if len(summary) > MAX_EVIDENCE_CHARS:
        summary = summary[:MAX_EVIDENCE_CHARS].rpartition(" ")[0] + " …"
    return Evidence(clip.label, clips[0].start_s, clips[-1].end_s, "frame", time_s, summary, clip.video)
