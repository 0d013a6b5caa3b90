"""Speech to text with faster-whisper (extra ``asr``). ``index.speech`` keeps the transcripts.

Whisper writes sentences for any sound, and takes a file to be in one language. So only what a voice detector takes for
speech is transcribed, in pieces each of whose language is detected; pieces without a certain language, and sentences
that Whisper itself is unsure of, are left out, and the transcript says how many.

Weights are hundreds of megabytes, so nothing is downloaded unless ``allow_download`` allows it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, one_line, require_extra
from longvideoagent.media.container import has_audio
from longvideoagent.media.sound import sound_blocks, sound_length_s
from longvideoagent.progress import Progress, no_progress

STAGE = "transcribing the speech"
SAMPLE_RATE_HZ = 16_000
"""That of Whisper."""
VERSION = 4
"""Raise it when the same weights would give another transcript, as after a change of the settings below."""
MODELS_MB = {"tiny": 76, "base": 146, "small": 484, "medium": 1530, "large-v3": 3090, "turbo": 1620}
"""Download sizes of faster-whisper's models."""
DEFAULT_MODEL = "base"
CPU_SECONDS_PER_SECOND = {"base": 0.25}
"""CPU time of a second of speech, as measured; see docs/models.md."""
MAX_PIECE_S = 28.0
"""Whisper sees 30 seconds at once."""
MIN_SILENCE_MS = 600
"""A shorter pause does not separate two spans of speech."""
VOICE_MARGIN_S = 1.0
"""Speech so close to where a voice is heard is transcribed: the times of a sound tagger are those of its windows."""
MIN_LANGUAGE_PROBABILITY = 0.5
"""What is less probably in one language is not taken for speech."""
SURE_LANGUAGE_PROBABILITY = 0.8
"""A piece that is more probably in one language is in one language."""
MIN_MEAN_LOG_PROBABILITY = -1.0
MAX_COMPRESSION_RATIO = 2.4
"""Whisper's own limits: it decodes a sentence beyond them again at a higher temperature, and accepts the last try."""
TEMPERATURES = (0.0, 0.4)
"""The second one is for sentences beyond those limits. Whisper's own list of six takes four times as long."""
MAX_TIMES_SHOWN = 5
_Floats = NDArray[np.float32]


class Transcript(NamedTuple):
    """The speech of a video."""

    lines: tuple[Subtitle, ...] = ()
    """In order of time."""
    warnings: tuple[str, ...] = ()
    """What was left out."""


def is_installed() -> bool:
    """Whether the extra ``asr`` is installed."""
    return find_spec("faster_whisper") is not None


def require_installed() -> None:
    """Raise UsageError if the extra ``asr`` is not installed."""
    require_extra("faster_whisper", extra="asr")


def configured_model() -> str:
    """The model named in LVA_SPEECH_MODEL, as ``transcribe`` takes it; by default ``base``."""
    return os.environ.get("LVA_SPEECH_MODEL") or DEFAULT_MODEL


def cost_text(path: Path, model: str) -> str:
    """What a transcription takes, for people; empty if that was not measured for this model, or there is no sound.
    Raises DataError if the file cannot be opened."""
    seconds = sound_length_s(path) * CPU_SECONDS_PER_SECOND.get(model, 0.0) if has_audio(path) else 0.0
    return f"about {format_timestamp(seconds)} of CPU time if all of it is speech" if seconds else ""


def transcribe(
    path: Path,
    model: str,
    *,
    voices_s: Sequence[tuple[float, float]] | None = None,
    allow_download: bool = False,
    progress: Progress = no_progress,
) -> Transcript:
    """Transcribe the speech of a video.

    Args:
        path: The video.
        model: One of faster-whisper's sizes, a folder of weights, or a repository of the hub, ``NAME/NAME`` or
            ``NAME/NAME@REVISION``.
        voices_s: Where a voice is heard, start and end in seconds; the rest is not transcribed. None: not known.
        allow_download: Whether weights that are missing are downloaded.
        progress: Called with the fraction that is done.

    Returns:
        The transcript; empty if nothing is spoken or there is no sound.

    Raises:
        UsageError: The extra is not installed.
        DataError: The weights are not available, or the sound cannot be read.
    """
    require_installed()
    if not has_audio(path):
        return Transcript()
    if voices_s is not None and not voices_s:
        return Transcript(warnings=("nothing was transcribed, since the sound tagger heard no voice",))
    transcriber = _Transcriber(_load(_weights_folder(model, allow_download)), voices_s)
    _seed()
    length_s = sound_length_s(path)
    try:
        for start_s, samples, _ in sound_blocks(path, SAMPLE_RATE_HZ):
            end_s = start_s + len(samples) / SAMPLE_RATE_HZ
            for time_s in transcriber.add(start_s, np.divide(samples, 32768, dtype=np.float32)):
                progress(STAGE, min(1.0, time_s / max(length_s, end_s)))
    except (OSError, ValueError, RuntimeError, IndexError) as error:
        reason = one_line(error, 200)
        raise DataError(f"{path}: its sound cannot be transcribed ({reason}); give subtitles instead") from error
    return Transcript(tuple(transcriber.lines), tuple(transcriber.warnings()))


