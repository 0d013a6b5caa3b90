"""Chapters as text, as Markdown with their key lines, as WebVTT for players, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Subtitle
from longvideoagent.index.chapters import Chapter
from longvideoagent.media.subtitles import subtitle_text

FORMS = ("text", "markdown", "vtt", "json")
UNTITLED = "Untitled"


def chapters_text(chapters: Sequence[Chapter], form: str) -> str:
    """Write chapters.

    Args:
        chapters: The chapters, in order of time.
        form: One of ``FORMS``.

    Returns:
        The text, which ends with a line break. Times in JSON are seconds.
    """
    if form == "json":
        rows = [asdict(chapter) for chapter in chapters]
        return json.dumps({"chapters": rows}, indent=1) + "\n"
    if form == "vtt":
        cues = [Subtitle(each.start_s, each.end_s, each.title or UNTITLED) for each in chapters]
        return subtitle_text(cues, "vtt")
    if form == "markdown":
        return "\n".join(_markdown(chapter) for chapter in chapters)
    return "".join(f"{format_timestamp(each.start_s):>8}  {each.title or UNTITLED}\n" for each in chapters)


def _markdown(chapter: Chapter) -> str:
    heading = f"## {format_timestamp(chapter.start_s)} {_escaped(chapter.title or UNTITLED)}"
    lines = [f"- {format_timestamp(line.start_s)} {_escaped(line.text)}" for line in chapter.key_lines]
    return "\n".join([heading, "", *lines, ""])


def _escaped(text: str) -> str:
    """The text without marks that Markdown reads as HTML, links or emphasis."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|" else char for char in text)
