"""Writing a run folder: nothing finished is lost, nothing is asked twice. ``views.run_folder`` describes and reads it.

A run that was killed may leave an incomplete last line; opening the run removes it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from longvideoagent.core.trace import Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.errors import UsageError
from longvideoagent.fs import atomic_write_text, fsync_dir
from longvideoagent.views.differences import differences
from longvideoagent.views.run_folder import CONFIG, QUESTIONS, TRACES, read_config, sample_to_dict
from longvideoagent.views.trace_dict import trace_to_line

LOCK = ".lock"
BLOCK_BYTES = 1 << 20
MAX_CHANGES_SHOWN = 6


class RunWriter:
    """A run open for writing; see ``open_run``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BufferedWriter | None = (path / TRACES).open("ab")
        fsync_dir(path)

    def add(self, trace: Trace) -> None:
        """Write a finished trace; it is on the disk when this returns. Raises OSError where it cannot be written, and
        on every later call."""
        if self._file is None:
            raise OSError(errno.EIO, "closed after a failed write", str(self.path / TRACES))
        offset = self._file.tell()
        try:
            self._file.write(trace_to_line(trace).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):  # the rest of its buffer cannot be written either
                self.close()
            os.truncate(self.path / TRACES, offset)
            raise

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


ResolveConfig = Callable[[Sequence[Sample]], dict[str, Any]]
"""Returns the settings of a run that asks these questions."""


@contextmanager
def open_run(path: Path, resolve_config: ResolveConfig, samples: Sequence[Sample]) -> Iterator[RunWriter]:
    """Start a run, or resume it; one process at a time. More questions after those that a run already has extend it.
    Raises UsageError for a folder that holds a run with other settings or other files, or that another process is
    writing to."""
    _check_folder(path)
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"{path}: another process is writing this run; wait or choose another --run") from None
    try:
        _start_or_resume(path, resolve_config, samples)
        run = RunWriter(path)
        try:
            yield run
        finally:
            run.close()
    finally:
        lock.release()


def check_run(path: Path, resolve_config: ResolveConfig, samples: Sequence[Sample]) -> None:
    """Raise the UsageError with which ``open_run`` would refuse the folder, except for that of a run that another
    process is writing. Writes nothing."""
    _check_folder(path)
    if (path / CONFIG).exists():
        _check_settings(path, resolve_config, samples)


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; choose another --run")
    if path.is_dir() and any(path.iterdir()) and not any((path / name).exists() for name in (CONFIG, LOCK)):
        raise UsageError(f"{path}: holds other files and not a run; choose another --run")
    if (path / TRACES).exists() and not (path / CONFIG).exists():
        raise UsageError(f"{path}: holds traces, but its {CONFIG} is missing; restore it or choose another --run")


def _start_or_resume(path: Path, resolve_config: ResolveConfig, samples: Sequence[Sample]) -> None:
    _check_folder(path)  # another process may have written it before the lock was acquired
    if not (path / CONFIG).exists():
        _write_settings(path, resolve_config(samples), samples)
    else:
        before = _check_settings(path, resolve_config, samples)
        if len(samples) > before["num_questions"]:
            _write_settings(path, resolve_config(samples) | {"versions": before["versions"]}, samples)
    truncate_incomplete_line(path / TRACES)


def _check_settings(path: Path, resolve_config: ResolveConfig, samples: Sequence[Sample]) -> dict[str, Any]:
    """The settings of the run in the folder. Raises UsageError if a run of these questions has other ones."""
    before = read_config(path)
    known = before["num_questions"]
    now = resolve_config(samples[:known])
    if len(samples) >= known:
        now["limit"] = before["limit"]  # the questions count, not the limit that selected them
    now["versions"]["python"] = before["versions"]["python"]  # any Python version may resume
    for name in ("wording", "wording_warnings"):  # the texts count, by their digest, not where they are from
        now[name] = before.get(name)
    changed = differences(before, json.loads(json.dumps(now)))
    if changed:
        shown = "; ".join(changed[:MAX_CHANGES_SHOWN]) + ("; …" if len(changed) > MAX_CHANGES_SHOWN else "")
        raise UsageError(f"{path}: holds a run with other settings ({shown}); choose another --run")
    return before


def _write_settings(path: Path, config: dict[str, Any], samples: Sequence[Sample]) -> None:
    """The questions first: readers use only as many of them as the settings say."""
    atomic_write_text(path / QUESTIONS, "".join(f"{json.dumps(sample_to_dict(sample))}\n" for sample in samples))
    atomic_write_text(path / CONFIG, json.dumps(config, indent=1) + "\n")


def truncate_incomplete_line(path: Path) -> None:
    """Remove the part of a line that a killed process left at the end of a file."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            end = start + last + 1
            if last >= 0:
                break
        if end < size:
            file.truncate(end)