class _Span(NamedTuple):
    """Where the voice detector finds speech, in samples of a block."""

    start: int
    end: int


class _Part(NamedTuple):
    """Spans in one language."""

    language: str | None
    """None if none is certain."""
    spans: Sequence[_Span]


@dataclass(slots=True)
class _Transcriber:
    """Transcribes blocks of sound one after the other."""

    model: Any
    voices_s: Sequence[tuple[float, float]] | None = None
    """Where a voice is heard; None if that is not known."""
    lines: list[Subtitle] = field(default_factory=list)
    _unknown_s: list[float] = field(default_factory=list)
    """Where sound in no certain language was left out."""
    _unsure_s: list[float] = field(default_factory=list)
    """Where sentences were left out."""
    _voiceless_s: list[float] = field(default_factory=list)
    """Where the voice detector finds speech and no voice is heard."""

    def add(self, start_s: float, samples: _Floats) -> Iterator[float]:
        """Transcribe a block; yields the time up to which it is done."""
        for piece in _pieces(self._with_voice(start_s, _speech_spans(samples))):
            for part in self._parts(samples, piece):
                if part.language is None:
                    self._unknown_s.append(start_s + part.spans[0].start / SAMPLE_RATE_HZ)
                else:
                    self._transcribe(start_s, samples, part)
                yield start_s + part.spans[-1].end / SAMPLE_RATE_HZ
        yield start_s + len(samples) / SAMPLE_RATE_HZ

    def _with_voice(self, start_s: float, spans: Sequence[_Span]) -> list[_Span]:
        """The spans of a block in which, or close to which, a voice is heard."""
        if self.voices_s is None:
            return [*spans]
        kept = []
        for span in spans:
            from_s, to_s = (start_s + each / SAMPLE_RATE_HZ for each in span)
            if any(from_s - VOICE_MARGIN_S <= end and begin <= to_s + VOICE_MARGIN_S for begin, end in self.voices_s):
                kept.append(span)
            else:
                self._voiceless_s.append(from_s)
        return kept

    def _parts(self, samples: _Floats, piece: Sequence[_Span]) -> list[_Part]:
        """The piece in parts of one language each. Spans that have no certain language of their own, as short ones, are
        in that of the piece if no other one is certain in it."""
        language, is_sure = self._language(samples, piece)
        if is_sure or len(piece) == 1:
            return [_Part(language, piece)]
        certain = [self._language(samples, [span])[0] for span in piece]
        usual = language if set(certain) <= {language, None} else None
        parts: list[_Part] = []
        for span, of_span in zip(piece, (each or usual for each in certain), strict=True):
            if parts and parts[-1].language == of_span:
                parts[-1] = _Part(of_span, [*parts[-1].spans, span])
            else:
                parts.append(_Part(of_span, [span]))
        return parts

    def _language(self, samples: _Floats, spans: Sequence[_Span]) -> tuple[str | None, bool]:
        """The language of spans if it is certain, and whether that holds for each of them."""
        if not self.model.model.is_multilingual:
            return "en", True
        language, probability, _ = self.model.detect_language(_join(samples, spans))
        is_certain = probability >= MIN_LANGUAGE_PROBABILITY
        return language if is_certain else None, probability >= SURE_LANGUAGE_PROBABILITY

    def _transcribe(self, start_s: float, samples: _Floats, part: _Part) -> None:
        segments, _ = self.model.transcribe(
            _join(samples, part.spans),
            language=part.language,
            condition_on_previous_text=False,
            temperature=TEMPERATURES,
        )
        for segment in segments:
            text = " ".join(segment.text.split())
            from_s = start_s + _time_s(segment.start, part.spans, is_end=False)
            to_s = start_s + _time_s(segment.end, part.spans, is_end=True)
            is_unsure = (
                segment.avg_logprob < MIN_MEAN_LOG_PROBABILITY or segment.compression_ratio > MAX_COMPRESSION_RATIO
            )
            if text and is_unsure:
                self._unsure_s.append(from_s)
            elif text:
                self.lines.append(Subtitle(round(from_s, 3), round(max(from_s, to_s), 3), text))

    def warnings(self) -> Iterator[str]:
        """What was left out, for people."""
        if self._unknown_s:
            yield f"sound in no certain language was not taken for speech ({_times(self._unknown_s)})"
        if self._voiceless_s:
            yield f"sound in which the sound tagger heard no voice was left out ({_times(self._voiceless_s)})"
        if self._unsure_s:
            yield f"sentences that the speech model is unsure of were left out ({_times(self._unsure_s)})"


