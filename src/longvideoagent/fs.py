"""Files written whole or not at all, and where this program keeps what it remembers."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
"""Stands in the names of files that are being written."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to, which takes its name when the block ends well and is deleted
    otherwise; so nobody ever reads half a file, even after a power loss: it is on the disk before it is named, and
    its name is there when the block has ended. Its suffix is kept, for writers that go by it."""
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
    """Have the names in a folder on the disk, where the system can do that: syncing a new file syncs what is in it,
    and not that it is there."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL):  # some file systems have no such thing
            raise
    finally:
        os.close(handle)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def cache_dir() -> Path:
    """The user's cache folder for this program; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longvideoagent"
