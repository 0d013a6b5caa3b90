"""What the answer of a model master rests on, among all that it has read.

The master cites times in its thought or answer, and its answer shares words with lines and descriptions. Text that was
read off the screen counts only as what vision reports: by itself it is mostly noise.
"""

from __future__ import annotations

from collections.abc import Iterator

from longvideoagent.core.scoring import match_option
from longvideoagent.core.timefmt import times_in_s
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Clip, ClipObservation, Evidence, Subtitle, VisionResult
from longvideoagent.index.terms import terms

MAX_LINES = 3
"""Subtitle lines of one answer, besides those cited."""
MAX_DESCRIPTIONS = 3
"""Descriptions of frames of one answer, besides those cited."""
CITATION_REACH_S = 1.0
"""How far a cited time may be from the line or frame that it means: times are written as whole seconds."""
MIN_SHARED_TERMS = 2
"""Of a line with question and answer; one shared word is enough if it is the answer's."""


def answer_evidence(trace: Trace, thought: str, answer: str) -> tuple[Evidence, ...]:
    """The evidence of an answer, in order of time.

    Args:
        trace: What the master has read.
        thought: The thought before the answer.
        answer: The answer's text.

    Returns:
        Times that the master cites inside the clips it has read, the subtitle lines that share most words with question
        and answer, and the descriptions of frames that share a word with the answer, the question or what was looked
        for.
    """
    option_index = match_option(answer, trace.question.options)
    answer_text = answer if option_index is None else trace.question.options[option_index]
    wanted_answer = set(terms(answer_text, trace.language))
    wanted = set(terms(f"{trace.question.text} {answer_text}", trace.language))
    described = list(descriptions(trace, wanted))
    clips = _read_clips(trace)
    cited = [_at(time_s, clips, described) for time_s in times_in_s(f"{thought}\n{answer}")]
    found = [
        *(each for each in cited if each is not None),
        *_matching_lines(clips, trace.language, wanted_answer, wanted),
        *described[-MAX_DESCRIPTIONS:],
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (each.time_s, each.kind)))


def _read_clips(trace: Trace) -> list[Clip]:
    """The clips whose lines the master has read, each once."""
    windows = (each.window for each in trace.observations if isinstance(each, ClipObservation))
    return list(dict.fromkeys(clip for window in windows for clip in window))


def descriptions(trace: Trace, wanted: set[str]) -> Iterator[Evidence]:
    """What vision saw in looks that found something, if it shares a word with what is wanted or was looked for."""
    for round_ in trace.rounds:
        if isinstance(round_.observation, VisionResult) and round_.observation.is_found:
            query = set(terms(getattr(round_.action, "query", ""), trace.language))
            for each in round_.observation.evidence:
                if (wanted | query) & set(terms(each.text, trace.language)):
                    yield each


def _matching_lines(clips: list[Clip], language: str, wanted_answer: set[str], wanted: set[str]) -> list[Evidence]:
    """The lines that share most words with question and answer; those of the answer count twice."""
    scored = []
    for clip in clips:
        for line in _spoken(clip):
            words = set(terms(line.text, language))
            score = len(words & wanted) + len(words & wanted_answer)
            if score >= MIN_SHARED_TERMS:
                scored.append((-score, line.start_s, Evidence.from_subtitle(clip, line)))
    return [evidence for _, _, evidence in sorted(scored, key=lambda each: each[:2])[:MAX_LINES]]


def _at(time_s: float, clips: list[Clip], described: list[Evidence]) -> Evidence | None:
    """The line that is spoken at a cited time, else the description of a frame there, else the bare time; None for a
    time outside the clips that were read."""
    for clip in clips:
        if clip.start_s <= time_s <= clip.end_s:
            for line in _spoken(clip):
                if line.start_s - CITATION_REACH_S < time_s < line.end_s + CITATION_REACH_S:
                    return Evidence.from_subtitle(clip, line)
            near = [each for each in described if abs(each.time_s - time_s) <= CITATION_REACH_S]
            return near[0] if near else Evidence(clip.label, time_s, time_s, "frame", time_s, "cited by the master")
    return None


def _spoken(clip: Clip) -> Iterator[Subtitle]:
    return (line for line in clip.subtitles if line.source == "subtitle")
