"""BM25 over windows of subtitle lines, one window around each line.

The score of a window is a sum over tokens, so that the scores of a token are computed once for a video and are then
added for every question and option. An index that is built once per window length could not be used for the lines that
search has found so far, which change with every round.
"""

from __future__ import annotations

import math
from collections import defaultdict
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
BATCH_TOKENS = 64
"""Tokens that are looked up together; more would take memory."""


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
        postings: defaultdict[str, list[int]] = defaultdict(list)
        for line, tokens in enumerate(tokens_of_line):
            for token in tokens:
                postings[token].append(line)
        self._postings = dict(postings)
        self._length_norms: dict[int, Scores] = {}
        self._cache: dict[tuple[str, int], _TokenScores] = {}

    def __contains__(self, token: str) -> bool:
        return token in self._postings

    def scores(self, tokens: Collection[str], window_lines: int) -> Scores:
        """The BM25 score of the window of ``window_lines`` (odd) around each line; tokens that no line has add 0."""
        return self.scores_of_each([tokens], window_lines)[0]

    def scores_of_each(self, groups: Sequence[Collection[str]], window_lines: int) -> list[Scores]:
        """The ``scores`` of each group of tokens, whose new tokens are looked up together."""
        known = [[token for token in sorted(set(tokens)) if token in self._postings] for tokens in groups]
        missing = sorted({token for tokens in known for token in tokens if (token, window_lines) not in self._cache})
        for start in range(0, len(missing), BATCH_TOKENS):
            self._look_up(missing[start : start + BATCH_TOKENS], window_lines)
        totals = [np.zeros(self._num_lines) for _ in groups]
        for total, tokens in zip(totals, known, strict=True):
            for token in tokens:  # in a fixed order, so that rounding is the same in every process
                windows, scores = self._cache[token, window_lines]
                total[windows] += scores
        return totals

    def _look_up(self, tokens: Sequence[str], window_lines: int) -> None:
        """Compute the scores of tokens, one row of each array a token."""
        lines = [self._postings[token] for token in tokens]
        rows = np.repeat(np.arange(len(tokens)), [len(each) for each in lines])
        at_line = rows * self._num_positions + self._positions[np.concatenate(lines)]
        num_cells = len(tokens) * self._num_positions
        counts = np.bincount(at_line, minlength=num_cells).reshape(len(tokens), self._num_positions)
        sums = self._window_sums(counts.astype(np.float64), window_lines)
        rows, windows = np.nonzero(sums)
        num_windows = np.bincount(rows, minlength=len(tokens))
        rarities = [math.log(1 + (self._num_lines - count + 0.5) / (count + 0.5)) for count in num_windows.tolist()]
        frequency = sums[rows, windows]
        rarity = np.array(rarities)[rows]
        scores = rarity * frequency * (K1 + 1) / (frequency + self._length_norm(window_lines)[windows])
        ends = np.cumsum(num_windows).tolist()
        for token, start, end in zip(tokens, [0, *ends], ends, strict=False):
            self._cache[token, window_lines] = _TokenScores(windows[start:end].copy(), scores[start:end].copy())

    def _length_norm(self, window_lines: int) -> Scores:
        if window_lines not in self._length_norms:
            lengths = self._window_sums(self._lengths, window_lines)
            self._length_norms[window_lines] = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean())))
        return self._length_norms[window_lines]

    def _window_sums(self, values: Scores, window_lines: int) -> Scores:
        """The sum of ``values``, given for each position (in the last dimension), over the window around each line."""
        reach = window_lines // 2
        sums = np.zeros((*values.shape[:-1], self._num_positions + 1))
        np.cumsum(values, axis=-1, out=sums[..., 1:])
        end = np.minimum(self._num_positions, self._positions + reach + 1)
        result: Scores = sums[..., end] - sums[..., np.maximum(0, self._positions - reach)]
        return result
