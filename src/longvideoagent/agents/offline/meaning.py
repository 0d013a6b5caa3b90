"""How near lines are to a question by meaning: "doctor" and "physician" share no term, and their vectors are near."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from longvideoagent.agents.offline.line_index import Scores
from longvideoagent.index.meaning import Encoder, Vectors, text_vectors
from longvideoagent.index.open import open_index
from longvideoagent.media.readers.base import VideoReader

WINDOW_LINES = 7
"""Lines around each line whose mean is compared: a single line seldom says what a scene is about."""
MAX_REMEMBERED = 50_000
"""Texts whose vectors stay in memory, 77 MB of MiniLM's."""


class Meaning:
    """Compares texts by the vectors of an encoder, for any number of questions and threads."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._known: dict[str, Vectors] = {}

    def read_video(self, video: VideoReader, texts: Sequence[str]) -> None:
        """Take the vectors of a video's lines from its index, and store there what it lacks. A video without a file of
        its own has no index. Raises DataError if the video cannot be read."""
        with self._lock:
            if not video.path.exists() or self._known.keys() >= set(texts):
                return
            with open_index(video) as index:
                rows = text_vectors(index, texts, self._encoder)
            self._remember(texts, rows)

    def matches(self, lines: Sequence[str], text: str) -> Scores:
        """For each line, the cosine between a text and the mean of ``WINDOW_LINES`` lines around that line."""
        vectors = self._vectors([*lines, text])
        sums = np.concatenate([np.zeros_like(vectors[:1]), np.cumsum(vectors[:-1], axis=0)])
        numbers, reach = np.arange(len(lines)), WINDOW_LINES // 2
        means = sums[np.minimum(len(lines), numbers + reach + 1)] - sums[np.maximum(0, numbers - reach)]
        lengths = np.linalg.norm(means, axis=1)
        result: Scores = (means @ vectors[-1] / np.where(lengths > 0, lengths, 1)).astype(np.float64)
        return result

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            missing = [text for text in dict.fromkeys(texts) if text not in self._known]
            rows = self._encoder.encode(missing)
            found = {text: self._known[text] for text in texts if text in self._known}
            found.update(zip(missing, rows, strict=True))
            self._remember(missing, rows)
        return np.stack([found[text] for text in texts])

    def _remember(self, texts: Sequence[str], rows: Vectors) -> None:
        if len(self._known) + len(texts) > MAX_REMEMBERED:
            self._known.clear()
        self._known.update(zip(texts, rows, strict=True))
