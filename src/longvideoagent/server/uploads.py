"""Files that people bring: written as they come, judged by what is in them, whole or not at all."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath, PureWindowsPath

from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import PARTIAL, atomic_path
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.subtitles import MAX_BYTES as MOST_SUBTITLE_BYTES
from longvideoagent.media.subtitles import SUFFIXES as SUBTITLE_SUFFIXES
from longvideoagent.media.subtitles import read_subtitles
from longvideoagent.server.library import SUFFIXES, Library, VideoItem
from longvideoagent.server.playback.plan import check_safe_container

SPARE_BYTES = 500_000_000
"""Of the disk that an upload leaves free."""
PIECE_BYTES = 1 << 20
LONGEST_NAME_BYTES = 200
_UNWANTED = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""Separators, what some systems forbid, and marks that turn the direction of what follows."""


class TooLargeError(UsageError):
    """More than may be uploaded."""


async def take_video(library: Library, name: str, body: AsyncIterator[bytes], max_upload_bytes: int) -> VideoItem:
    """Write an upload into the library. Raises UsageError for a name that no video has, TooLargeError where it is
    larger than allowed or the disk is nearly full, and DataError where it is no video."""
    plain = plain_name(name)
    if Path(plain).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{plain}: its name is not that of a video; give one that ends in {', '.join(SUFFIXES)}")
    path = library.uploads / secrets.token_hex(6) / plain
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, path.parent, ignore_errors=True)
        with ExitStack() as writing:
            partial = writing.enter_context(atomic_path(path))
            await _write(partial, body, max_upload_bytes)
            await asyncio.to_thread(_check_video, partial, plain)
            await asyncio.to_thread(writing.pop_all().close)  # a large file takes a while to be on the disk
        undo.pop_all()
    return library.uploaded(path)


async def take_subtitles(library: Library, item: VideoItem, name: str, body: AsyncIterator[bytes]) -> None:
    """Use an upload as the subtitles of a video, instead of any others. Raises UsageError, TooLargeError or DataError
    as above."""
    plain = plain_name(name)
    path = library.subtitle_folder(item) / f"{Path(plain).stem}{Path(plain).suffix.lower()}"
    if path.suffix not in SUBTITLE_SUFFIXES:
        raise UsageError(f"{plain}: not a subtitle file; give one that ends in {', '.join(SUBTITLE_SUFFIXES)}")
    with atomic_path(path) as partial:
        await _write(partial, body, MOST_SUBTITLE_BYTES)
        lines, _ = await asyncio.to_thread(_read_named, partial, plain)
        if not lines:
            raise DataError(f"{plain}: no subtitles in it; give an .srt, .vtt or .ass file")
    for other in path.parent.iterdir():
        if other != path and PARTIAL not in other.name:
            other.unlink(missing_ok=True)


def plain_name(name: str) -> str:
    """A file name without folders, control characters or what some systems forbid. Raises UsageError where nothing is
    left."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    told = _UNWANTED.sub("_", last.encode("utf-8", "replace").decode()).replace(PARTIAL, "_partial").strip(" .")
    stem, dot, suffix = told.rpartition(".")
    room = LONGEST_NAME_BYTES - len(f".{suffix}".encode())
    short = stem.encode()[: max(0, room)].decode("utf-8", "ignore").strip(" .")
    if not dot or not short:
        raise UsageError("the upload has no usable file name; rename it")
    return f"{short}.{suffix}"


async def _write(path: Path, body: AsyncIterator[bytes], max_upload_bytes: int) -> None:
    """Raises TooLargeError where there is more than allowed or the disk is nearly full."""
    written, waiting = 0, bytearray()
    with path.open("wb") as file:
        async for part in body:
            waiting += part
            written += len(part)
            if written > max_upload_bytes:
                limit_gb = f"{max_upload_bytes / 1e9:g} GB"
                raise TooLargeError(
                    f"the file is larger than {limit_gb}; restart the server with a larger --max-upload-gb"
                )
            if len(waiting) >= PIECE_BYTES:
                _check_room(path, len(waiting))
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        _check_room(path, len(waiting))
        file.write(waiting)


def _check_room(path: Path, more_bytes: int) -> None:
    if shutil.disk_usage(path.parent).free - more_bytes < SPARE_BYTES:
        raise TooLargeError("the server's disk is nearly full; free some space and upload it again")


def _check_video(path: Path, name: str) -> None:
    try:
        check_safe_container(path)
        VideoFileReader(path).duration_s  # noqa: B018 (reads all packets, and raises where there are no pictures)
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from error


def _read_named(path: Path, name: str) -> tuple[object, object]:
    try:
        return read_subtitles(path)
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from error
