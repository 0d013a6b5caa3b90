"""Transcripts of speech, one JSON file for each video content and model, so that each is made once.

A file is written completely or not at all. One that is empty, damaged or of an unknown version is transcribed again;
one of an older version is migrated when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Subtitle
from longvideoagent.fs import atomic_write_text, cache_dir
from longvideoagent.media import speech
from longvideoagent.media.container import has_audio
from longvideoagent.progress import Progress, no_progress

VERSION = 2
"""Of the files. ``_MIGRATIONS`` lead from the oldest version to it."""


def transcribe(
    path: Path, model: str, *, allow_download: bool = False, progress: Progress = no_progress
) -> list[Subtitle]:
    """As ``media.speech.transcribe``, which is called only if no transcript of this content by this model is kept."""
    speech.require_installed()
    if not has_audio(path):
        return []
    file = _transcript_path(path, model)
    kept = _read(file)
    if kept:
        return kept
    subtitles = speech.transcribe(path, model, allow_download=allow_download, progress=progress)
    if subtitles:
        with suppress(OSError):  # a full disk must not cost the transcript
            _write(file, subtitles)
    return subtitles


def _transcript_path(path: Path, model: str) -> Path:
    """Named by a digest of the video's content, the model and the version of the transcriber."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "blake2b")
    digest.update(f"{speech.VERSION} {_model_identity(model)}".encode())
    return cache_dir() / "speech" / f"{digest.hexdigest()[:40]}.json"


def _model_identity(model: str) -> str:
    """The name of a size; for a folder the state of its weights, which may be replaced."""
    weights = Path(model) / "model.bin"
    if not weights.is_file():
        return model
    state = weights.stat()
    return f"{weights.resolve()} {state.st_size} {state.st_mtime_ns}"


def _write(file: Path, subtitles: Sequence[Subtitle]) -> None:
    rows = [asdict(subtitle) for subtitle in subtitles]
    atomic_write_text(file, json.dumps({"version": VERSION, "count": len(rows), "subtitles": rows}))


def _read(file: Path) -> list[Subtitle]:
    """The subtitles of a file; empty if it is missing, damaged or of an unknown version."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        for migrate in _MIGRATIONS[record.get("version", 1) - 1 :]:
            record = migrate(record)
        subtitles = [Subtitle(**row) for row in record["subtitles"]]
        return subtitles if len(subtitles) == record["count"] else []
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


# --- migrations: each takes a record of version n and returns one of version n + 1 -------------------


def _from_version_1(record: Mapping[str, Any]) -> dict[str, Any]:
    """Records of development builds before 0.1.0, which had no version number."""
    return {"version": 2, "count": record["count"], "subtitles": record["lines"]}


_MIGRATIONS: list[Callable[[Mapping[str, Any]], dict[str, Any]]] = [_from_version_1]
