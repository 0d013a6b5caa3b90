"""From scores of sounds, frame by frame, to spans: where each sound begins and ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
"""A row for each frame, a column for each label, 0 to 1."""
MAX_SPANS_PER_LABEL, MAX_SPANS = 500, 10_000
"""Of one video. Where there are more, those with the shortest gaps between them become one."""
_TOUCHING_S = 1e-3
_SPEECH = re.compile(
    r"\b(babbling|conversation|monologue|narration|shout|shouting|speaking|speech|talk|talking|voices?|whisper|whispering"
    r"|yell|yelling)\b",
    re.IGNORECASE,
)
_SONG = re.compile(r"\b(chant|choir|lyrics|rap|rapping|singing|vocal)\b", re.IGNORECASE)
_MUSIC = re.compile(r"\b(music|musical)\b", re.IGNORECASE)


class Rule(NamedTuple):
    """When a label counts as heard."""

    enter: float
    """The score from which on a span begins to count."""
    leave: float
    """The score below which it ends. It is lower, so that a sound does not fall apart where its score wavers."""
    join_s: float
    """Spans with at most this pause between them are one."""
    min_s: float
    """Shorter spans are dropped."""


EVENT_RULE = Rule(0.4, 0.2, 1.0, 0.3)
"""Most labels. Scores of taggers are not probabilities: at 0.4 few of hundreds of labels are heard at once, and short
sounds, as a bark, still reach it."""
MUSIC_RULE = Rule(0.4, 0.2, 5.0, 2.0)
"""Music goes on through pauses, and a moment of it is mostly another sound."""
SONG_RULE = Rule(0.4, 0.2, 3.0, 0.3)
"""Singers draw breath."""
SPEECH_RULE = Rule(0.2, 0.1, 3.0, 0.3)
"""Speech under music has low scores, and what is not taken for speech is not transcribed."""
FAINT_SCORE, FAINT_MIN_S = 0.4, 1.0
"""A span that does not reach this score is dropped if it is shorter: of a moment, a low score says little."""


def is_voice(label: str) -> bool:
    """Whether a label is of a human voice that may say words, as in "Narration, monologue" or "Singing"."""
    return _SPEECH.search(label) is not None or _SONG.search(label) is not None


def rule_of(label: str) -> Rule:
    """The rule of a label, by the words of its name."""
    for pattern, rule in ((_SPEECH, SPEECH_RULE), (_SONG, SONG_RULE), (_MUSIC, MUSIC_RULE)):
        if pattern.search(label):
            return rule
    return EVENT_RULE


class Span(NamedTuple):
    """Where a sound is heard."""

    start_s: float
    end_s: float
    score: float
    """The highest one in it."""


class Frames(NamedTuple):
    """Frames one after the other."""

    edges_s: NDArray[np.float64]
    """Where each begins, and where the last one ends."""
    scores: Scores


@dataclass(slots=True)
class _Track:
    """The spans of one label so far."""

    rule: Rule
    spans: list[Span] = field(default_factory=list)
    num_joined: int = 0
    """Spans that became part of others because there were too many."""
    _open: Span | None = None
    """The last run of frames that do not leave, which the next frames may continue."""

    def add(self, run: Span) -> None:
        last = self._open
        if last is not None and run.start_s - last.end_s <= _TOUCHING_S:
            self._open = _union(last, run)
            return
        self.close()
        self._open = run

    def close(self) -> None:
        """End the last run."""
        run, self._open = self._open, None
        if run is None or run.score < self.rule.enter:
            return
        if self.spans and run.start_s - self.spans[-1].end_s <= self.rule.join_s:
            self.spans[-1] = _union(self.spans[-1], run)
            return
        self.spans.append(run)
        if len(self.spans) > 2 * MAX_SPANS_PER_LABEL:
            self.limit(MAX_SPANS_PER_LABEL)

    def limit(self, max_spans: int) -> None:
        """Drop spans that are too short, but not the last one, which may grow; of the others, join the nearest."""
        self.spans = [span for span in self.spans[:-1] if self.is_long(span)] + self.spans[-1:]
        before = len(self.spans)
        self.spans = join_nearest(self.spans, max_spans)
        self.num_joined += before - len(self.spans)

    def is_long(self, span: Span) -> bool:
        least_s = self.rule.min_s if span.score >= FAINT_SCORE else max(self.rule.min_s, FAINT_MIN_S)
        return span.end_s - span.start_s >= least_s


class SpanFinder:
    """Finds the spans of all labels while frames come in, in bounded memory."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._tracks: dict[int, _Track] = {}

    def add(self, frames: Frames) -> None:
        """Continue with the next frames."""
        if not len(frames.scores):
            return
        for column in np.flatnonzero(frames.scores.max(axis=0) >= SPEECH_RULE.leave):  # the lowest of all rules
            number = int(column)
            rule = rule_of(self._labels[number])
            for run in _runs(frames.edges_s, frames.scores[:, number], rule.leave):
                self._tracks.setdefault(number, _Track(rule)).add(run)

    def finish(self) -> tuple[dict[str, list[Span]], dict[str, int]]:
        """The spans by label, in order of time; and, of labels that had too many, how many became part of others."""
        for track in self._tracks.values():
            track.close()
            track.spans = [span for span in track.spans if track.is_long(span)]
        heard = {column: track for column, track in sorted(self._tracks.items()) if track.spans}
        for track in heard.values():
            track.limit(max(1, min(MAX_SPANS_PER_LABEL, MAX_SPANS // len(heard))))
        spans = {self._labels[column]: track.spans for column, track in heard.items()}
        return spans, {self._labels[column]: track.num_joined for column, track in heard.items() if track.num_joined}


def join_nearest(spans: Sequence[Span], max_spans: int) -> list[Span]:
    """At most so many spans: where there are more, the shortest gaps are closed. Nothing that was heard is lost."""
    num_gaps = len(spans) - max_spans
    if num_gaps <= 0:
        return [*spans]
    gaps_s = [after.start_s - before.end_s for before, after in pairwise(spans)]
    closed = set(np.argsort(gaps_s, kind="stable")[:num_gaps].tolist())
    joined = [spans[0]]
    for number, span in enumerate(spans[1:]):
        if number in closed:
            joined[-1] = _union(joined[-1], span)
        else:
            joined.append(span)
    return joined


def _runs(edges_s: NDArray[np.float64], scores: NDArray[np.float32], leave: float) -> list[Span]:
    """The runs of frames whose score is at least ``leave``."""
    changes = np.flatnonzero(np.diff(np.concatenate(([False], scores >= leave, [False]))))
    return [
        Span(float(edges_s[start]), float(edges_s[end]), float(scores[start:end].max()))
        for start, end in zip(changes[::2], changes[1::2], strict=True)
    ]


def _union(one: Span, other: Span) -> Span:
    return Span(one.start_s, max(one.end_s, other.end_s), max(one.score, other.score))
