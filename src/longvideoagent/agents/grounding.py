"""Grounding with a chat model, which reads the subtitles of the whole video and names a clip."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from longvideoagent.agents.offline.grounding import locate as locate_by_retrieval
from longvideoagent.agents.offline.grounding import matching_lines
from longvideoagent.agents.prompts import default_layout
from longvideoagent.agents.subsample import MIN_FRACTION, complete_within_context
from longvideoagent.core.context import question_fields, raw_text
from longvideoagent.core.layout import PromptLayout, fill, head_of, template_fields
from longvideoagent.core.protocol import NamedClip, escape_tags, parse_clips, without_reasoning
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.timefmt import format_timestamp, times_in_s
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import (
    Candidate,
    Clip,
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
from longvideoagent.models.base import CallSettings, Model, with_charge

GROUNDING_SETTINGS = CallSettings(max_tokens=512)
MAX_CANDIDATES = 3
NO_CLIP_NAMED = "the grounding model named no clip of this video; retrieval over the subtitles chose one"
MAX_SUMMARY_CHARS = 300
"""Characters of what vision saw in a visited clip, as the prompt repeats it."""
TAG_FORM = "one a line, in exactly this form, with a short reason behind it:\n<clip>LABEL</clip> reason"
JSON_FORM = 'as JSON in this form:\n{"clips": [{"label": "LABEL", "reason": "a short reason"}]}'


@dataclass(frozen=True, slots=True)
class ModelGrounding:
    """Grounding that calls a chat model.

    Subtitles come before the question, so that the prompts for one video share a prefix and a server's prefix cache
    works. A video without text is shown as contact sheets instead.
    """

    model: Model
    settings: CallSettings = GROUNDING_SETTINGS
    layout: PromptLayout | None = None
    """The wording; None: the default layout."""
    structured_output: bool = False
    """Whether to send a JSON schema that allows only the labels not yet visited."""

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """Return the most likely clip that is not visited yet, and the next candidates.

        A video of one clip needs no call. If the model names no existing label, and no time of the video, it is asked
        once more; then retrieval over the subtitles decides, with a warning. Raises ModelError if the model does not
        answer.
        """
        unvisited = [clip.label for clip in request.timeline.clips if clip.label not in request.trace.visited_labels]
        if not unvisited:
            return GroundingResult(None, "every clip has been visited")
        if len(request.timeline.clips) == 1:
            return GroundingResult(unvisited[0], "the only clip", matching_lines(request, unvisited[0]))
        settings = replace(self.settings, json_schema=_schema(unvisited)) if self.structured_output else self.settings
        has_text = bool(request.timeline.subtitles)
        sheets = () if has_text else await asyncio.to_thread(contact_sheets, video, request.timeline)
        min_fraction = 1.0 if sheets else MIN_FRACTION  # sheets cannot be subsampled
        images = Usage(images=len(sheets))

        fitted = 1.0

        async def complete(fraction: float) -> Reply:
            nonlocal fitted
            fitted = fraction
            return await self.model.complete([self._message(request, sheets, fraction)], settings)

        reply = await complete_within_context("grounding", complete, min_fraction)
        clips, usage, warnings = (
            named_clips(reply.text, request.timeline, unvisited),
            reply.usage + images,
            reply.warnings,
        )
        if not clips:

            async def complete_again(fraction: float) -> Reply:
                chat = _repair(self._message(request, sheets, fitted * fraction), reply, unvisited)
                return await self.model.complete(chat, settings)

            second = await with_charge(complete_within_context("grounding", complete_again, min_fraction), usage)
            clips, usage = named_clips(second.text, request.timeline, unvisited), usage + second.usage + images
            warnings = tuple(dict.fromkeys((*warnings, *second.warnings)))
        if not clips:
            result = await asyncio.to_thread(locate_by_retrieval, request)
            return replace(result, usage=usage, warnings=(*warnings, NO_CLIP_NAMED))
        best, *rest = clips
        candidates = tuple(Candidate(clip.label, clip.reason) for clip in rest)
        return GroundingResult(
            best.label, best.reason, matching_lines(request, best.label), usage, candidates, warnings
        )

    def _message(self, request: GroundingRequest, sheets: tuple[Jpeg, ...], fraction: float) -> Message:
        question = request.trace.question
        layout, visited = self.layout or default_layout(), request.trace.visited_labels
        prompt = (layout.regrounding_prompt if visited else "") or layout.grounding_prompt
        names = template_fields(prompt)
        values: dict[str, object] = {
            "raw_subtitles": raw_subtitle_block(request.timeline, fraction) if "raw_subtitles" in names else "",
            "current": visited[-1] if visited else "",
            "subtitles": subtitle_block(request.timeline, fraction),
            "visited": _visited_text(request.trace),
            "max_clips": MAX_CANDIDATES,
            "reply_format": JSON_FORM if self.structured_output else TAG_FORM,
            "request": f"\nAsked for now: {escape_tags(request.request)}" if request.request else "",
            **question_fields(question, layout, prompt),
        }
        text = fill(prompt, **values)
        if sheets:
            return Message(role="user", content=(*sheets, text))
        shared = fill(head_of(prompt, "subtitles", "raw_subtitles"), **values)
        return Message(role="user", content=text, shared_chars=len(shared))


def named_clips(reply: str, timeline: Timeline, unvisited: Sequence[str]) -> list[NamedClip]:
    """The clips of a reply that exist and are not visited yet, in any form that leaves no doubt: the forms of
    ``parse_clips``, else up to three labels or numbers of clips anywhere, else up to three times."""
    named = [clip for clip in parse_clips(reply) if clip.label in unvisited]
    if named:
        return named
    mentions: dict[str, str] = {}
    for line in without_reasoning(reply).splitlines():
        for label in _labels_in(line, unvisited) or _clips_at(line, timeline, unvisited):
            mentions.setdefault(label, line.strip(" \t-*•`"))
    if len(mentions) > MAX_CANDIDATES:
        return []
    return [NamedClip(label, reason[:MAX_SUMMARY_CHARS]) for label, reason in mentions.items()]


def _labels_in(line: str, unvisited: Sequence[str]) -> list[str]:
    """The labels that a line names: as they are, else in another case, else by the number of the clip."""
    words = re.findall(r"[\w.-]*\w", line)
    folded = {label.casefold(): label for label in unvisited}
    numbered = {int(match[1]): label for label in unvisited if (match := re.fullmatch(r"c(\d{1,6})", label))}
    numbers = [int(number) for number in re.findall(r"\b(?:clip #?|c)(\d{1,6})\b", line, re.IGNORECASE)]
    return (
        [word for word in words if word in unvisited]
        or [folded[word.casefold()] for word in words if word.casefold() in folded]
        or [numbered[number] for number in numbers if number in numbered]
    )


def _clips_at(text: str, timeline: Timeline, unvisited: Sequence[str]) -> list[str]:
    """The labels of the clips at the times that a text names."""
    times = times_in_s(text)
    clips = [clip for time_s in times for clip in timeline.clips if clip.start_s <= time_s < clip.end_s]
    return [clip.label for clip in clips if clip.label in unvisited]


def _schema(labels: Sequence[str]) -> dict[str, Any]:
    """A JSON schema of some of these labels, each with a reason."""
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


@lru_cache(maxsize=16)
def raw_subtitle_block(timeline: Timeline, fraction: float = 1.0) -> str:
    """Render the text of all clips as the data set has it, each between tags that name the clip."""
    clips = [clip.subsample(fraction) for clip in timeline.clips]
    return "\n".join(f"<{clip.label}>{raw_text(clip)}</{clip.label}>" for clip in clips if clip.subtitles)


@lru_cache(maxsize=16)
def subtitle_block(timeline: Timeline, fraction: float = 1.0) -> str:
    """Render all clips with this fraction of their lines; cached for the questions about one video."""
    return "\n".join(_clip_block(clip.subsample(fraction)) for clip in timeline.clips)


def _clip_block(clip: Clip) -> str:
    head = f"[{clip.label}] {format_timestamp(clip.start_s)} to {format_timestamp(clip.end_s)}"
    return "\n".join([head, *(f"- {escape_tags(line.text)}" for line in clip.subtitles)])


def _visited_text(trace: Trace) -> str:
    """The visited clips, each with what vision saw in it."""
    if not trace.visited_labels:
        return ""
    summaries: dict[str, list[str]] = {}
    for round_ in trace.rounds:
        if isinstance(round_.observation, VisionResult) and round_.clip is not None:
            summary = " ".join(round_.observation.text.split())[:MAX_SUMMARY_CHARS]
            summaries.setdefault(round_.clip, []).append(summary)
    lines = [
        f"- {label}: {escape_tags(' / '.join(summaries.get(label, ['not looked at'])))}"
        for label in trace.visited_labels
    ]
    return "\nThese have been visited and did not settle it; name others:\n" + "\n".join(lines)


def _repair(message: Message, reply: Reply, unvisited: Sequence[str]) -> list[Message]:
    """The conversation so far, and a message that states what was wrong."""
    correction = (
        "That names no clip that is there and not yet visited. "
        f"There are: {', '.join(unvisited)}. Use the form asked for."
    )
    return [message, Message(role="assistant", content=reply.text or "…"), Message(role="user", content=correction)]
