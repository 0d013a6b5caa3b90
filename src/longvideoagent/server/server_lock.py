"""Which servers of one data directory are running.

Each holds a lock on a file of its own as long as its process lives; the operating system releases it, however the
process ends.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

SERVERS_DIR = "servers"


class ServerLock:
    """The lock of this server, held until ``close``."""

    def __init__(self, data_dir: Path) -> None:
        self.id = secrets.token_hex(6)
        self._folder = data_dir / SERVERS_DIR
        self._folder.mkdir(parents=True, exist_ok=True)
        self._handle: int | None = os.open(self._path(self.id), os.O_RDWR | os.O_CREAT, 0o600)
        _try_lock(self._handle)
        for path in self._folder.glob("*.lock"):
            self.is_running(path.stem)  # removes the files of servers that have ended

    def is_running(self, server_id: str) -> bool:
        """Whether another server, or this one, with this id is running."""
        if server_id == self.id:
            return True
        path = self._path(server_id)
        try:
            with path.open("r+") as file:
                if not _try_lock(file.fileno()):
                    return True
        except OSError:  # it has ended, and its file was removed
            return False
        path.unlink(missing_ok=True)
        return False

    def close(self) -> None:
        """Release the lock."""
        if self._handle is not None:
            self._path(self.id).unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def _path(self, server_id: str) -> Path:
        return self._folder / f"{server_id}.lock"


if sys.platform == "win32":

    def _try_lock(handle: int) -> bool:  # noqa: ARG001
        """True: there, a server takes the jobs of all others for stopped ones."""
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        """Whether the lock of an open file could be taken."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
