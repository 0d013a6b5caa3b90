"""The windows of lines around the places where a question is likeliest answered, for a model that reads little."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from longvideoagent.agents.base import Grounding
from longvideoagent.agents.offline.grounding import lines_of
from longvideoagent.agents.offline.places import score_places, spoken_lines
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.types import Evidence, GroundingResult, Question, Timeline
from longvideoagent.index.terms import terms
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.text_language import ENGLISH

NUM_WINDOWS, WINDOW_LINES = 3, 15
"""Windows, and lines of each: about a minute of dialogue. A pause counts as lines (``line_index.line_positions``)."""

MAX_OF_A_KIND = 5
"""Texts on screen, sounds and objects of a window that are quoted with its lines."""


class Window(NamedTuple):
    """Neighbouring lines, in order of time."""

    lines: tuple[Evidence, ...]
    best: Evidence
    """The one that shares most with the question and its options, of equal ones that of the likeliest place."""


def locate_windows(lines: Iterable[Evidence], question: Question, language: str = ENGLISH) -> list[Window]:
    """Up to ``NUM_WINDOWS`` windows around the likeliest places, in order of time; no line is in two of them.
    ``language``: that of the lines."""
    ordered = tuple(sorted(dict.fromkeys(lines), key=lambda line: (line.start_s, line.end_s)))
    if not ordered:
        return []
    spoken = spoken_lines(ordered, language)
    scores, is_free = score_places(spoken, question), np.ones(len(ordered), dtype=bool)
    matches = spoken.terms.scores(terms(" ".join([question.text, *question.options]), language), 1)
    windows: list[Window] = []
    while is_free.any() and len(windows) < NUM_WINDOWS:
        place = int(np.argmax(np.where(is_free, scores, -np.inf)))
        inside = np.flatnonzero(is_free & (abs(spoken.positions - spoken.positions[place]) <= WINDOW_LINES // 2))
        is_free[inside] = False
        best = max(inside.tolist(), key=lambda number: (matches[number], number == place))
        windows.append(Window(tuple(ordered[number] for number in inside), ordered[best]))
    return sorted(windows, key=lambda window: window.lines[0].start_s)


@dataclass(frozen=True, slots=True)
class WindowGrounding:
    """The grounding agent ``agent``, whose first result quotes the windows of the whole video as well."""

    agent: Grounding

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """Locate a clip as ``agent`` does; the first time, quote the windows as further evidence."""
        result = await self.agent.locate(request, video)
        question = request.trace.question
        if request.trace.first_grounding is not None or not question.options:
            return result
        spoken, language = lines_of(request.timeline)[0], request.timeline.language
        windows = await asyncio.to_thread(lambda: locate_windows(spoken, question, language))
        quoted = [each for window in windows for each in (*window.lines, *_besides_lines(window, request.timeline))]
        return replace(result, evidence=tuple(dict.fromkeys((*result.evidence, *quoted))))


def _besides_lines(window: Window, timeline: Timeline) -> list[Evidence]:
    """What the index has besides lines, as far as it begins in a window: texts on screen, sounds and objects."""
    start_s, end_s = window.lines[0].start_s, window.lines[-1].end_s
    kinds = (timeline.screen_texts, timeline.sounds or (), timeline.objects or ())
    inside = ([each for each in events if start_s <= each.start_s <= end_s] for events in kinds)
    return [each for events in inside for each in events[:MAX_OF_A_KIND]]
