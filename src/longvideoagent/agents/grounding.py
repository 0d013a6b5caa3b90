"""Grounding played by a chat model: it reads the subtitles of the whole video and names a clip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from string import Template
from typing import Any

from longvideoagent.agents.subsample import LEAST_SHARE, ask_shortened
from longvideoagent.core.protocol import escape_tags, format_timestamp, parse_clips
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import (
    Candidate,
    Clip,
    Evidence,
    GroundingResult,
    Jpeg,
    Message,
    Reply,
    Timeline,
    Usage,
    VisionResult,
)
from longvideoagent.media.contact_sheet import contact_sheets
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.models.base import CallSettings, Model

SETTINGS = CallSettings(max_tokens=512)
MOST_CANDIDATES = 3
TAG_FORM = "one a line, in exactly this form, with a short reason behind it:\n<clip>LABEL</clip> reason"
JSON_FORM = 'as JSON in this form:\n{"clips": [{"label": "LABEL", "reason": "a short reason"}]}'


@dataclass(frozen=True, slots=True)
class ModelGrounding:
    """Subtitles stand before the question, so that questions about one video share their beginning
    and a server's prefix cache works. A video without text is shown as contact sheets instead."""

    model: Model
    settings: CallSettings = SETTINGS
    prompt: str | None = None
    structured_output: bool = False
    """Whether a JSON schema that allows none but the labels still open is sent along."""

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """The likeliest clip not yet visited, and the next likely ones. A label that does not exist is
        asked for again once, and then handed on for the loop to refuse. Raises ModelError when the
        model is down."""
        left = [clip.label for clip in request.timeline.clips if clip.label not in request.trace.visited]
        if not left:
            return GroundingResult(None, "every clip has been visited")
        settings = replace(self.settings, schema=_schema(left)) if self.structured_output else self.settings
        has_text = bool(request.timeline.subtitles)
        sheets = () if has_text else await asyncio.to_thread(contact_sheets, video, request.timeline)
        least = 1.0 if sheets else LEAST_SHARE  # sheets cannot be shortened
        message: Message

        async def ask(share: float) -> Reply:
            nonlocal message
            message = self._message(request, sheets, share)
            return await self.model.complete([message], settings)

        async def ask_again(share: float) -> Reply:
            asked = message if share == 1.0 else self._message(request, sheets, share)
            return await self.model.complete(_repair(asked, reply, left), settings)

        reply = await ask_shortened("grounding", ask, least)
        named, usage = parse_clips(reply.text), reply.usage + Usage(images=len(sheets))
        warnings = reply.warnings
        if not _open(named, left):
            again = await ask_shortened("grounding", ask_again, least)
            named, usage = parse_clips(again.text) or named, usage + again.usage + Usage(images=len(sheets))
            warnings = tuple(dict.fromkeys((*warnings, *again.warnings)))
        if not named:
            return GroundingResult(None, "the grounding agent named no clip", usage=usage, warnings=warnings)
        (label, reason), *others = _open(named, left) or named
        lines = _lines(request.timeline.find(label))
        candidates = tuple(Candidate(other, why) for other, why in others)
        return GroundingResult(label, reason, lines, usage, candidates, warnings)

    def _message(self, request: GroundingRequest, sheets: tuple[Jpeg, ...], share: float) -> Message:
        question = request.trace.question
        text = Template(self.prompt if self.prompt is not None else grounding_prompt()).safe_substitute(
            subtitles=subtitle_block(request.timeline, share),
            visited=_told_visited(request.trace),
            most=MOST_CANDIDATES,
            form=JSON_FORM if self.structured_output else TAG_FORM,
            question=escape_tags(question.text),
            options="".join(f"a{index}: {escape_tags(option)}\n" for index, option in enumerate(question.options)),
            request=f"Asked for now: {escape_tags(request.request)}" if request.request else "",
        )
        return Message(role="user", content=(*sheets, text) if sheets else text)


def _open(named: Sequence[tuple[str, str]], left: Sequence[str]) -> list[tuple[str, str]]:
    """Those that exist and have not been visited."""
    return [(label, reason) for label, reason in named if label in left]


def _schema(labels: Sequence[str]) -> dict[str, Any]:
    """Some of these labels, each with a reason, as a JSON schema."""
    clip = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(labels)}, "reason": {"type": "string"}},
        "required": ["label", "reason"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"clips": {"type": "array", "items": clip}},
        "required": ["clips"],
        "additionalProperties": False,
    }


@cache
def grounding_prompt() -> str:
    """The shipped wording."""
    return resources.files("longvideoagent.agents.prompts").joinpath("grounding.txt").read_text(encoding="utf-8")


@lru_cache(maxsize=16)
def subtitle_block(timeline: Timeline, share: float = 1.0) -> str:
    """All clips with their lines, or with that share of them; built once for the questions about a video."""
    return "\n".join(_clip_block(clip.subsample(share)) for clip in timeline.clips)


def _clip_block(clip: Clip) -> str:
    head = f"[{clip.label}] {format_timestamp(clip.start_s)} to {format_timestamp(clip.end_s)}"
    return "\n".join([head, *(f"- {escape_tags(line.text)}" for line in clip.subtitles)])


def _told_visited(trace: Trace) -> str:
    """Which clips have been visited and what was seen there."""
    if not trace.visited:
        return ""
    seen: dict[str, list[str]] = {}
    for each in trace.rounds:
        if isinstance(each.observation, VisionResult) and each.clip is not None:
            seen.setdefault(each.clip, []).append(" ".join(each.observation.text.split())[:300])
    told = [f"- {label}: {escape_tags(' / '.join(seen.get(label, ['not looked at'])))}" for label in trace.visited]
    return "\nThese have been visited and did not settle it; name others:\n" + "\n".join(told)


def _repair(message: Message, reply: Reply, left: Sequence[str]) -> list[Message]:
    """The same conversation, with a word on what was wrong."""
    wrong = (
        f"That names no clip that is there and not yet visited. There are: {', '.join(left)}. Use the form asked for."
    )
    return [message, Message(role="assistant", content=reply.text or "…"), Message(role="user", content=wrong)]


def _lines(clip: Clip | None) -> tuple[Evidence, ...]:
    """The clip's span as evidence, by its first line."""
    if clip is None or not clip.subtitles:
        return ()
    return (Evidence.of_line(clip.label, clip.subtitles[0]),)
