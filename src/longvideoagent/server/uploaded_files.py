"""Changes to what people uploaded: rename and delete videos and subtitle files. Other files are never changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from longvideoagent.errors import UsageError
from longvideoagent.fs import atomic_write_text
from longvideoagent.server.library import NAME_FILE, Library, LibraryVideo, NotFoundError
from longvideoagent.server.uploads import clean_name


def rename_video(library: Library, item: LibraryVideo, name: str) -> LibraryVideo:
    """Show an uploaded video under another name. Its file and its id stay, so that links to it stay valid.

    Args:
        library: The library of the video.
        item: The video.
        name: The new name; the suffix is kept if it has another one.

    Returns:
        The video with its new name.

    Raises:
        UsageError: It was not uploaded, or the name cannot be used.
    """
    _check_upload(item)
    atomic_write_text(item.path.parent / NAME_FILE, _with_suffix(name, item.path.suffix))
    return library.add_upload(item.path)


def delete_video(library: Library, item: LibraryVideo) -> None:
    """Delete an uploaded video with its subtitles. Raises UsageError if it was not uploaded."""
    _check_upload(item)
    shutil.rmtree(item.path.parent)
    shutil.rmtree(library.subtitle_folder(item), ignore_errors=True)
    library.forget(item)


def rename_subtitles(library: Library, item: LibraryVideo, name: str) -> None:
    """Rename the uploaded subtitle file of a video. Raises NotFoundError if it has none, and UsageError."""
    path = _uploaded_subtitles(library, item)
    path.rename(path.with_name(_with_suffix(name, path.suffix)))


def delete_subtitles(library: Library, item: LibraryVideo) -> None:
    """Delete the uploaded subtitle file of a video; one next to it is used again. Raises NotFoundError."""
    _uploaded_subtitles(library, item).unlink()


def _check_upload(item: LibraryVideo) -> None:
    if not item.is_upload:
        raise UsageError(f"{item.name}: not an upload; change the file in the library's folder")


def _uploaded_subtitles(library: Library, item: LibraryVideo) -> Path:
    path = library.uploaded_subtitles(item)
    if path is None:
        raise NotFoundError(f"{item.name}: no subtitle file was uploaded for it; reload the list")
    return path


def _with_suffix(name: str, suffix: str) -> str:
    """Raises UsageError."""
    name = name.strip()
    return clean_name(name if name.lower().endswith(suffix.lower()) else f"{name}{suffix}")
