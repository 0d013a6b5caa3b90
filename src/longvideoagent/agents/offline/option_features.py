"""What speaks for each option: the numbers that the logistic regression of ``option_reader`` weighs.

An option is compared with the lines as a set of terms, of character 4-grams and of word pairs, each by BM25 in the
window around a line. Over the lines, a match is either summed softly, by the probability of the place (log Σ P(line)
exp(BM25 / scale)), or the best one counts. Tokens that all options share, or that the question has, say nothing about
one option; they are left out, except from full terms, which tell an option that repeats the question's words. Neither
the length of an option nor its position is a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.likelihood import option_likelihoods
from longvideoagent.agents.offline.line_index import LineIndex, Scores
from longvideoagent.agents.offline.places import SpokenLines, locate_places, spoken_lines
from longvideoagent.agents.offline.tokens import grams, pairs, words
from longvideoagent.core.types import Evidence, Question
from longvideoagent.index.terms import terms

Features = NDArray[np.float64]
"""One row an option, one column a feature."""

TERM_SCALE, GRAM_SCALE = 2.0, 6.0
"""BM25 scores are divided by these before they are summed softly over the lines."""
PAIR_QUESTION_WEIGHT = 0.5
"""Weight of the question's pairs in a line, beside those of the option."""
NEAR_PAIR_REACH_WORDS = 3

FEATURES = (
    "support",
    "likelihood",
    "places",
    "places_7",
    "best_window",
    "gram_places",
    "gram_window",
    "pair_line",
    "word_line",
    "known_pairs",
    "speaker",
    "sole_support",
)
"""The features, in order of the columns."""


def option_features(scorer: EvidenceScorer) -> Features:
    """The features of each option of the scorer's question.

    For some questions only ``sole_support`` counts, which is 0 for the others; see ``uses_best_fact_only``.
    """
    question = scorer.question
    supports = np.array([support.value for support in scorer.supports])
    values = {name: np.zeros(len(question.options)) for name in FEATURES}
    lines = tuple(fact for fact in scorer.facts if fact.kind == "subtitle")
    if uses_best_fact_only(scorer):
        values["sole_support"] = supports
    else:
        values["support"] = supports
        if lines:
            likelihoods = option_likelihoods(question, lines, scorer.is_excerpt, scorer.language)
            values["likelihood"] = np.log(np.array(likelihoods) + 1e-9)
            values |= _line_features(scorer, spoken_lines(lines, scorer.language))
    return np.stack([values[name] for name in FEATURES], axis=1)


def uses_best_fact_only(scorer: EvidenceScorer) -> bool:
    """Whether only the best single fact counts for an option: in a question about something visible, if facts from
    frames are known, since lines name the things in a frame by chance; and in one about a setting ("At the bakery, …"),
    which is named only once, so that most of its lines are not near its name."""
    has_frames = any(fact.kind == "frame" for fact in scorer.facts)
    return scorer.parsed.relation == "during" or (scorer.parsed.is_visual and has_frames)


def best_line(scorer: EvidenceScorer, option: int) -> Evidence | None:
    """The line that is likeliest to say an option whose terms no fact has: the best match by 4-grams, or None."""
    lines = tuple(fact for fact in scorer.facts if fact.kind == "subtitle")
    if not lines or uses_best_fact_only(scorer):
        return None
    spoken = spoken_lines(lines, scorer.language)
    own = _own_tokens(scorer.question, partial(grams, language=scorer.language))[option]
    scores = spoken.grams.scores(own, 1)
    if scores.max() <= 0:
        return None
    places = locate_places(spoken, scorer.question.text, scorer.parsed)
    return lines[int(np.argmax(np.where(scores > 0, places.logs + scores / GRAM_SCALE, -np.inf)))]


def _line_features(scorer: EvidenceScorer, spoken: SpokenLines) -> dict[str, Scores]:
    question, language = scorer.question, scorer.language
    places = locate_places(spoken, question.text, scorer.parsed)
    option_terms = [frozenset(terms(option, language)) for option in question.options]
    own_grams, own_pairs, own_words, near_pairs = (
        _own_tokens(question, partial(tokens_of, language=language))
        for tokens_of in (grams, pairs, words, partial(pairs, reach_words=NEAR_PAIR_REACH_WORDS))
    )
    question_pairs = PAIR_QUESTION_WEIGHT * spoken.pairs.scores(pairs(question.text, 1, language), 1)
    return {
        "places": _summed(spoken.terms, option_terms, 1, places.logs, TERM_SCALE),
        "places_7": _summed(spoken.terms, option_terms, 7, places.logs, TERM_SCALE),
        "best_window": _best(spoken.terms, option_terms, 3, spoken.terms.scores(terms(question.text, language), 3)),
        "gram_places": _summed(spoken.grams, own_grams, 1, places.logs, GRAM_SCALE),
        "gram_window": _best(spoken.grams, own_grams, 3, spoken.grams.scores(grams(question.text, language), 3)),
        "pair_line": _best(spoken.pairs, own_pairs, 1, question_pairs),
        "word_line": _best(spoken.words, own_words, 1, np.zeros(len(spoken.lines))),
        "known_pairs": np.array(
            [len(own & spoken.near_pairs) / len(own) if own else 0.0 for own in near_pairs], dtype=np.float64
        ),
        "speaker": np.array([float(places.probabilities @ spoken.spoken_by(own)) for own in option_terms]),
    }


def _own_tokens(question: Question, tokens_of: Callable[[str], Collection[str]]) -> list[frozenset[str]]:
    """For each option, its tokens that neither the question nor every option has."""
    options = [frozenset(tokens_of(option)) for option in question.options]
    shared = frozenset(tokens_of(question.text)) | frozenset.intersection(*options)
    return [option - shared for option in options]


def _summed(
    index: LineIndex, options: Sequence[frozenset[str]], window_lines: int, log_places: Scores, scale: float
) -> Scores:
    scores = index.scores_of_each(options, window_lines)
    return np.array([float(np.logaddexp.reduce(log_places + score / scale)) for score in scores])


def _best(index: LineIndex, options: Sequence[frozenset[str]], window_lines: int, question_scores: Scores) -> Scores:
    scores = index.scores_of_each(options, window_lines)
    return np.array([float((score + question_scores).max()) for score in scores])
