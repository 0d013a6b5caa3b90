"""Chapters and summaries as text, as Markdown, as WebVTT for players, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from longvideoagent.agents.summary import ChapterSummary, Summary
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Subtitle
from longvideoagent.index.chapters import Chapter
from longvideoagent.media.subtitles import subtitle_text
from longvideoagent.views.forms import Form, SummaryForm

UNTITLED = "Untitled"


def chapters_text(chapters: Sequence[Chapter], form: Form) -> str:
    """Write chapters.

    Args:
        chapters: The chapters, in order of time.
        form: How to write them.

    Returns:
        The text, which ends with a line break. Times in JSON are seconds.
    """
    match form:
        case Form.JSON:
            return json.dumps({"chapters": [asdict(chapter) for chapter in chapters]}, indent=1) + "\n"
        case Form.VTT:
            cues = [Subtitle(each.start_s, each.end_s, each.title or UNTITLED) for each in chapters]
            return subtitle_text(cues, "vtt")
        case Form.MARKDOWN:
            return "\n".join(_markdown(ChapterSummary(chapter)) for chapter in chapters)
        case Form.TEXT:
            return "".join(f"{_title(each)}\n" for each in chapters)


def summary_text(summary: Summary, form: SummaryForm) -> str:
    """Write a summary.

    Args:
        summary: The summary.
        form: How to write it.

    Returns:
        The text, which ends with a line break. Times in JSON are seconds.
    """
    match form:
        case SummaryForm.JSON:
            rows = [asdict(each.chapter) | {"text": each.text} for each in summary.chapters]
            fields = {"text": summary.text, "duration_s": summary.duration_s, "chapters": rows}
            return json.dumps(fields | {"warnings": summary.warnings, "usage": asdict(summary.usage)}, indent=1) + "\n"
        case SummaryForm.MARKDOWN:
            whole = [f"{_escaped(summary.text)}\n"] if summary.text else []
            return "\n".join([*whole, *map(_markdown, summary.chapters)])
        case SummaryForm.TEXT:
            return "\n".join(_text_parts(summary))


def _text_parts(summary: Summary) -> Iterator[str]:
    if summary.text:
        yield f"{summary.text}\n"
    for each in summary.chapters:
        lines = [each.text] if each.text else [_line(line) for line in each.chapter.key_lines]
        yield "".join([f"{_title(each.chapter)}\n", *(f"{'':10}{line}\n" for line in lines)])


def _title(chapter: Chapter) -> str:
    return f"{format_timestamp(chapter.start_s):>8}  {chapter.title or UNTITLED}"


def _line(line: Subtitle) -> str:
    return f"{format_timestamp(line.start_s)} {line.text}"


def _markdown(summary: ChapterSummary) -> str:
    chapter = summary.chapter
    heading = f"## {format_timestamp(chapter.start_s)} {_escaped(chapter.title or UNTITLED)}"
    lines = [f"- {_escaped(_line(line))}" for line in chapter.key_lines]
    return "\n".join([heading, "", *([_escaped(summary.text)] if summary.text else lines), ""])


def _escaped(text: str) -> str:
    """The text without marks that Markdown reads as HTML, links or emphasis."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|" else char for char in text)
