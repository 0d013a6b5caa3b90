"""A summary of a video, chapter by chapter: the lines that say most of each, or what a model writes about them. Of a
video without lines, what detectors heard and saw."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from longvideoagent.core.protocol import escape_tags, without_reasoning
from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Message, Reply, Subtitle, Timeline, Usage
from longvideoagent.errors import ModelError
from longvideoagent.index.chapters import Chapter, find_chapters
from longvideoagent.index.query_events import span
from longvideoagent.models.base import CallSettings, Model, charge, failed_usage, with_charge
from longvideoagent.progress import Progress, no_progress

MAX_CHAPTER_CHARS = 24_000
"""Of a chapter's lines, for a model; of a longer one some are left out, evenly spread."""
MAX_SPANS = 5
"""Times of one kind of sound or object in a summary of a video without lines."""
ONLY_DETECTIONS = "no subtitles, speech or text on screen: this lists what detectors found; give --subtitles FILE"
CHAPTER_PROMPT = (
    "Above are the lines of one part of a video, each with its time. Write one to three sentences on what happens or "
    "is said in it. Use only what the lines say, and write in their language. After each sentence give the time of the "
    "line that it rests on, as [m:ss]. Write nothing else."
)
VIDEO_PROMPT = (
    "Above are summaries of the parts of a video, in order. Write two to five sentences on the whole of it, in the "
    "same language. Use only what they say. Write nothing else."
)


@dataclass(frozen=True, slots=True)
class ChapterSummary:
    """A chapter, and what it says."""

    chapter: Chapter
    text: str = ""
    """What a model wrote, or what detectors found in a video without lines; else empty."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of a video."""

    chapters: tuple[ChapterSummary, ...]
    """In order of time."""
    duration_s: float
    text: str = ""
    """On the whole video, by a model; empty without one, and for a video of one chapter."""
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[str, ...] = ()
    """What was left out or cut."""


def outline(timeline: Timeline) -> Summary:
    """A summary without a model: the chapters with their key lines. A video without lines is one chapter, with what
    detectors found in it and a warning that says so."""
    text = "" if timeline.subtitles else _detections_text(timeline)
    chapters = tuple(ChapterSummary(chapter, text) for chapter in find_chapters(timeline))
    return Summary(chapters, timeline.duration_s, warnings=(ONLY_DETECTIONS,) if text else ())


def _detections_text(timeline: Timeline) -> str:
    """What detectors heard and saw, each kind once with its times; empty if that is nothing."""
    sentences = []
    for perceived, events in (("heard", timeline.sounds), ("saw", timeline.objects)):
        spans: dict[str, list[str]] = {}
        for event in events or ():
            spans.setdefault(event.label, []).append(span(event))
        if spans:
            kinds = "; ".join(f"{label} ({_first_spans(times)})" for label, times in spans.items())
            sentences.append(f"A detector {perceived}: {kinds}.")
    return " ".join(sentences)


def _first_spans(spans: Sequence[str]) -> str:
    num_more = len(spans) - MAX_SPANS
    others = f" and {num_more} more {plural('time', num_more)}" if num_more > 0 else ""
    return f"{', '.join(spans[:MAX_SPANS])}{others}"


async def summarize(
    timeline: Timeline, model: Model, settings: CallSettings, progress: Progress = no_progress
) -> Summary:
    """Have a model write a summary: one request for each chapter with lines, and one for the whole.

    Args:
        timeline: The lines of the video.
        model: The model; the caller closes it.
        settings: How it is called.
        progress: Called after each chapter.

    Returns:
        The summary, with its usage.

    Raises:
        ModelError: A request failed, or a reply is empty. It carries the usage of the others.
    """
    chapters = find_chapters(timeline)
    writer = _Writer(model, replace(settings, stop_at_action=False, actions_anywhere=False, tools=()), progress)
    texts = await writer.chapters(chapters, timeline.subtitles)
    written = [text for text in texts if text]
    text = "" if len(written) < 2 else await with_charge(writer.ask("\n\n".join(written), VIDEO_PROMPT), writer.usage)
    summaries = tuple(ChapterSummary(*each) for each in zip(chapters, texts, strict=True))
    return Summary(summaries, timeline.duration_s, text, writer.usage, tuple(dict.fromkeys(writer.warnings)))


class _Writer:
    """Asks a model, and counts what that costs."""

    def __init__(self, model: Model, settings: CallSettings, progress: Progress) -> None:
        self._model = model
        self._settings = settings
        self._progress = progress
        self.usage = Usage()
        self.warnings: list[str] = []

    async def chapters(self, chapters: Sequence[Chapter], lines: Sequence[Subtitle]) -> list[str]:
        """The text of each chapter; the requests are sent at once, and the model's limits decide how many run."""
        done = 0

        async def write(chapter: Chapter) -> str:
            nonlocal done
            inside = [line for line in lines if chapter.start_s <= line.start_s < chapter.end_s]
            text = await self.ask(self._material(chapter, inside), CHAPTER_PROMPT) if inside else ""
            done += 1
            self._progress("summarizing", done / (len(chapters) + 1))
            return text

        tasks = [asyncio.ensure_future(write(chapter)) for chapter in chapters]
        try:
            return await asyncio.gather(*tasks)
        except ModelError as error:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            lost = [failed_usage(each) for each in ended if isinstance(each, ModelError) and each is not error]
            raise charge(error, sum(lost, self.usage)) from None

    async def ask(self, material: str, instruction: str) -> str:
        """What the model writes about the material."""
        message = Message(role="user", content=f"{material}\n\n{instruction}")
        reply = await self._model.complete([message], self._settings)
        self.usage += replace(reply.usage, calls=1)
        self._note(reply)
        text = " ".join(without_reasoning(reply.text).split())
        if not text:
            raise ModelError("the model wrote no summary; give another with -m, or raise --max-reply-tokens")
        return text

    def _note(self, reply: Reply) -> None:
        self.warnings += reply.warnings
        if reply.is_truncated:
            self.warnings.append("a part of the summary was cut at the reply limit; raise --max-reply-tokens")

    def _material(self, chapter: Chapter, lines: Sequence[Subtitle]) -> str:
        written = [f"[{format_timestamp(line.start_s)}] {escape_tags(line.text)}" for line in lines]
        step = -(-sum(map(len, written)) // MAX_CHAPTER_CHARS)
        if step > 1:
            start = format_timestamp(chapter.start_s)
            left_out = len(written) - len(written[::step])
            self.warnings.append(
                f"the chapter at {start} is long: {left_out} of its {len(written)} lines were left out"
            )
        return "\n".join(written[::step])
