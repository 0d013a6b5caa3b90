"""Find the subtitle file next to a video."""

from __future__ import annotations

from pathlib import Path

from longvideoagent.media.subtitles.read import SUFFIXES


def find_sidecar(video: Path) -> Path | None:
    """Find the subtitle file next to a video: of the same name, or with a language as in ``talk.en.srt``; or None.

    The name without a language comes first, then .srt before .vtt before .ass."""
    video = video.absolute() if video.name else video.resolve()  # "." has no name
    name = video.name if video.is_dir() else video.stem
    try:
        files = [file for file in video.parent.iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError:  # a folder without permission to list it
        return None
    named = [file for file in files if name in (file.stem, file.stem.rpartition(".")[0])]
    return min(
        named, key=lambda file: (file.stem != name, SUFFIXES.index(file.suffix.lower()), file.name), default=None
    )
