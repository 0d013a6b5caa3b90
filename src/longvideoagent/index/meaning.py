"""Vectors of texts by meaning, kept in the index of the video for each model, so that each text is read once."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from longvideoagent.index.stored_text import StepCost, write_step
from longvideoagent.index.video_index import UnusableIndexError, VideoIndex
from longvideoagent.progress import Progress, no_progress

Vectors = NDArray[np.float32]
"""One row a text, each of length 1; or the row of one text."""
STEP_NAME = "meaning"
_STORED = np.dtype("<f2")
"""Half precision: what it loses is far below the differences that count."""


class Encoder(Protocol):
    """Turns texts into vectors; ``models.sentence_encoder`` has the one of ONNX."""

    @property
    def name(self) -> str:
        """The name of its weights."""

    @property
    def identity(self) -> str:
        """Changes with the weights and the code."""

    @property
    def num_dimensions(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str], progress: Progress = ..., /) -> Vectors:
        """One row of length 1 for each text."""


def text_vectors(
    index: VideoIndex, texts: Sequence[str], encoder: Encoder, progress: Progress = no_progress
) -> Vectors:
    """The vectors of texts, from the index; what it lacks is computed and stored, together with the removal of what
    belongs to other texts.

    Args:
        index: The index of the video; one that cannot be used costs the computation and nothing else.
        texts: All lines of the text that is in use.
        encoder: Computes vectors.
        progress: As that of the encoder.

    Returns:
        One row a text, rounded as stored, so that a second run has the same.
    """
    keys = {text: _key(text) for text in dict.fromkeys(texts)}
    stored: dict[bytes, Vectors] = {}

    def is_stored() -> bool:
        stored.update(_read(index, encoder))
        return stored.keys() >= set(keys.values())

    with index.claim(is_stored, progress) as must_encode:
        missing = [text for text, key in keys.items() if key not in stored]
        if must_encode or missing:
            started_s = time.monotonic()
            rows = encoder.encode(missing, progress).astype(_STORED)
            stored.update((keys[text], row.astype(np.float32)) for text, row in zip(missing, rows, strict=True))
            covered = f"{len(keys)} texts by {encoder.name}"
            cost = StepCost(STEP_NAME, covered, time.monotonic() - started_s)
            _write(index, encoder, {key: stored[key] for key in keys.values()}, cost)
    if not texts:
        return np.zeros((0, encoder.num_dimensions), dtype=np.float32)
    return np.stack([stored[keys[text]] for text in texts])


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _read(index: VideoIndex, encoder: Encoder) -> dict[bytes, Vectors]:
    def work(database: sqlite3.Connection) -> dict[bytes, Vectors]:
        rows = database.execute("SELECT text, vector FROM vectors WHERE model = ?", (encoder.identity,)).fetchall()
        return {bytes(key): _vector(data, encoder.num_dimensions) for key, data in rows}

    return index.read(work) or {}


def _vector(data: object, num_dimensions: int) -> Vectors:
    """A row of the table. Raises UnusableIndexError for anything else: an index next to a video comes with it."""
    if not isinstance(data, bytes) or len(data) != num_dimensions * _STORED.itemsize:
        raise UnusableIndexError("damaged: a vector of another length")
    vector = np.frombuffer(data, dtype=_STORED).astype(np.float32)
    if not np.isfinite(vector).all():
        raise UnusableIndexError("damaged: a vector with values that are not numbers")
    return vector


def _write(index: VideoIndex, encoder: Encoder, vectors: dict[bytes, Vectors], cost: StepCost) -> None:
    def work(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM vectors WHERE model = ?", (encoder.identity,))
        database.executemany(
            "INSERT INTO vectors (model, text, vector) VALUES (?, ?, ?)",
            [(encoder.identity, key, vector.astype(_STORED).tobytes()) for key, vector in vectors.items()],
        )
        write_step(database, cost)

    index.write(work)
