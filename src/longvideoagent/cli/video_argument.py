"""What a person meant who gave something else than a video to ``lva ask``."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from longvideoagent.core.text import plural
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.readers.base import VIDEO_SUFFIXES

MAX_NAMES = 3
MAX_PARTS = 100
"""Folders of a path of which one may be misspelt."""
MAX_SCANNED = 10_000
"""Files of a folder among which names are suggested."""


def check_video_argument(video: Path, question: str) -> None:
    """Check what was given as the video, before anything is loaded. A path that only the reader can judge passes.

    Args:
        video: A video file, or a folder of numbered JPEG frames.
        question: The argument after it.

    Raises:
        UsageError: The two arguments are swapped.
        DataError: The video does not exist but another name is near, or it is a folder of videos.
    """
    if _exists(video) and video.is_dir():
        _check_folder(video)
    elif not _exists(video):
        if _is_video(Path(question)) or (" " in str(video) and _exists(Path(question))):
            raise UsageError(f"{question}: the video comes first; give lva ask {quote(question)} {quote(str(video))}")
        names = _near_names(video)
        if names:
            raise DataError(f"{video}: no such file; did you mean {' or '.join(names)}?")


def _check_folder(folder: Path) -> None:
    """Raises DataError for a folder that has videos and no frames."""
    names = _names(folder)
    videos = [name for name in names if _is_video(folder / name)]
    if not videos or any(Path(name).suffix.lower() in (".jpg", ".jpeg") for name in names):
        return
    listed = ", ".join(videos[:MAX_NAMES]) + (", …" if len(videos) > MAX_NAMES else "")
    raise DataError(
        f"{folder}: a folder of {len(videos)} {plural('video', len(videos))} ({listed}); give one of them, "
        f"such as {folder / videos[0]}, or open all with lva serve --library {folder}"
    )


def _near_names(path: Path) -> list[str]:
    """Paths of existing videos and folders with nearly the name of ``path``, nearest first."""
    parent = path.parent
    if not _exists(parent):
        if len(parent.parts) > MAX_PARTS:
            return []
        return [str(near / path.name) for near in map(Path, _near_names(parent)) if (near / path.name).exists()]
    by_key: dict[str, str] = {}
    for name in _names(parent):
        if _is_video(parent / name):
            by_key.setdefault(Path(name).stem.casefold(), name)
        if _is_video(parent / name) or (parent / name).is_dir():
            by_key[name.casefold()] = name
    keys = get_close_matches(path.name.casefold(), list(by_key), MAX_NAMES, cutoff=0.75)
    return list(dict.fromkeys(str(parent / by_key[key]) for key in keys))


def _names(folder: Path) -> list[str]:
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:  # the reader says what is wrong
        return []
    return names[:MAX_SCANNED]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and _exists(path) and path.is_file()


def _exists(path: Path) -> bool:
    try:
        return path.expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long for a name, an unknown user, or a null character
        return False
