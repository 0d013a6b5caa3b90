"""Uploads: written to disk as they arrive, checked by their content, stored completely or not at all."""

from __future__ import annotations

import asyncio
import filecmp
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from longvideoagent.core.text import replace_surrogates
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import PARTIAL, atomic_path
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.subtitles import MAX_FILE_BYTES as MAX_SUBTITLE_BYTES
from longvideoagent.media.subtitles import SUFFIXES as SUBTITLE_SUFFIXES
from longvideoagent.media.subtitles import read_subtitles
from longvideoagent.server.library import SUFFIXES, Library, LibraryVideo

MIN_FREE_BYTES = 500_000_000
"""Disk space that an upload leaves free."""
CHUNK_BYTES = 1 << 20
MAX_NAME_BYTES = 200
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""Path separators, what some file systems forbid, and characters that change the direction of the text after them."""


class TooLargeError(UsageError):
    """An upload exceeds the limit or the free disk space."""


class SavedVideo(NamedTuple):
    """The video of an upload; ``is_new`` is false if the same content was uploaded before; that upload is then kept."""

    video: LibraryVideo
    is_new: bool


async def save_video(library: Library, name: str, body: AsyncIterator[bytes], max_upload_bytes: int) -> SavedVideo:
    """Write an uploaded video into the library, unless the same content was uploaded before. Raises UsageError if
    the name does not end like that of a video, TooLargeError if the upload exceeds ``max_upload_bytes`` or the disk,
    and DataError if it is not a video."""
    name = clean_name(name)
    if Path(name).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{name}: not the name of a video; use one that ends in {', '.join(SUFFIXES)}")
    path = library.uploads / secrets.token_hex(6) / name
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, path.parent, ignore_errors=True)
        with ExitStack() as writing:
            partial = writing.enter_context(atomic_path(path))
            await _write(partial, body, max_upload_bytes, "restart the server with a larger --max-upload-gb")
            equal = await asyncio.to_thread(find_equal, library, partial)
            if equal is not None:
                return SavedVideo(equal, is_new=False)
            await asyncio.to_thread(_check_video, partial, name)
            await asyncio.to_thread(writing.pop_all().close)  # fsync of a large file takes long
        undo.pop_all()
    return SavedVideo(library.add_upload(path), is_new=True)


async def save_subtitles(library: Library, item: LibraryVideo, name: str, body: AsyncIterator[bytes]) -> None:
    """Use an upload as the subtitles of a video, instead of any others. Raises UsageError, TooLargeError or DataError
    like ``save_video``."""
    name = clean_name(name)
    path = library.subtitle_folder(item) / f"{Path(name).stem}{Path(name).suffix.lower()}"
    if path.suffix not in SUBTITLE_SUFFIXES:
        raise UsageError(f"{name}: not a subtitle file; use one that ends in {', '.join(SUBTITLE_SUFFIXES)}")
    with atomic_path(path) as partial:
        await _write(partial, body, MAX_SUBTITLE_BYTES, "use a smaller file")
        await asyncio.to_thread(_check_subtitles, partial, name, library.encoding)
    for other in path.parent.iterdir():
        if other != path and PARTIAL not in other.name:
            other.unlink(missing_ok=True)


def find_equal(library: Library, path: Path) -> LibraryVideo | None:
    """The uploaded video with the same content as a file, or None. Files of the library's folder do not count: whoever
    put them there may change or remove them."""
    size_bytes = path.stat().st_size
    for item in library.videos():
        if item.is_upload and item.size_bytes == size_bytes and item.path != path and _is_equal(item.path, path):
            return item
    return None


def _is_equal(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:  # deleted or unreadable: not a copy that could be used
        return False


def clean_name(name: str) -> str:
    """A file name without folders, control characters or what some file systems forbid. Raises UsageError if nothing is
    left."""
    base_name = PureWindowsPath(PurePosixPath(name).name).name
    text = _FORBIDDEN.sub("_", replace_surrogates(base_name)).replace(PARTIAL, "_partial").strip(" .")
    stem, dot, suffix = text.rpartition(".")
    max_stem_bytes = MAX_NAME_BYTES - len(f".{suffix}".encode())
    stem = stem.encode()[: max(0, max_stem_bytes)].decode("utf-8", "ignore").strip(" .")
    if not dot or not stem:
        raise UsageError("the upload has no usable file name; rename it")
    return f"{stem}.{suffix}"


async def _write(path: Path, body: AsyncIterator[bytes], max_bytes: int, fix: str) -> None:
    """Raises TooLargeError, which ends with ``fix``, if the body exceeds the limit, or if the disk is nearly full."""
    num_bytes, buffer = 0, bytearray()
    with path.open("wb") as file:
        async for chunk in body:
            buffer += chunk
            num_bytes += len(chunk)
            if num_bytes > max_bytes:
                raise TooLargeError(f"the file is larger than {max_bytes / 1e9:g} GB; {fix}")
            if len(buffer) >= CHUNK_BYTES:
                _check_free_space(path, len(buffer))
                await asyncio.to_thread(file.write, bytes(buffer))
                buffer.clear()
        _check_free_space(path, len(buffer))
        file.write(buffer)


def _check_free_space(path: Path, next_bytes: int) -> None:
    if shutil.disk_usage(path.parent).free - next_bytes < MIN_FREE_BYTES:
        raise TooLargeError("the server's disk is nearly full; free some space and upload the file again")


def _check_video(path: Path, name: str) -> None:
    try:
        open_reader(path).duration_s  # noqa: B018 (reads all packets, and raises if there are no frames)
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from error


def _check_subtitles(path: Path, name: str, encoding: str | None) -> None:
    try:
        lines, _ = read_subtitles(path, encoding)
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from error
    if not lines:
        raise DataError(f"{name}: no subtitles in it; use a file that ends in {', '.join(SUBTITLE_SUFFIXES)}")
