"""Grounding by retrieval: the clips of the likely places, and BM25 over short windows of lines and over whole clips."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import bm25s
import numpy as np
from numpy.typing import NDArray

from longvideoagent.agents.offline.event_questions import absent_event, clip_labels, events_near
from longvideoagent.agents.offline.line_index import Scores
from longvideoagent.agents.offline.meaning import Meaning
from longvideoagent.agents.offline.parsed_question import parse_question
from longvideoagent.agents.offline.places import locate_places, score_places, spoken_lines
from longvideoagent.core.rollout import GroundingRequest
from longvideoagent.core.types import Candidate, Evidence, GroundingResult, Question, Subtitle, Timeline, Usage
from longvideoagent.index.terms import terms
from longvideoagent.media.readers.base import VideoReader

WINDOW_LINES = 3
CLIP_WEIGHT = 1.0
"""Weight of the whole clip's match relative to the best window's: a scene names its place once, so terms that belong
together need not be close together."""
OPTION_WEIGHT = 0.4
"""Weight of the best-matching option relative to the question."""
MATCH_WEIGHT = 0.5
"""Weight of a clip's BM25 match relative to the logarithm of the probability that the place is in the clip."""
MIN_LOG_PLACE = -100.0
"""The logarithm of the probability of a place in a clip without lines."""
PASSAGE_LINES, PASSAGES_PER_OPTION = 3, 3
"""Lines of a passage, and how many passages are quoted for each option."""
MAX_QUOTED_LINES = 2
MAX_CANDIDATES = 4
"""Further clips that are reported."""

logging.getLogger("bm25s").setLevel(
    logging.WARNING
)  # it sets DEBUG itself, which any handler of the application prints

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Index:
    """BM25 indexes of windows of lines and of whole clips."""

    windows: bm25s.BM25 | None
    clips: bm25s.BM25 | None
    clip_of_window: NDArray[np.int64]
    vocabulary: frozenset[str]


class OfflineGrounding:
    """Locates the clip whose lines match the question, its options and the master's request; with ``meaning``, lines
    are also compared with the question by meaning, and their vectors are kept in the index of the video."""

    def __init__(self, meaning: Meaning | None = None) -> None:
        self._meaning = meaning

    async def locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        """Return the best-matching clip that is not visited yet. If nothing matches, return the next clip in order, so
        that a video without text is searched from the start."""
        return await asyncio.to_thread(self._locate, request, video)

    def _locate(self, request: GroundingRequest, video: VideoReader) -> GroundingResult:
        if self._meaning is not None:
            lines, _ = lines_of(request.timeline)
            self._meaning.read_video(video, [line.text for line in lines])
        return locate(request, self._meaning)


def locate(request: GroundingRequest, meaning: Meaning | None = None) -> GroundingResult:
    """The synchronous form of ``OfflineGrounding.locate``."""
    timeline, visited = request.timeline, set(request.trace.visited_labels)
    unvisited = [index for index, clip in enumerate(timeline.clips) if clip.label not in visited]
    if not unvisited:
        return GroundingResult(None, "every clip has been visited", usage=Usage(calls=1))
    question = request.trace.question
    matches, log_places = _question_scores(timeline, question, meaning)
    if request.request:
        matches = matches + score_clips(timeline, request.request, ())
    scores = MATCH_WEIGHT * matches + log_places
    best, *next_best = sorted(unvisited, key=lambda index: (matches[index] <= 0, -scores[index], index))
    clip = timeline.clips[best]
    events = events_near(timeline, question.text, clip)
    if matches[best] <= 0:
        reason = "no line matches, so the clips are visited in order"
        absent = absent_event(question.text, timeline)  # a line that has its words is more than that
        return GroundingResult(clip.label, reason, (*events, *([absent] if absent else [])), Usage(calls=1))
    known = {term for line in clip.subtitles for term in terms(line.text, timeline.language)}
    known |= {term for event in events if event.clip == clip.label for term in terms(event.label)}
    candidate_words = _WORD.findall(f"{request.request} {question.text}")
    words = [word for word in candidate_words if known & set(terms(word, timeline.language))]
    matching = [index for index in next_best[:MAX_CANDIDATES] if matches[index] > 0]
    candidates = tuple(Candidate(timeline.clips[index].label, "matches less") for index in matching)
    reason = f"matches {', '.join(dict.fromkeys(words[:12])) or 'an option'}"
    quoted = (*matching_lines(request, clip.label), *(() if visited else passages(timeline, question)), *events)
    return GroundingResult(clip.label, reason, tuple(dict.fromkeys(quoted)), Usage(calls=1), candidates)


def matching_lines(request: GroundingRequest, label: str) -> tuple[Evidence, ...]:
    """The lines of a clip that share most words with the question, its options and the master's request, in order of
    time; none if no line does."""
    clip = request.timeline.find_clip(label)
    if clip is None:
        return ()
    question, language = request.trace.question, request.timeline.language
    wanted = set(terms(" ".join([request.request, question.text, *question.options]), language))
    return tuple(Evidence.from_subtitle(clip, line) for line in _best_lines(clip.subtitles, wanted, language))


