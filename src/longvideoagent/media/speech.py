"""Speech to text with faster-whisper (extra ``asr``), remembered by the content of the file.

Nothing is fetched unless ``fetch`` allows it: weights are hundreds of megabytes. A transcript is written
whole or not at all, and one that is empty or broken is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, UsageError, one_line
from longvideoagent.fs import atomic_write_text, cache_dir
from longvideoagent.media.container import has_sound
from longvideoagent.media.subtitles import subtitle_text
from longvideoagent.progress import Progress, no_progress

MODELS_MB = {"tiny": 76, "base": 146, "small": 484, "medium": 1530, "large-v3": 3090, "turbo": 1620}
"""What faster-whisper's models weigh."""
DEFAULT_MODEL = "small"
FORMAT = 1
"""Part of every transcript's name; raise it when one would be read differently."""


def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("faster_whisper") is not None


def chosen_model() -> str:
    """The model named in LVA_SPEECH_MODEL, a size or a folder; else ``small``."""
    return os.environ.get("LVA_SPEECH_MODEL") or DEFAULT_MODEL


def transcribe(path: Path, model: str, *, fetch: bool = False, progress: Progress = no_progress) -> list[Subtitle]:
    """What is said in a video, in order; no line where nothing is. ``model`` is a size or a folder of
    faster-whisper's; ``progress`` is told the share of the playing time that is done.

    Raises UsageError where the extra is missing, and DataError where the weights are not at hand and may
    not, or cannot, be fetched, or the sound cannot be read.
    """
    if not is_installed():
        raise UsageError("faster-whisper is not installed; pip install 'longvideoagent[asr]'")
    if not has_sound(path):
        return []
    kept = _kept_at(path, model)
    remembered = _recall(kept)
    if remembered:
        return remembered
    lines = _listen(path, _weights(model, fetch), progress)
    if lines:
        with suppress(OSError):  # what was heard is worth more than its keeping
            atomic_write_text(kept, json.dumps({"count": len(lines), "lines": [asdict(line) for line in lines]}))
    return lines


def write_srt(path: Path, lines: Sequence[Subtitle]) -> None:
    """Write lines as SubRip, whole or not at all. Raises UsageError where the file exists."""
    if path.exists():
        raise UsageError(f"{path}: is there already; delete it or choose another --out")
    atomic_write_text(path, subtitle_text(lines, "srt"))


def _weights(model: str, fetch: bool) -> str:
    """The folder of the weights."""
    if Path(model).is_dir():
        return model
    from faster_whisper.utils import download_model

    size = f"{MODELS_MB[model]} MB" if model in MODELS_MB else "of unknown size"
    try:
        return str(download_model(model, local_files_only=not fetch))
    except (OSError, ValueError) as error:
        if not fetch:
            mend = "lva transcribe fetches it, LVA_SPEECH_MODEL names another or a folder"
            raise DataError(f"the speech model {model!r} ({size}) is not at hand; {mend}") from error
        told = one_line(error, 200)
        mend = f"give one of {', '.join(MODELS_MB)} and a connection, or a folder"
        raise DataError(f"the speech model {model!r} ({size}) cannot be fetched ({told}); {mend}") from error


def _listen(path: Path, weights: str, progress: Progress) -> list[Subtitle]:
    try:
        segments, about = _load(weights).transcribe(str(path), vad_filter=True)
        lines = []
        for segment in segments:
            text = " ".join(segment.text.split())
            if text:
                lines.append(Subtitle(round(segment.start, 3), round(segment.end, 3), text))
            progress("transcribing the speech", min(1.0, segment.end / about.duration))
    except (OSError, ValueError, RuntimeError, IndexError) as error:
        told = one_line(error, 200)
        raise DataError(f"{path}: its sound cannot be transcribed ({told}); give subtitles instead") from error
    return lines


@lru_cache(maxsize=1)
def _load(weights: str) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(weights, device="auto", compute_type="auto")


def _kept_at(path: Path, model: str) -> Path:
    """Where the transcript of that content by that model is kept."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "blake2b")
    digest.update(f"{FORMAT} {_identity(model)}".encode())
    return cache_dir() / "speech" / f"{digest.hexdigest()[:40]}.json"


def _identity(model: str) -> str:
    """A size by its name; a folder by what lies in it, since it may hold other weights tomorrow."""
    weights = Path(model) / "model.bin"
    if not weights.is_file():
        return model
    about = weights.stat()
    return f"{weights.resolve()} {about.st_size} {about.st_mtime_ns}"


def _recall(kept: Path) -> list[Subtitle]:
    """The lines kept there; none where the file is missing, broken or not whole."""
    try:
        told = json.loads(kept.read_text(encoding="utf-8"))
        lines = [Subtitle(**line) for line in told["lines"]]
        return lines if len(lines) == told["count"] else []
    except (OSError, ValueError, TypeError, KeyError):
        return []
