"""What is found in the lines of a video, as dicts for the page's API and for the tools of assistants."""

from __future__ import annotations

from typing import Any

from longvideoagent.core.types import Subtitle, Timeline
from longvideoagent.errors import UsageError
from longvideoagent.index.chapters import find_chapters
from longvideoagent.index.lines import Occurrence, occurrences, parse_words
from longvideoagent.index.query import query_timeline
from longvideoagent.media.text_columns import QUOTED

MAX_LINES = 500
"""Lines that one search returns."""
MAX_OCCURRENCES = 400
"""Occurrences that one query returns to an assistant."""


def search_lines(timeline: Timeline, words: str, start_s: float = 0.0, end_s: float | None = None) -> dict[str, Any]:
    """Search the lines of a video: subtitles, speech, and text on screen.

    Args:
        timeline: The lines.
        words: What a line must have, as in ``find`` of ``query_timeline``.
        start_s: Lines that end before it, in seconds, are left out.
        end_s: Lines that start after it, in seconds, are left out; None for the end of the video.

    Returns:
        ``num_lines`` and ``num_occurrences`` of all that match, and the first ``MAX_LINES`` of them as
        ``lines``, in order of time.

    Raises:
        UsageError: There are no words, or the span is empty or after the end of the video.
    """
    if not words.strip():
        raise UsageError("words: there are none to search for; give at least one")
    start_s, end_s = check_span(timeline, start_s, end_s)
    found = [*occurrences(words, timeline), *_screen_occurrences(words, timeline)]
    found = [each for each in found if each.line.end_s > start_s and each.line.start_s <= end_s]
    found.sort(key=lambda each: each.line.start_s)
    return {
        "num_lines": len(found),
        "num_occurrences": sum(each.count for each in found),
        "lines": [
            {
                "start_s": each.line.start_s,
                "end_s": each.line.end_s,
                "text": each.line.text,
                "source": each.line.source,
                "clip": each.clip.label,
                "count": each.count,
            }
            for each in found[:MAX_LINES]
        ],
    }


def lines_to_dicts(timeline: Timeline) -> list[dict[str, Any]]:
    """What is said, shown as text, heard and seen, in order of time: spans with their ``text`` and ``source``:
    ``subtitle``, ``screen``, ``sound`` or ``object``."""
    lines = [*timeline.subtitles, *screen_lines(timeline)]
    rows = [{"start_s": each.start_s, "end_s": each.end_s, "text": each.text, "source": each.source} for each in lines]
    for source, events in (("sound", timeline.sounds), ("object", timeline.objects)):
        rows += [
            {"start_s": each.start_s, "end_s": each.end_s, "text": each.label, "source": source}
            for each in events or ()
        ]
    return sorted(rows, key=lambda row: row["start_s"])


def screen_lines(timeline: Timeline) -> list[Subtitle]:
    """The texts on screen of a video whose lines are spoken, as lines: the pieces of a column in one."""
    return [
        Subtitle(each.start_s, each.end_s, ", ".join(QUOTED.findall(each.text)), "screen")
        for each in timeline.screen_texts
    ]


def _screen_occurrences(words: str, timeline: Timeline) -> list[Occurrence]:
    query = parse_words(words, (), timeline.language)
    counted = ((line, query.count(line.text)) for line in screen_lines(timeline))
    return [Occurrence(timeline.clip_at(line.start_s), line, count) for line, count in counted if count]


def perform_query(timeline: Timeline, query: str) -> dict[str, Any]:
    """Perform a query of ``query_timeline``; ``occurrences`` has the first of all ``num_occurrences``."""
    result = query_timeline(query, timeline)
    return {
        "text": result.text,
        "value": result.value,
        "is_found": result.is_found,
        "num_occurrences": len(result.evidence),
        "occurrences": [
            {
                "start_s": each.start_s,
                "end_s": each.end_s,
                "text": each.text,
                "kind": each.kind,
                "clip": each.clip,
            }
            for each in result.evidence[:MAX_OCCURRENCES]
        ],
    }


def chapters_to_dicts(timeline: Timeline) -> list[dict[str, Any]]:
    """The chapters of a video, each with the lines that say most of it."""
    return [
        {
            "start_s": chapter.start_s,
            "end_s": chapter.end_s,
            "title": chapter.title,
            "key_lines": [{"start_s": line.start_s, "text": line.text} for line in chapter.key_lines],
        }
        for chapter in find_chapters(timeline)
    ]


def check_span(timeline: Timeline, start_s: float, end_s: float | None) -> tuple[float, float]:
    """The span with its end. Raises UsageError if it is empty or after the end of the video."""
    duration_s = timeline.duration_s
    last_s = duration_s if end_s is None else end_s
    if not start_s < last_s or start_s >= duration_s:
        raise UsageError(f"{start_s:g} to {last_s:g} s: not a span of this video, which has {duration_s:.1f} s")
    return start_s, last_s
