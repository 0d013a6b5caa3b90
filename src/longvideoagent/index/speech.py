"""Transcripts of speech, kept in the index of the video for each model, so that each is made once."""

from __future__ import annotations

from pathlib import Path

from longvideoagent.index.stored_text import StepCost, StoredText, TextKind, read_text, write_text
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media import speech
from longvideoagent.media.container import has_audio
from longvideoagent.media.speech import Transcript
from longvideoagent.progress import Progress, no_progress


def transcribe(path: Path, model: str, *, allow_download: bool = False, progress: Progress = no_progress) -> Transcript:
    """As ``media.speech.transcribe``, which is called only if the index of the video has no transcript by this
    model."""
    speech.require_installed()
    if not has_audio(path):
        return Transcript()
    with VideoIndex.open(path) as index:
        stored = transcript(index, path, model, allow_download=allow_download, progress=progress)
        return Transcript(stored.lines, stored.warnings)


def transcript(
    index: VideoIndex, path: Path, model: str, *, allow_download: bool = False, progress: Progress = no_progress
) -> StoredText:
    """The transcript of a video with sound, from its index or made now. Raises what ``media.speech.transcribe``
    raises."""
    key = transcript_key(model)

    def build() -> StoredText:
        lines, warnings = speech.transcribe(path, model, allow_download=allow_download, progress=progress)
        return StoredText(TextKind.SPEECH, key, lines, "the speech", warnings)

    return index.build_once(
        lambda: read_text(index, TextKind.SPEECH, key),
        build,
        lambda text, seconds: write_text(index, text, StepCost("speech", f"all of it, by {Path(model).name}", seconds)),
        progress,
    )


def transcript_key(model: str) -> str:
    """The key of a transcript: the version of the transcriber, and the model."""
    return f"{speech.VERSION} {_model_identity(model)}"


def _model_identity(model: str) -> str:
    """The name of a size; for a folder the state of its weights, which may be replaced."""
    weights = Path(model) / "model.bin"
    if not weights.is_file():
        return model
    state = weights.stat()
    return f"{weights.resolve()} {state.st_size} {state.st_mtime_ns}"
