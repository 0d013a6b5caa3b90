"""Where in the lines a question is answered: a probability for each line.

The score of a line is the BM25 score of the question in the windows around it, more if a person whom the question names
speaks in it or next to it, and more after, before or around the moment that the question names ("after X"). A softmax
over the scores gives the probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from longvideoagent.agents.offline.line_index import LineIndex, Scores, line_positions
from longvideoagent.agents.offline.parsed_question import ParsedQuestion, parse_question
from longvideoagent.agents.offline.tokens import grams, pairs, words
from longvideoagent.core.types import Evidence, Question
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms
from longvideoagent.media.text_language import ENGLISH

WIDE_WINDOW_LINES, WINDOW_LINES = 7, 3
WINDOW_WEIGHT = 0.5
"""Weight of the match in the short window, relative to the wide one."""
SPEAKER_WEIGHT = 0.3
"""Added to lines in which, or next to which, a person speaks whom the question names."""
MOMENT_WEIGHT = 0.5
"""Weight of the match with the moment that the question names."""
MOMENT_LINES = 6
"""How many lines after or before its moment a question may ask about."""
MEANING_WEIGHT = 4.0
"""Weight of the match by meaning, if lines are compared by it, relative to that of the wide window; docs/benchmarks.md
has how it was chosen."""
MOMENT_DECAY = 0.85
"""The factor by which the moment's weight falls from line to line."""
TEMPERATURE = 1.2
"""Of the softmax: higher spreads the probability over more lines."""
OPTION_WINDOWS, OPTION_SCALE = (3, 7), 3.0
"""Windows of lines in which options are matched with places, and what their BM25 scores are divided by."""


class SpokenLines:
    """Subtitle lines in order of time, with one index for each kind of tokens. Each index is built when it is used."""

    def __init__(self, lines: Sequence[Evidence], language: str = ENGLISH) -> None:
        self.lines = lines
        self.language = language
        """That of the lines."""
        self.positions = line_positions(lines)
        spoken = [split_speaker(line.text) for line in lines]
        self._words_spoken = [line.words for line in spoken]
        self._speakers = [frozenset(terms(line.speaker, language)) for line in spoken]

    @cached_property
    def terms(self) -> LineIndex:
        """The terms of each line, and of the name of its speaker."""
        return LineIndex([terms(line.text, self.language) for line in self.lines], self.positions)

    @cached_property
    def grams(self) -> LineIndex:
        """The character 4-grams of each line's words."""
        return LineIndex([grams(text, self.language) for text in self._words_spoken], self.positions)

    @cached_property
    def words(self) -> LineIndex:
        """All words of each line."""
        return LineIndex([words(text, self.language) for text in self._words_spoken], self.positions)

    @cached_property
    def pairs(self) -> LineIndex:
        """The pairs of neighbouring words of each line."""
        return LineIndex([pairs(text, 1, self.language) for text in self._words_spoken], self.positions)

    @cached_property
    def near_pairs(self) -> frozenset[str]:
        """The pairs of words that are at most three apart, of all lines together."""
        return frozenset(pair for text in self._words_spoken for pair in pairs(text, 3, self.language))

    def spoken_by(self, names: frozenset[str]) -> Scores:
        """1 for each line whose speaker's name shares a term with ``names``, else 0."""
        return np.array([1.0 if speaker & names else 0.0 for speaker in self._speakers])


@lru_cache(maxsize=8)
def spoken_lines(lines: tuple[Evidence, ...], language: str = ENGLISH) -> SpokenLines:
    """The indexed lines, from a cache if the last few calls had the same lines: the questions of one video do."""
    return SpokenLines(lines, language)


@dataclass(frozen=True, slots=True)
class Places:
    """The probability of each line."""

    probabilities: Scores

    @property
    def logs(self) -> Scores:
        """Natural logarithms of the probabilities."""
        return np.log(self.probabilities + 1e-300)


def locate_places(spoken: SpokenLines, text: str, parsed: ParsedQuestion, meaning: Scores | None = None) -> Places:
    """The probability of each line to be where a question is answered; all equal if no line matches.

    Args:
        spoken: At least one line.
        text: The question.
        parsed: Its parts; see ``parse_question``.
        meaning: How near each line is to the question by meaning; None: that does not count.
    """
    scores = _match(spoken, text)
    if parsed.relation and parsed.clause:
        moment = _match(spoken, parsed.clause)
        scores = scores + MOMENT_WEIGHT * _shift(moment, parsed.relation)
    if meaning is not None:
        scores = scores + MEANING_WEIGHT * _standardized(meaning)
    powers = np.exp((scores - scores.max()) / TEMPERATURE)
    return Places(powers / powers.sum())


def score_places(spoken: SpokenLines, question: Question, meaning: Scores | None = None) -> Scores:
    """For each of at least one line, log P(line) + BM25 of the best-matching option around it / ``OPTION_SCALE``.
    ``meaning`` is that of ``locate_places``."""
    scores = locate_places(spoken, question.text, parse_question(question.text), meaning).logs
    options = [terms(option, spoken.language) for option in question.options]
    for window_lines in OPTION_WINDOWS if options else ():
        option_scores = spoken.terms.scores_of_each(options, window_lines)
        scores = scores + np.max(option_scores, axis=0) / OPTION_SCALE
    return scores


def _match(spoken: SpokenLines, text: str) -> Scores:
    """How well the place of each line matches a text, in standard deviations, with the gain of named speakers."""
    wanted = frozenset(terms(text, spoken.language))
    wide = _standardized(spoken.terms.scores(wanted, WIDE_WINDOW_LINES))
    narrow = _standardized(spoken.terms.scores(wanted, WINDOW_LINES))
    named = spoken.spoken_by(wanted)
    near_named = np.maximum(named, np.maximum(np.append(named[1:], 0.0), np.append(0.0, named[:-1])))
    result: Scores = wide + WINDOW_WEIGHT * narrow + SPEAKER_WEIGHT * near_named
    return result


def _shift(moment: Scores, relation: str) -> Scores:
    """The match with the moment, carried to the lines after it or before it; as it is for other relations."""
    if relation not in ("after", "before"):
        return moment
    found = moment if relation == "after" else moment[::-1]
    carried = np.zeros(len(found))
    for lines in range(1, min(MOMENT_LINES, len(found) - 1) + 1):
        carried[lines:] = np.maximum(carried[lines:], MOMENT_DECAY ** (lines - 1) * found[:-lines])
    return carried if relation == "after" else carried[::-1]


def _standardized(scores: Scores) -> Scores:
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 1e-9 else np.zeros(len(scores))
