"""A run on disk: nothing finished is lost, nothing is asked twice.

    RUN/config.json      what decides the numbers
    RUN/questions.jsonl  the questions with their gold answers, so that a run can be read without its data
    RUN/traces.jsonl     one line a finished question, appended and synced; the last line of an id counts
    RUN/summary.json     the numbers
    RUN/report.html      the page

A run that was killed may leave half a line; opening the run cuts it off.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedWriter
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Question
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.errors import DataError, UsageError
from longvideoagent.evaluation.config import FORMAT, differences, digests, invalid_fields, record_of
from longvideoagent.fs import atomic_write_text, fsync_dir
from longvideoagent.views.trace_dict import read_lines, read_trace, trace_line

CONFIG, QUESTIONS, TRACES = "config.json", "questions.jsonl", "traces.jsonl"
SUMMARY, REPORT, LOCK = "summary.json", "report.html", ".lock"

BLOCK_BYTES = 1 << 20

_GOLD = TypeAdapter(Gold)


class RunFolder:
    """A run open for writing; see ``open_run``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BufferedWriter | None = (path / TRACES).open("ab")
        fsync_dir(path)

    def add(self, trace: Trace) -> None:
        """Write a finished trace; it is on the disk when this returns. Raises OSError where it cannot be, and
        from then on."""
        if self._file is None:
            raise OSError(errno.EIO, "no longer written to", str(self.path / TRACES))
        at = self._file.tell()
        try:
            self._file.write(trace_line(trace).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):  # what it still holds cannot be written either
                self.close()
            os.truncate(self.path / TRACES, at)
            raise

    def close(self) -> None:
        """Let the file go."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


Configure = Callable[[Sequence[Sample]], dict[str, Any]]
"""The settings of a run that asks these questions."""


@contextmanager
def open_run(path: Path, configure: Configure, samples: Sequence[Sample]) -> Iterator[RunFolder]:
    """Begin a run, or go on with it; one process at a time. A run grows where it is opened with more questions
    behind those that it has. Raises UsageError where the folder holds a run of other settings, something else,
    or is being written to."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; choose another --run")
    if path.is_dir() and any(path.iterdir()) and not any((path / name).exists() for name in (CONFIG, LOCK)):
        raise UsageError(f"{path}: holds other files and no run; choose another --run")
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"{path}: another process is writing this run; wait or choose another --run") from None
    try:
        _begin(path, configure, samples)
        run = RunFolder(path)
        try:
            yield run
        finally:
            run.close()
    finally:
        lock.release()


def _begin(path: Path, configure: Configure, samples: Sequence[Sample]) -> None:
    if (path / CONFIG).exists():
        _go_on(path, configure, samples)
    elif (path / TRACES).exists():
        raise UsageError(f"{path}: holds traces, but its {CONFIG} is gone; put it back or choose another --run")
    else:
        _write_settings(path, configure(samples), samples)
    cut_half_line(path / TRACES)


def _go_on(path: Path, configure: Configure, samples: Sequence[Sample]) -> None:
    before = read_config(path)
    known = before["questions"]
    now = configure(samples[:known])
    if len(samples) >= known:
        now["limit"] = before["limit"]  # what is asked counts, not how it was bounded
    now["versions"]["python"] = before["versions"]["python"]  # any may go on
    changed = differences(before, json.loads(json.dumps(now)))
    if changed:
        told = "; ".join(changed[:6]) + ("; …" if len(changed) > 6 else "")
        raise UsageError(f"{path}: holds a run of other settings ({told}); choose another --run")
    if len(samples) > known:
        _write_settings(path, configure(samples) | {"versions": before["versions"]}, samples)


def _write_settings(path: Path, config: dict[str, Any], samples: Sequence[Sample]) -> None:
    """The questions first: of them, only as many count as the settings tell."""
    atomic_write_text(path / QUESTIONS, "".join(f"{json.dumps(record_of(sample))}\n" for sample in samples))
    atomic_write_text(path / CONFIG, json.dumps(config, indent=1) + "\n")


def read_config(path: Path) -> dict[str, Any]:
    """A run's settings. Raises DataError where the folder holds no run that can be read."""
    try:
        told = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: holds no run ({CONFIG} is missing); check the path") from None
    except ValueError as error:
        raise DataError(f"{path / CONFIG}: no JSON ({error}); begin the run anew in another folder") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise DataError(f"{path / CONFIG}: not of format {FORMAT}; it was written by another version")
    if fields := invalid_fields(told):
        what = f"{', '.join(fields[:3])} cannot be read"
        raise DataError(f"{path / CONFIG}: {what}; put the file back, or begin the run anew in another folder")
    return told


def read_samples(path: Path) -> dict[str, Sample]:
    """A run's questions with their gold answers, by id, in the order they are asked. Raises DataError where they
    are not those that the run was begun with."""
    config = read_config(path)
    records = list(islice(read_lines(path / QUESTIONS, "put the file back, or begin a new run"), config["questions"]))
    for name, told in digests([each for each in records if isinstance(each, dict)]).items():
        if told != config[name]:
            what = "gold answers" if name == "gold_sha256" else "questions"
            raise DataError(f"{path / QUESTIONS}: its {what} were changed since; put the file back, or begin a new run")
    samples = {}
    for record in records:
        told = record["question"]
        question = Question(told["text"], tuple(told["options"]), told["id"])
        gold = _GOLD.validate_python(record["gold"])
        samples[question.id] = Sample(question, gold, record["kind"], record["video"])
    return samples


def read_traces(path: Path) -> Iterator[Trace]:
    """Every line's trace, one at a time; a question asked again is told more than once, the last time last.
    Raises DataError naming the line that cannot be read, or is of no question of the run."""
    known = read_samples(path)
    for number, told in enumerate(read_lines(path / TRACES, "delete that line and run it again"), 1):
        try:
            trace = read_trace(told)
        except ValueError as error:
            raise DataError(
                f"{path / TRACES}:{number}: no trace ({error}); was it written by another version?"
            ) from None
        if trace.question.id not in known:
            told_id = str(trace.question.id)[:80]
            raise DataError(f"{path / TRACES}:{number}: question {told_id!r} is not of this run; delete that line")
        yield trace


def cut_half_line(path: Path) -> None:
    """Cut off what a killed process left of a line."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - BLOCK_BYTES)
            file.seek(begin)
            last = file.read(end - begin).rfind(b"\n")
            end = begin + last + 1
            if last >= 0:
                break
        if end < size:
            file.truncate(end)
