"""Names of sounds in this process (extra ``sound``): which sounds a piece of audio has, and when.

The model is any tagger in ONNX of the form that conversions of YAMNet have; see docs/sound.md:

- ``model.onnx``: one input, float32, a mono waveform of 16 kHz in -1 to 1, of shape [samples] or [1, samples]; an
  output [frames, labels] with scores of 0 to 1. Frame ``n`` is a window of ``window_s`` seconds that begins at
  ``n * hop_s``: 0.96 and 0.48 as YAMNet has them, unless the metadata of the file has entries with these names.
- the names of the labels: ``labels.csv`` or ``yamnet_class_map.csv`` (columns index, mid, display_name), or
  ``labels.txt`` with one name a line.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longvideoagent.errors import DataError, as_data_error, require_extra
from longvideoagent.index.sound_spans import Scores
from longvideoagent.index.sounds import RATE_HZ
from longvideoagent.models.label_file import checked_labels
from longvideoagent.models.onnx_session import open_session
from longvideoagent.weights.files import ModelFiles, open_model_files
from longvideoagent.weights.manifest import Weights

EXTRA, MODEL = "sound", "model.onnx"
LABELS = ("labels.csv", "yamnet_class_map.csv", "labels.txt")
"""The names that the file of labels may have."""
VERSION = 1
"""Raise it when the same weights would give other scores."""
DEFAULT_HOP_S, DEFAULT_WINDOW_S = 0.48, 0.96
"""YAMNet's."""
MIN_HOP_S, MAX_WINDOW_S = 0.005, 30.0
PROBE_S = 10.0
"""Silence that a model reads when it is loaded, by which its form is verified and its cost is measured."""
MAX_EXTRA_FRAMES = 2
"""How many frames more or less than fit a model may give: some fill up the last window, others leave it out."""
MAX_LABELS = 10_000


