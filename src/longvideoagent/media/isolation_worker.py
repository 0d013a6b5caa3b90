"""The child process of ``media.isolation``: calls functions on media files, under limits. A program.

Linux limits its memory, and every system but Windows its processor time. The parent limits the time by the clock.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import longvideoagent.media.readers.isolated  # noqa: F401 (loads the libraries before memory is limited)
from longvideoagent.errors import LongVideoAgentError
from longvideoagent.media.isolation import Kind, Message, memory_mb, read_data, reporting, step_s, write_message

try:
    import resource
except ImportError:  # Windows
    HAS_LIMITS = False
else:
    HAS_LIMITS = True

PROGRESS_STEP = 0.01
"""A report that has not come this much further gives no more time."""


class _Worker:
    def __init__(self, replies: BinaryIO) -> None:
        self._replies = replies
        self._iterators: dict[int, Iterator[Any]] = {}
        self._numbers = itertools.count()
        self._reported = ("", 0.0)

    def handle(self, request: Message) -> None:
        """Answer one request. An error of another kind ends the process, which the parent reports."""
        self._reported = ("", 0.0)
        try:
            with reporting(self._report):
                reply = self._perform(request)
        except MemoryError:
            reply = Message(Kind.ERROR, ("", f"needs more than {memory_mb()} MB of memory; make it smaller"))
        except LongVideoAgentError as error:
            reply = Message(Kind.ERROR, (type(error).__name__, str(error)))
        except OSError as error:
            reply = Message(Kind.ERROR, ("", f"cannot be read ({error.strerror}); check the path"))
        write_message(self._replies, reply)

    def _perform(self, request: Message) -> Message:
        if request.kind == Kind.CALL:
            function, args, kwargs = request.content
            return Message(Kind.RESULT, function(*args, **kwargs))
        if request.kind == Kind.START:
            function, args, kwargs = request.content
            number = next(self._numbers)
            self._iterators[number] = iter(function(*args, **kwargs))
            return Message(Kind.RESULT, number)
        if request.kind == Kind.NEXT:
            for item in self._iterators[request.content]:
                return Message(Kind.RESULT, item)
            return Message(Kind.END)
        iterator = self._iterators.pop(request.content, None)
        if isinstance(iterator, Generator):
            iterator.close()
        return Message(Kind.END)

    def _report(self, stage: str, fraction: float, /) -> None:
        if stage == self._reported[0] and fraction < self._reported[1] + PROGRESS_STEP:
            return
        self._reported = (stage, fraction)
        renew_cpu_time()
        write_message(self._replies, Message(Kind.PROGRESS, self._reported))


def renew_cpu_time() -> None:
    """Give the process another step's processor time."""
    if HAS_LIMITS:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + step_s()) + 1, hard))


def limit_memory() -> None:
    """Limit what the process may allocate from now on, where the system can."""
    if not HAS_LIMITS:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        used_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
        limit = used_kb * 1024 + memory_mb() * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def main() -> None:
    """Answer requests from standard input until it ends."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # libraries may print
    limit_memory()
    worker = _Worker(replies)
    while (data := read_data(requests)) is not None:
        kind, content = pickle.loads(data)
        renew_cpu_time()
        worker.handle(Message(Kind(kind), content))


if __name__ == "__main__":
    main()
