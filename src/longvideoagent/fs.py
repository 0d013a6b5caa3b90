"""Atomic file writes, and the user's directories for this program."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
"""Part of the name of a file that is being written."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path``, and rename it to ``path`` when the block ends without an error.

    Otherwise the temporary file is deleted. Readers never see half a file, even after a power loss: the content is
    synced to disk before the rename, and the name before the block ends. The temporary path has the suffix of
    ``path``, for writers that choose a format by it. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}-{secrets.token_hex(3)}{PARTIAL}{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        fsync_dir(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def fsync_dir(folder: Path) -> None:
    """Sync the names in a folder to disk, on systems that can: syncing a file does not sync its name."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL):  # some file systems cannot sync a folder
            raise
    finally:
        os.close(handle)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file completely or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def cache_dir() -> Path:
    """The user's cache directory for this program, which may not exist yet.

    Linux: ``$XDG_CACHE_HOME/longvideoagent``, by default ``~/.cache/longvideoagent``. macOS:
    ``~/Library/Caches/longvideoagent``. Windows: ``%LOCALAPPDATA%\\longvideoagent\\Cache``."""
    from platformdirs import user_cache_path  # 25 ms to import, and few commands need it

    return user_cache_path("longvideoagent", appauthor=False)


def config_dir() -> Path:
    """The user's directory for the settings of this program, which may not exist yet.

    Linux: ``$XDG_CONFIG_HOME/longvideoagent``, by default ``~/.config/longvideoagent``. macOS:
    ``~/Library/Application Support/longvideoagent``. Windows: ``%LOCALAPPDATA%\\longvideoagent``."""
    from platformdirs import user_config_path

    return user_config_path("longvideoagent", appauthor=False)