def passages(timeline: Timeline, question: Question) -> tuple[Evidence, ...]:
    """The lines around the best places of each option, anywhere in the video, in order of time: an option may be said
    far from where the question's words are. None for a question about something visible or about a setting, which lines
    elsewhere do not answer."""
    parsed = parse_question(question.text)
    lines, _ = lines_of(timeline)
    if parsed.is_visual or parsed.relation == "during" or not lines or not question.options:
        return ()
    spoken = spoken_lines(lines, timeline.language)
    log_places = locate_places(spoken, question.text, parsed).logs
    chosen: set[int] = set()
    for option in question.options:
        matches = spoken.terms.scores(terms(option, timeline.language), PASSAGE_LINES)
        ranked = np.argsort(-np.where(matches > 0, log_places + matches, -np.inf), kind="stable")
        free = [number for number in ranked.tolist() if matches[number] > 0][:PASSAGES_PER_OPTION]
        reach = PASSAGE_LINES // 2
        chosen.update(line for number in free for line in range(number - reach, number + reach + 1))
    return tuple(line for number, line in enumerate(lines) if number in chosen)


def score_clips(timeline: Timeline, text: str, options: Sequence[str]) -> Scores:
    """The score of each clip, at least 0: that of its best window plus that of the clip as a whole."""
    index = _index(timeline)
    count = len(timeline.clips)
    query = terms(text, timeline.language)
    scores = _match(index, query, count)
    option_scores = [_match(index, terms(option, timeline.language), count) for option in options]
    if option_scores:
        scores = scores + OPTION_WEIGHT * np.max(option_scores, axis=0)
    return scores


@lru_cache(maxsize=64)
def _question_scores(timeline: Timeline, question: Question, meaning: Meaning | None) -> tuple[Scores, Scores]:
    """The match and the logarithm of the probability of each clip; a question asks for them with every request."""
    return score_clips(timeline, question.text, question.options), _log_places(timeline, question, meaning)


def _log_places(timeline: Timeline, question: Question, meaning: Meaning | None) -> Scores:
    """For each clip, log Σ P(line) exp(BM25 of the best-matching option / scale) over its lines,
    ``MIN_LOG_PLACE`` if it has none."""
    lines, owners = lines_of(timeline)
    result = np.full(len(timeline.clips), MIN_LOG_PLACE)
    if not lines:
        return result
    near = None if meaning is None else meaning.matches([line.text for line in lines], question.text)
    np.logaddexp.at(result, owners, score_places(spoken_lines(lines, timeline.language), question, near))
    return result


@lru_cache(maxsize=16)
def lines_of(timeline: Timeline) -> tuple[tuple[Evidence, ...], NDArray[np.int64]]:
    """The spoken lines of a timeline, and the number of the clip of each."""
    pairs = [
        (Evidence.from_subtitle(clip, line), number)
        for number, clip in enumerate(timeline.clips)
        for line in clip.subtitles
    ]
    return tuple(line for line, _ in pairs), np.array([number for _, number in pairs], dtype=np.int64)


def _match(index: _Index, query: Sequence[str], count: int) -> Scores:
    known = [term for term in dict.fromkeys(query) if term in index.vocabulary]
    scores = np.zeros(count)
    if not known or index.windows is None or index.clips is None:
        return scores
    np.maximum.at(scores, index.clip_of_window, index.windows.get_scores(known).astype(float))
    scores += CLIP_WEIGHT * index.clips.get_scores(known)
    return scores


@lru_cache(maxsize=16)
def _index(timeline: Timeline) -> _Index:
    windows: list[list[str]] = []
    owner: list[int] = []
    whole: list[list[str]] = []
    labels = clip_labels(timeline)
    for number, clip in enumerate(timeline.clips):
        lines = [list(terms(line.text, timeline.language)) for line in clip.subtitles]
        events = [term for label in labels[number] for term in terms(label)]
        whole.append(_flat(lines) + events)
        if events:
            windows.append(events)
            owner.append(number)
        for first in range(max(1, len(lines) - WINDOW_LINES + 1)):
            windows.append(_flat(lines[first : first + WINDOW_LINES]))
            owner.append(number)
    vocabulary = frozenset(term for clip_terms in whole for term in clip_terms)
    if not vocabulary:
        return _Index(None, None, np.array(owner), vocabulary)
    return _Index(_bm25(windows), _bm25(whole), np.array(owner), vocabulary)


def _flat(lines: Sequence[Sequence[str]]) -> list[str]:
    return [term for line in lines for term in line]


def _bm25(documents: list[list[str]]) -> bm25s.BM25:
    retriever = bm25s.BM25()
    retriever.index(documents, show_progress=False)
    return retriever


def _best_lines(lines: Sequence[Subtitle], wanted: set[str], language: str) -> list[Subtitle]:
    """The lines that share most terms with ``wanted``, in order of time."""
    shared = {line: len(wanted & set(terms(line.text, language))) for line in lines}
    best = sorted((line for line in lines if shared[line]), key=lambda line: -shared[line])[:MAX_QUOTED_LINES]
    return sorted(best, key=lambda line: line.start_s)
