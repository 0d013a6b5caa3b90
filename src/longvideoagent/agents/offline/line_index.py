"""BM25 over windows of subtitle lines, one window around each line.

The score of a window is a sum over tokens, so that the scores of a token are computed once for a video and are then
added for every question and option. An index that is built once per window length could not be used for the lines that
search has found so far, which change with every round.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longvideoagent.core.types import Evidence

Scores = NDArray[np.float64]
Positions = NDArray[np.int64]

K1, B = 1.2, 0.75
"""The usual constants of BM25: saturation of the term frequency, and normalisation by the length of the window."""
PAUSE_PER_LINE_S = 5.0
"""A pause counts as one empty line for each of these, so that a window does not join lines of different scenes."""
MAX_PAUSE_LINES = 8


def line_positions(lines: Sequence[Evidence]) -> Positions:
    """The position of each line: one after that of the line before, and further after a pause."""
    positions = [0] * len(lines)
    for number in range(1, len(lines)):
        pause_s = max(0.0, lines[number].start_s - lines[number - 1].end_s)
        positions[number] = positions[number - 1] + 1 + int(min(MAX_PAUSE_LINES, pause_s // PAUSE_PER_LINE_S))
    return np.array(positions, dtype=np.int64)


class _TokenScores(NamedTuple):
    """The windows that contain a token, and its BM25 score in each."""

    windows: NDArray[np.int64]
    scores: Scores


class LineIndex:
    """BM25 scores of the windows around each line, for one kind of tokens.

    Args:
        tokens_of_line: The tokens of each line, in order of time.
        positions: The position of each line; see ``line_positions``.
    """

    def __init__(self, tokens_of_line: Sequence[Sequence[str]], positions: Positions) -> None:
        self._positions = positions
        self._num_lines = len(tokens_of_line)
        self._num_positions = int(positions[-1]) + 1 if self._num_lines else 0
        self._lengths = np.zeros(self._num_positions)
        self._lengths[positions] = [len(tokens) for tokens in tokens_of_line]
        self._postings: dict[str, list[int]] = {}
        for line, tokens in enumerate(tokens_of_line):
            for token in tokens:
                self._postings.setdefault(token, []).append(line)
        self._length_norms: dict[int, Scores] = {}
        self._cache: dict[tuple[str, int], _TokenScores] = {}

    def __contains__(self, token: str) -> bool:
        return token in self._postings

    def scores(self, tokens: Collection[str], window_lines: int) -> Scores:
        """The BM25 score of the window of ``window_lines`` (odd) around each line; tokens that no line has add 0."""
        total = np.zeros(self._num_lines)
        for token in sorted(set(tokens)):  # a fixed order, so that rounding is the same in every process
            if token in self._postings:
                windows, scores = self._token_scores(token, window_lines)
                total[windows] += scores
        return total

    def _token_scores(self, token: str, window_lines: int) -> _TokenScores:
        key = token, window_lines
        if key not in self._cache:
            windows, frequency = self._frequencies(self._postings[token], window_lines)
            rarity = math.log(1 + (self._num_lines - len(windows) + 0.5) / (len(windows) + 0.5))
            scores = rarity * frequency * (K1 + 1) / (frequency + self._length_norm(window_lines)[windows])
            self._cache[key] = _TokenScores(windows, scores)
        return self._cache[key]

    def _frequencies(self, lines: list[int], window_lines: int) -> tuple[NDArray[np.int64], Scores]:
        """The windows that contain any of these lines, and how many of them each contains."""
        if window_lines == 1:
            counts = Counter(lines)
            return np.array(list(counts), dtype=np.int64), np.array(list(counts.values()), dtype=np.float64)
        at_position = np.zeros(self._num_positions)
        np.add.at(at_position, self._positions[lines], 1.0)
        sums = self._window_sums(at_position, window_lines)
        windows = np.flatnonzero(sums)
        return windows, sums[windows]

    def _length_norm(self, window_lines: int) -> Scores:
        if window_lines not in self._length_norms:
            lengths = self._window_sums(self._lengths, window_lines)
            self._length_norms[window_lines] = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean())))
        return self._length_norms[window_lines]

    def _window_sums(self, values: Scores, window_lines: int) -> Scores:
        """The sum of ``values``, given for each position, over the window around each line."""
        reach = window_lines // 2
        sums = np.concatenate([[0.0], np.cumsum(values)])
        end = np.minimum(self._num_positions, self._positions + reach + 1)
        result: Scores = sums[end] - sums[np.maximum(0, self._positions - reach)]
        return result
