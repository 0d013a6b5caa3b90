"""Transcripts of speech, kept in the index of the video for each model, so that each is made once."""

from __future__ import annotations

from pathlib import Path

from longvideoagent.index.sounds import Voices, read_voices
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
    """The transcript of a video with sound, from its index or made now: of all speech or, if the index has the sounds
    by a tagger that knows voices, where that heard some. Raises what ``media.speech.transcribe`` raises."""
    voices = read_voices(index)
    *_, key = keys = _transcript_keys(model, voices)

    def build() -> StoredText:
        spans_s = None if voices is None else voices.spans_s
        lines, warnings = speech.transcribe(
            path, model, voices_s=spans_s, allow_download=allow_download, progress=progress
        )
        return StoredText(TextKind.SPEECH, key, lines, "the speech", warnings)

    covered = "all of it" if voices is None else "where a voice is heard"
    return index.build_once(
        lambda: next((text for each in keys if (text := read_text(index, TextKind.SPEECH, each))), None),
        build,
        lambda text, seconds: write_text(index, text, StepCost("speech", f"{covered}, by {Path(model).name}", seconds)),
        progress,
    )


def transcript_keys(index: VideoIndex, model: str) -> tuple[str, ...]:
    """The keys of the transcripts by a model that may be used, the best one first."""
    return _transcript_keys(model, read_voices(index))


def _transcript_keys(model: str, voices: Voices | None) -> tuple[str, ...]:
    """The version of the transcriber and the model; then, of a transcript only of voices, also what heard them."""
    key = f"{speech.VERSION} {_model_identity(model)}"
    return (key,) if voices is None else (key, f"{key} {voices.key}")


def _model_identity(model: str) -> str:
    """The name of a size; for a folder the state of its weights, which may be replaced."""
    weights = Path(model) / "model.bin"
    if not weights.is_file():
        return model
    state = weights.stat()
    return f"{weights.resolve()} {state.st_size} {state.st_mtime_ns}"
