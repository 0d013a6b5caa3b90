"""Grounding played by a chat model: it reads the subtitles of the whole video and names a clip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

from longvideoagent.errors import ContextOverflowError
from longvideoagent.media.sheet import contact_sheets
from longvideoagent.media.video import Video
from longvideoagent.models.base import CallSettings, Model
from longvideoagent.protocol import clock, defuse, parse_clips
from longvideoagent.rollout import AskGrounding
from longvideoagent.trace import Trace
from longvideoagent.types import Clip, Evidence, Grounded, Message, Picture, Reply, Seen, Timeline

SETTINGS = CallSettings(max_tokens=512)
MOST_CANDIDATES = 3
LEAST_SHARE = 1 / 16
"""Subtitles are not shortened below this share to fit a model's context."""


@dataclass(frozen=True, slots=True)
class ModelGrounding:
    """Subtitles stand before the question, so that questions about one video share their beginning
    and a server's prefix cache works. A video without text is shown as contact sheets instead."""

    model: Model
    settings: CallSettings = SETTINGS
    prompt: str | None = None

    async def locate(self, request: AskGrounding, video: Video) -> Grounded:
        """The likeliest clip not yet visited. A label that does not exist is asked for again once, and
        then handed on for the loop to refuse. Raises ModelError when the model is down."""
        has_text = bool(request.timeline.subtitles)
        sheets = () if has_text else await asyncio.to_thread(contact_sheets, video, request.timeline)
        reply, message, shortened = await self._ask(request, sheets)
        named, usage = parse_clips(reply.text), reply.usage
        if not self._usable(named, request):
            again = await self.model.complete(_repair(message, reply, request.timeline), self.settings)
            named, usage = parse_clips(again.text) or named, usage + again.usage
        if not named:
            return Grounded(None, "the grounding agent named no clip", usage=usage)
        label, reason = (self._usable(named, request) or named)[0]
        clip = request.timeline.find(label)
        note = f"{reason} {shortened}".strip()
        return Grounded(label, note, _lines(clip), usage)

    @staticmethod
    def _usable(named: Sequence[tuple[str, str]], request: AskGrounding) -> list[tuple[str, str]]:
        """Those that exist and are new."""
        visited = request.trace.visited
        return [(label, reason) for label, reason in named if request.timeline.find(label) and label not in visited]

    async def _ask(self, request: AskGrounding, sheets: tuple[Picture, ...]) -> tuple[Reply, Message, str]:
        """The reply, the message it answers, and a note where subtitles had to be left out."""
        share = 1.0
        while True:
            text = self._prompt(request, share)
            message = Message(role="user", content=(*sheets, text) if sheets else text)
            try:
                reply = await self.model.complete([message], self.settings)
            except ContextOverflowError:
                share /= 2
                if share < LEAST_SHARE:
                    raise
            else:
                note = "" if share == 1.0 else f"(only {share:.0%} of each clip's subtitles fitted the model)"
                return reply, message, note

    def _prompt(self, request: AskGrounding, share: float) -> str:
        question = request.trace.question
        return Template(self.prompt if self.prompt is not None else grounding_prompt()).safe_substitute(
            subtitles=subtitle_block(request.timeline, share),
            visited=_told_visited(request.trace),
            most=MOST_CANDIDATES,
            question=defuse(question.text),
            options="".join(f"a{index}: {defuse(option)}\n" for index, option in enumerate(question.options)),
            request=f"Asked for now: {defuse(request.request)}" if request.request else "",
        )


def grounding_prompt() -> str:
    """The shipped wording."""
    return resources.files("longvideoagent.prompts").joinpath("grounding.txt").read_text(encoding="utf-8")


def subtitle_block(timeline: Timeline, share: float = 1.0) -> str:
    """All clips with their lines; of each clip the first ``share`` of them."""
    return "\n".join(_clip_block(clip, share) for clip in timeline.clips)


def _clip_block(clip: Clip, share: float) -> str:
    kept = clip.subtitles[: max(1, round(len(clip.subtitles) * share))]
    head = f"[{clip.label}] {clock(clip.start_s)} to {clock(clip.end_s)}"
    return "\n".join([head, *(defuse(line.text) for line in kept)])


def _told_visited(trace: Trace) -> str:
    """Which clips have been visited and what was seen there."""
    if not trace.visited:
        return ""
    seen = {each.clip: each.observation.text for each in trace.rounds if isinstance(each.observation, Seen)}
    told = [f"- {label}: {defuse(' '.join(seen.get(label, 'not looked at').split())[:300])}" for label in trace.visited]
    return "\nThese have been visited and did not settle it; name others:\n" + "\n".join(told)


def _repair(message: Message, reply: Reply, timeline: Timeline) -> list[Message]:
    """The same conversation, with a word on what was wrong."""
    labels = ", ".join(clip.label for clip in timeline.clips)
    wrong = f"That names no clip that is there and not yet visited. The labels are: {labels}. Use the form asked for."
    return [message, Message(role="assistant", content=reply.text or "(nothing)"), Message(role="user", content=wrong)]


def _lines(clip: Clip | None) -> tuple[Evidence, ...]:
    """The clip's span as evidence, by its first line."""
    if clip is None or not clip.subtitles:
        return ()
    return (Evidence.of_line(clip.label, clip.subtitles[0]),)