class SoundTagger:
    """Scores sounds by their labels. Not for use by several threads at once."""

    def __init__(self, files: ModelFiles) -> None:
        """Load a tagger; ``load_tagger`` finds its files. Raises DataError for files that cannot be used."""
        name, paths, digest = files
        labels = next((paths[file] for file in LABELS if file in paths), None)
        if MODEL not in paths or labels is None:
            have = ", ".join(paths) or "neither"
            raise DataError(f"{name}: not a sound tagger (it has {have}); one has {MODEL} and {LABELS[0]}")
        self.name = name
        self.identity = f"{VERSION} {digest}"
        """Changes with the weights and with this code; for keys of what was found."""
        self.labels = read_labels(labels)
        self._path = paths[MODEL]
        with as_data_error(self._path):
            self._session = open_session(self._path, num_threads=1)  # the sound is decoded at the same time
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.hop_s = float(metadata.get("hop_s", DEFAULT_HOP_S))
            self.window_s = float(metadata.get("window_s", DEFAULT_WINDOW_S))
        self._input, self._is_batched = self._check_input()
        self._check_times()
        self._output = self._check_output(labels)
        self.cpu_seconds_per_second = min(self._cost() for _ in range(2))
        """CPU time of a second of sound, as measured on silence."""

    def scores(self, samples: NDArray[np.float32]) -> Scores:
        """The scores of sound.

        Args:
            samples: Mono, ``RATE_HZ``, -1 to 1.

        Returns:
            A row for each frame, a column for each label, 0 to 1.

        Raises:
            DataError: The model fails, or its scores are not such.
        """
        with as_data_error(self._path):
            (found,) = self._session.run([self._output], {self._input: self._shaped(samples)})
            scores: Scores = np.asarray(found, dtype=np.float32).reshape(-1, len(self.labels))
        if not np.isfinite(scores).all() or scores.min(initial=0.0) < 0.0 or scores.max(initial=0.0) > 1.0:
            raise DataError(f"{self._path}: gives scores that are not numbers of 0 to 1; export it with its sigmoid")
        seconds = len(samples) / RATE_HZ
        num_frames = math.floor((seconds - self.window_s) / self.hop_s + 1e-6) + 1
        if abs(len(scores) - num_frames) > MAX_EXTRA_FRAMES:
            expected = f"expected are about {num_frames}, one every {self.hop_s:g} s"
            fix = "state hop_s and window_s in its metadata"
            raise DataError(f"{self._path}: gives {len(scores)} frames for {seconds:.2f} s, and {expected}; {fix}")
        return scores

    def _shaped(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return samples[np.newaxis] if self._is_batched else samples

    def _cost(self) -> float:
        started_s = time.process_time()
        self.scores(_silence())
        return (time.process_time() - started_s) / PROBE_S

    def _check_times(self) -> None:
        if not MIN_HOP_S <= self.hop_s <= self.window_s <= MAX_WINDOW_S:
            have = f"its metadata has hop_s {self.hop_s:g} and window_s {self.window_s:g}"
            raise DataError(f"{self._path}: {have}; a window is at most {MAX_WINDOW_S:g} s, a hop at most a window")

    def _check_input(self) -> tuple[str, bool]:
        """The name of the input, and whether it has an axis before that of the samples. Raises DataError for any other
        input."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or not _is_waveform(inputs[0].type, inputs[0].shape):
            have = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs) or "nothing"
            needs = "a sound tagger has one float32 waveform of any length, [samples] or [1, samples]"
            raise DataError(f"{self._path}: has the input {have}; {needs}")
        return str(inputs[0].name), len(inputs[0].shape) == 2

    def _check_output(self, labels: Path) -> str:
        """The name of the output with the scores, by what the model gives for silence. Raises DataError if there is
        none."""
        names = [each.name for each in self._session.get_outputs()]
        with as_data_error(self._path):
            outputs = self._session.run(names, {self._input: self._shaped(_silence())})
        # Others than tensors, as sequences, have no shape.
        shapes = [tuple(getattr(found, "shape", ())) for found in outputs]
        for name, shape in zip(names, shapes, strict=True):
            if len(shape) >= 2 and shape[-1] == len(self.labels) and math.prod(shape[:-2]) == 1:
                return str(name)
        have = ", ".join(f"{name} {list(shape)}" for name, shape in zip(names, shapes, strict=True))
        needs = f"one is [frames, {len(self.labels)}] for the {len(self.labels)} names of {labels.name}"
        raise DataError(f"{self._path}: has the output {have}; {needs}")


def load_tagger(name: str) -> SoundTagger:
    """A sound tagger.

    Args:
        name: A folder, or known weights; see ``weights.manifest``.

    Raises:
        UsageError: The extra is not installed, or there is neither such a folder nor such weights.
        DataError: The files are not on this machine, damaged, or not those of a tagger.
    """
    require_extra("onnxruntime", extra=EXTRA)
    return SoundTagger(open_model_files(name, (MODEL, *LABELS), EXTRA))


def is_tagger(weights: Weights) -> bool:
    """Whether weights have the files of a sound tagger, and are not said to be of another extra."""
    has_labels = any(weights.file(file) is not None for file in LABELS)
    return weights.file(MODEL) is not None and has_labels and weights.may_be_for(EXTRA)


def read_labels(path: Path) -> tuple[str, ...]:
    """The names of the labels, in the order of the scores.

    Raises:
        DataError: The file cannot be read, or has no names, unusable ones, or numbers that do not count up from 0.
    """
    with as_data_error(path):
        text = path.read_text(encoding="utf-8-sig")
        names = _csv_names(path, text) if path.suffix == ".csv" else [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not 0 < len(names) <= MAX_LABELS:
        raise DataError(f"{path}: has {len(names)} labels; give 1 to {MAX_LABELS:,}, a name for each score")
    labels = checked_labels(path, names)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"{path}: has the label {twice!r} more than once; give each a name of its own")
    return labels


def _csv_names(path: Path, text: str) -> list[str]:
    rows = list(csv.DictReader(text.splitlines(), strict=True))
    if not rows or not {"index", "display_name"} <= rows[0].keys():
        raise DataError(f"{path}: lacks the columns index and display_name; give those, or the names in labels.txt")
    if [row["index"] for row in rows] != [str(number) for number in range(len(rows))]:
        raise DataError(f"{path}: its column index does not count from 0; give the file as published")
    return [(row["display_name"] or "").strip() for row in rows]


def _is_waveform(kind: str, shape: Sequence[int | str | None]) -> bool:
    """Whether an input of a network is sound of any length."""
    is_free = len(shape) in (1, 2) and not isinstance(shape[-1], int)
    can_be_one = len(shape) != 2 or not isinstance(shape[0], int) or shape[0] == 1
    return kind == "tensor(float)" and is_free and can_be_one


def _silence() -> NDArray[np.float32]:
    return np.zeros(round(PROBE_S * RATE_HZ), dtype=np.float32)
