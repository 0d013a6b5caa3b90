"""The index of one video: a SQLite file with what was read of it, so that nothing is read twice.

Whoever needs a part that is missing builds it under a ``claim``, which ends with its process, and writes it in one
transaction: a process that is killed loses the part that it was building and nothing else. A file that cannot be
used costs time and no answer: ``problem`` then says why, reads return None and writes do nothing.

    with VideoIndex.open(path) as index:
        facts = index.read_facts(key)
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from filelock import FileLock, Timeout

from longvideoagent.errors import UsageError, one_line
from longvideoagent.index.line_terms import complete_line_terms, is_complete
from longvideoagent.index.location import content_fingerprint, index_path
from longvideoagent.index.schema import APPLICATION_ID, MIGRATIONS, VERSION, has_fts5
from longvideoagent.progress import Progress, no_progress

R = TypeVar("R")
BUSY_TIMEOUT_S = 30.0
"""How long a statement waits for another process that is writing."""
LOCK_POLL_S = 0.2
WAITING = "waiting for another process that reads this video"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)
"""The last one: a table or a column is missing."""
_UNREADABLE = (sqlite3.Error, OSError, ValueError, TypeError)
"""What a file raises that is damaged, cannot be opened, or holds other values than it should."""


class UnusableIndexError(sqlite3.DatabaseError):
    """The file is not an index, damaged, or written by a newer version."""


class VideoIndex:
    """The file and its connection, for one thread; ``stored_text`` and ``stored_frames`` read and write its tables."""

    def __init__(self, path: Path, fingerprint: str, video_name: str = "VIDEO") -> None:
        self.path, self.fingerprint = path, fingerprint
        self.problem = ""
        """Why the file is not used, for people: one line. Empty while it is."""
        self.video_name = video_name
        self._database: sqlite3.Connection | None = None
        self._is_claimed = False

    @classmethod
    def open(cls, video: Path, frames_per_s: float | None = None) -> Self:
        """The index of a video file or a folder of frames, where ``index_path`` puts it; no file is made yet. Raises
        OSError if the video cannot be read."""
        fingerprint = content_fingerprint(video, frames_per_s)
        return cls(index_path(video, fingerprint), fingerprint, video.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def drop(self) -> bool:
        """Delete the file. Returns whether there was one. Raises UsageError while another process builds it, and
        OSError if it cannot be deleted."""
        self.close()
        if not self.path.exists():
            return False
        lock = FileLock(self._lock_path)
        try:
            lock.acquire(timeout=LOCK_POLL_S)
        except Timeout:
            raise UsageError(
                f"{self.video_name}: another process is reading it into its index; stop that first"
            ) from None
        try:
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
            self.path.unlink()
        finally:
            lock.release()
            self._lock_path.unlink(missing_ok=True)
        return True

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    @contextmanager
    def claim(self, is_built: Callable[[], bool], progress: Progress = no_progress) -> Iterator[bool]:
        """Wait until this is the only process and thread that builds a part of this index, or until the part is built.

        Args:
            is_built: Whether the part exists; asked again and again, so let it read what others have stored.
            progress: Called while another one builds.

        Yields:
            Whether to build the part. The claim ends with the block, and with the process.
        """
        lock = None
        while not (is_done := is_built()) and lock is None and not (self.problem or self._is_claimed):
            lock = self._try_lock()
            if lock is None:
                progress(WAITING, 0.0)
        if lock is None:
            yield not is_done
            return
        self._is_claimed = True
        try:
            yield not is_done
        finally:
            self._is_claimed = False
            lock.release()

    def build_once(
        self,
        read: Callable[[], R | None],
        build: Callable[[], R],
        write: Callable[[R, float], None],
        progress: Progress = no_progress,
    ) -> R:
        """A part of the index; one that it lacks is built, by this process unless another one does.

        Args:
            read: The part as it is stored, or None.
            build: Makes the part.
            write: Stores it, with the seconds that it took.
            progress: Called while another process builds.

        Returns:
            The part, stored or not.
        """
        part: R | None = None

        def is_stored() -> bool:
            nonlocal part
            part = read()
            return part is not None

        with self.claim(is_stored, progress) as must_build:
            if part is None or must_build:
                started_s = time.monotonic()
                part = build()
                write(part, time.monotonic() - started_s)
        return part

    def _try_lock(self) -> FileLock | None:
        """The lock of builders, or None if another one has it, or if there cannot be any."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock_path)
            lock.acquire(timeout=LOCK_POLL_S)
        except Timeout:
            return None
        except (OSError, NotImplementedError) as error:  # a folder that cannot be written to, or a disk without locks
            self._give_up(error)
            return None
        return lock

    def read(self, work: Callable[[sqlite3.Connection], R]) -> R | None:
        """What ``work`` reads; None if there is no file yet, or one that cannot be used."""
        if self.problem or (self._database is None and not self.path.exists()):
            return None
        try:
            return work(self._connection())
        except _UNREADABLE as error:
            self._give_up(error)
            return None

    def write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Do ``work`` in one transaction; nothing if the file cannot be used."""
        if self.problem:
            return
        try:
            database = self._connection()
            with _transaction(database):
                work(database)
        except _UNREADABLE as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        with suppress(sqlite3.Error):
            self.close()
        self.problem = f"{self.path}: the index of this video is not used ({_reason(error)}); {self._fix(error)}"

    def _fix(self, error: Exception) -> str:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED or isinstance(error, UnusableIndexError | ValueError | TypeError):
            return f"lva index --drop {self.video_name} removes it"
        if code == sqlite3.SQLITE_BUSY:
            return "another program has it; what is read is not kept"
        return "what is read is not kept; free some space there, or give another --index-dir"

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            self._database.execute("PRAGMA trusted_schema = OFF")  # one next to a video comes with it
            self._prepare(self._database)
            self._complete_search(self._database)
        return self._database

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Bring the file to the current version, and empty it if it is of another video: one that was replaced."""
        if self._version_of_this_video(database) == VERSION:
            return
        with _transaction(database):
            version = self._version_of_this_video(database)  # again: another process may have done it meanwhile
            if not version:
                for name in _tables(database):
                    database.execute(f'DROP TABLE IF EXISTS "{name}"')
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    database.execute(statement)
            if not version:
                database.execute("INSERT INTO video (fingerprint) VALUES (?)", (self.fingerprint,))
                database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {VERSION}")

    def _complete_search(self, database: sqlite3.Connection) -> None:
        """Add to the full-text search what a program without FTS5, or one of an earlier version, has not written."""
        if has_fts5() and not ("line_terms" in _tables(database) and is_complete(database)):
            with _transaction(database):
                complete_line_terms(database)

    def _version_of_this_video(self, database: sqlite3.Connection) -> int:
        """The version of the file; 0 if it is empty or of another video."""
        tables, version = _tables(database), _pragma(database, "user_version")  # in this order: both are made at once
        if version > VERSION:
            raise UnusableIndexError(f"version {version}, and this longvideoagent reads up to {VERSION}; update it")
        if (version == 0 and tables) or _has_code(database):
            raise UnusableIndexError("not an index of a video")
        if not version or database.execute("SELECT fingerprint FROM video").fetchone() != (self.fingerprint,):
            return 0
        return version


def _tables(database: sqlite3.Connection) -> list[str]:
    """The tables to drop, virtual ones first, which drop their own."""
    rows = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    return [name for name, sql in sorted(rows, key=lambda row: "VIRTUAL" not in (row[1] or ""))]


def _has_code(database: sqlite3.Connection) -> bool:
    """Whether there are views or triggers. This program makes none, and one next to a video could run without end."""
    return database.execute("SELECT 1 FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone() is not None


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    with database:  # commits, or rolls back
        yield


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or one_line(error)
    if isinstance(error, sqlite3.Error):
        return one_line(error)
    return f"damaged: {one_line(error, 80)}"