def _seed() -> None:
    """Make the samples at a temperature the same each time."""
    import ctranslate2

    ctranslate2.set_random_seed(0)


def _speech_spans(samples: _Floats) -> list[_Span]:
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=MIN_SILENCE_MS, max_speech_duration_s=MAX_PIECE_S)
    return [_Span(each["start"], each["end"]) for each in get_speech_timestamps(samples, options)]


def _pieces(spans: Sequence[_Span]) -> Iterator[list[_Span]]:
    """Spans together, as many as Whisper sees at once."""
    piece: list[_Span] = []
    num_samples = 0
    for span in spans:
        if piece and num_samples + span.end - span.start > MAX_PIECE_S * SAMPLE_RATE_HZ:
            yield piece
            piece, num_samples = [], 0
        piece.append(span)
        num_samples += span.end - span.start
    if piece:
        yield piece


def _join(samples: _Floats, spans: Sequence[_Span]) -> _Floats:
    return np.concatenate([samples[span.start : span.end] for span in spans])


def _time_s(joined_s: float, spans: Sequence[_Span], *, is_end: bool) -> float:
    """A time in joined spans as a time in their block. Where one span follows another, a sentence ends in the first and
    begins in the second: the silence between them belongs to neither."""
    left = round(joined_s * SAMPLE_RATE_HZ)
    for span in spans:
        num_samples = span.end - span.start
        if left < num_samples or (is_end and left == num_samples):
            return (span.start + left) / SAMPLE_RATE_HZ
        left -= num_samples
    return spans[-1].end / SAMPLE_RATE_HZ


def _times(times_s: Sequence[float]) -> str:
    shown = ", ".join(map(format_timestamp, times_s[:MAX_TIMES_SHOWN]))
    num_more = len(times_s) - MAX_TIMES_SHOWN
    others = f" and {num_more} more {plural('time', num_more)}" if num_more > 0 else ""
    return f"at {shown}{others}"


def _weights_folder(model: str, allow_download: bool) -> str:
    if Path(model).is_dir():
        return model
    if (folder := _own_weights(model)) is not None:
        return str(folder)
    from faster_whisper.utils import download_model

    name = (
        f"the speech model {model!r} ({MODELS_MB[model]} MB)" if model in MODELS_MB else f"the speech model {model!r}"
    )
    repository, _, revision = model.partition("@")
    try:
        return str(download_model(repository, local_files_only=not allow_download, revision=revision or None))
    except (OSError, ValueError) as error:
        if not allow_download:
            fix = "lva transcribe downloads it, LVA_SPEECH_MODEL names another or a folder"
            raise DataError(f"{name} is not available; {fix}") from error
        fix = f"give one of {', '.join(MODELS_MB)} and a connection, or a folder"
        raise DataError(f"{name} cannot be downloaded ({one_line(error, 200)}); {fix}") from error


def _own_weights(model: str) -> Path | None:
    """The folder of a size that ``lva weights`` knows, if all of its files are in one; None for any other. Raises
    DataError if a file has other bytes than it should."""
    from longvideoagent.weights.manifest import known_weights
    from longvideoagent.weights.store import is_available, open_weights

    weights = known_weights().get(f"faster-whisper-{model}")
    if weights is None or not is_available(weights):
        return None
    folders = {path.parents[name.count("/")] for name, path in open_weights(weights).items()}
    return folders.pop() if len(folders) == 1 else None


@lru_cache(maxsize=1)
def _load(weights: str) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(weights, device="auto", compute_type="auto")
