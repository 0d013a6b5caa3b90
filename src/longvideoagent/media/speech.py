"""Speech to text with faster-whisper (extra ``asr``). ``index.speech`` keeps the transcripts.

Weights are hundreds of megabytes, so nothing is downloaded unless ``allow_download`` allows it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, one_line, require_extra
from longvideoagent.media.container import has_audio
from longvideoagent.media.sound import sound_blocks, sound_length_s
from longvideoagent.progress import Progress, no_progress

STAGE = "transcribing the speech"
SAMPLE_RATE_HZ = 16_000
"""That of Whisper."""
VERSION = 2
"""Raise it when the same weights would give another transcript, as after a change of the settings below."""
MODELS_MB = {"tiny": 76, "base": 146, "small": 484, "medium": 1530, "large-v3": 3090, "turbo": 1620}
"""Download sizes of faster-whisper's models."""
DEFAULT_MODEL = "small"


def is_installed() -> bool:
    """Whether the extra ``asr`` is installed."""
    return find_spec("faster_whisper") is not None


def require_installed() -> None:
    """Raise UsageError if the extra ``asr`` is not installed."""
    require_extra("faster_whisper", extra="asr")


def configured_model() -> str:
    """The model named in LVA_SPEECH_MODEL, a size or a folder; by default ``small``."""
    return os.environ.get("LVA_SPEECH_MODEL") or DEFAULT_MODEL


def transcribe(
    path: Path, model: str, *, allow_download: bool = False, progress: Progress = no_progress
) -> list[Subtitle]:
    """Transcribe the speech of a video, in order of time; empty if nothing is spoken or there is no sound.

    ``model`` is one of faster-whisper's sizes or a folder of weights; ``allow_download`` allows a download. Raises
    UsageError if the extra is not installed, and DataError if the weights are not available or the sound cannot be
    read.
    """
    require_installed()
    if not has_audio(path):
        return []
    weights = _weights_folder(model, allow_download)
    length_s = sound_length_s(path)
    subtitles = []
    try:
        for start_s, samples, _ in sound_blocks(path, SAMPLE_RATE_HZ):
            segments, info = _load(weights).transcribe(samples.astype(np.float32) / 32768, vad_filter=True)
            for segment in segments:
                text = " ".join(segment.text.split())
                if text:
                    subtitles.append(Subtitle(round(start_s + segment.start, 3), round(start_s + segment.end, 3), text))
                progress(STAGE, min(1.0, (start_s + segment.end) / max(length_s, start_s + info.duration)))
    except (OSError, ValueError, RuntimeError, IndexError) as error:
        reason = one_line(error, 200)
        raise DataError(f"{path}: its sound cannot be transcribed ({reason}); give subtitles instead") from error
    return subtitles


def _weights_folder(model: str, allow_download: bool) -> str:
    if Path(model).is_dir():
        return model
    if (folder := _own_weights(model)) is not None:
        return str(folder)
    from faster_whisper.utils import download_model

    name = (
        f"the speech model {model!r} ({MODELS_MB[model]} MB)" if model in MODELS_MB else f"the speech model {model!r}"
    )
    try:
        return str(download_model(model, local_files_only=not allow_download))
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
    from longvideoagent.weights.store import is_here, open_weights

    weights = known_weights().get(f"faster-whisper-{model}")
    if weights is None or not is_here(weights):
        return None
    folders = {path.parents[name.count("/")] for name, path in open_weights(weights).items()}
    return folders.pop() if len(folders) == 1 else None


@lru_cache(maxsize=1)
def _load(weights: str) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(weights, device="auto", compute_type="auto")
