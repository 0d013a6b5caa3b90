"""Reads media files that others brought in child processes, with limits of memory and time.

Off by default: ``enable`` (or ``LVA_ISOLATE=1``) turns it on, for this process and those that it starts. Functions that
open media files are called through a ``WorkerPool``:

    READING.run(count_packets, path)
    for frame in READING.iterate(decode_frames, path, times_s): ...

Without isolation these are plain calls. With it, a child process calls the function and sends back what it returns. A
child that crashes, is killed by a limit or does not answer becomes one DataError that names the file, and the next call
gets another child. What children send is data: only the types in ``_RESULT_TYPES`` are unpickled.
"""

from __future__ import annotations

import atexit
import io
import itertools
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from longvideoagent.errors import DataError, LongVideoAgentError, UsageError
from longvideoagent.media.environment import without_secrets
from longvideoagent.progress import Progress

P = ParamSpec("P")
T = TypeVar("T")

SWITCH = "LVA_ISOLATE"
MEMORY_MB, DEFAULT_MEMORY_MB = "LVA_MEDIA_MEMORY_MB", 1024
"""What a child may allocate beyond what it needs when it starts."""
STEP_S, DEFAULT_STEP_S = "LVA_MEDIA_STEP_S", 120.0
"""Seconds for one step, by the clock and of processor time: a call or an item, or what lies between two reports of
progress."""
MAX_STEPS = 100
"""Steps with progress between them that one request may take."""
POLL_S = 0.2
MAX_MESSAGE_BYTES = 1 << 30
NUM_READING = max(2, min(4, os.cpu_count() or 1))
NUM_STREAMING = 2
STAGE = "reading the video"
_ARRAYS = [(f"numpy.{core}.{name}") for core in ("_core", "core") for name in ("numeric", "multiarray")]
_RESULT_TYPES = {
    ("longvideoagent.core.types", "Subtitle"),
    ("longvideoagent.media.frames", "Frame"),
    ("longvideoagent.media.readers.isolated", "ReaderInfo"),
    ("longvideoagent.media.sound", "Sound"),
    ("longvideoagent.media.subtitles.choose", "ChosenSubtitles"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((module, name) for module in _ARRAYS for name in ("_frombuffer", "_reconstruct")),
}
_ERRORS: dict[str, type[LongVideoAgentError]] = {"DataError": DataError, "UsageError": UsageError}
_progress: ContextVar[Progress | None] = ContextVar("_progress", default=None)


class Kind(StrEnum):
    """What a message is."""

    CALL = "call"
    START = "start"
    NEXT = "next"
    CLOSE = "close"
    RESULT = "result"
    END = "end"
    ERROR = "error"
    PROGRESS = "progress"


class _ChildStoppedError(Exception):
    """A child was ended because another user of it does not wait for its reply any more."""


class Message(NamedTuple):
    """A request to a child, or its reply."""

    kind: Kind
    content: Any = None


def enable() -> None:
    """Read media files in child processes from now on."""
    os.environ[SWITCH] = "1"


def disable() -> None:
    """Read media files in this process from now on."""
    os.environ[SWITCH] = "0"


def is_enabled() -> bool:
    """Whether media files are read in child processes."""
    return os.environ.get(SWITCH) == "1"


@contextmanager
def reporting(progress: Progress) -> Iterator[None]:
    """Report what media functions do in a block to ``progress``. It is also called while nothing is done, so that it
    can raise to stop them."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


def report(stage: str, fraction: float, /) -> None:
    """Report progress to whoever wants to know; called by media functions, in a child or not."""
    progress = _progress.get()
    if progress is not None:
        progress(stage, fraction)


def step_s() -> float:
    """The seconds that a step may take."""
    return float(os.environ.get(STEP_S) or DEFAULT_STEP_S)


def memory_mb() -> int:
    """The memory of a child."""
    return int(os.environ.get(MEMORY_MB) or DEFAULT_MEMORY_MB)


def write_message(file: IO[bytes], message: Message) -> None:
    """Write a message with its length before it."""
    data = pickle.dumps((str(message.kind), message.content), pickle.HIGHEST_PROTOCOL)
    file.write(struct.pack(">Q", len(data)) + data)
    file.flush()


def read_data(file: IO[bytes]) -> bytes | None:
    """The bytes of the next message, or None at the end."""
    header = file.read(8)
    if len(header) < 8:
        return None
    (length,) = struct.unpack(">Q", header)
    data = file.read(length) if length <= MAX_MESSAGE_BYTES else b""
    return data if len(data) == length else None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _RESULT_TYPES:
            raise pickle.UnpicklingError(f"{module}.{name} is not a result of a media function")
        return super().find_class(module, name)


class _Worker:
    """A child process. Requests are made one at a time."""

    def __init__(self) -> None:
        environment = without_secrets(os.environ) | {
            SWITCH: "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "longvideoagent.media.isolation_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=os.name == "posix",  # Ctrl-C ends the parent, which ends it
        )
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.is_busy = False
        self.latest_path: Path | None = None
        """It knows the packets of this file."""
        self.num_open = 0
        """Iterators that are used."""
        self.abandoned: list[int] = []
        """Iterators that it still has to close."""
        self.is_stopped = False
        """Whether it was ended because somebody does not wait for its reply any more."""
        threading.Thread(target=self._receive, daemon=True, name="media-replies").start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close_abandoned(self, path: Path) -> None:
        """Let it close the iterators that nobody uses any more."""
        while self.abandoned:
            self.request(path, Message(Kind.CLOSE, self.abandoned.pop()))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(OSError):  # what was not written yet
                self._process.stdin.close()

    def request(self, path: Path, message: Message) -> Message:
        """Send a request and wait for the reply. Raises what the child's function raises, DataError, which names
        ``path``, if there is no reply, and what the progress raises, which ends the child."""
        assert self._process.stdin is not None
        has_reply = False
        try:
            write_message(self._process.stdin, message)
            reply = self._reply(path)
            has_reply = True
        except OSError:  # the pipe is broken
            raise self._death(path) from None
        finally:
            if not has_reply:
                self.kill()
        if reply.kind == Kind.ERROR:
            name, text = reply.content
            raise _ERRORS[name](text) if name in _ERRORS else DataError(f"{path}: {text}")
        return reply

    def _reply(self, path: Path) -> Message:
        limit_s, start_s = step_s(), time.monotonic()
        deadline_s = start_s + limit_s
        stage, fraction = STAGE, 0.0
        while True:
            try:
                data = self._replies.get(timeout=POLL_S)
            except queue.Empty:
                data = b""
            if data is None:
                raise self._death(path)
            if data:
                reply = decode_reply(path, data)
                if reply.kind != Kind.PROGRESS:
                    return reply
                stage, fraction = str(reply.content[0]), float(reply.content[1])
                deadline_s = min(time.monotonic(), start_s + MAX_STEPS * limit_s) + limit_s
            self.is_stopped = True  # if the progress raises
            report(stage, fraction)
            self.is_stopped = False
            if time.monotonic() > deadline_s:
                raise DataError(f"{path}: reading it took longer than {limit_s:g} s; remux it, or cut it")

    def _death(self, path: Path) -> DataError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.poll()
        number = -status if status is not None and status < 0 else None
        if number is not None and number == getattr(signal, "SIGXCPU", None):
            return DataError(f"{path}: reading it took more than {step_s():g} s of processor time; remux it")
        reason = f"signal {number}" if number is not None else f"status {status}"
        return DataError(f"{path}: reading it ended the process that did ({reason}); it may be damaged, remux it")

    def _receive(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError), self._process.stdout as replies:
            while (data := read_data(replies)) is not None:
                self._replies.put(data)
        self._replies.put(None)


def decode_reply(path: Path, data: bytes) -> Message:
    """The reply in the bytes that a child sent. Raises DataError, which names ``path``, if they hold anything else."""
    try:
        kind, content = _Unpickler(io.BytesIO(data)).load()
        return Message(Kind(kind), content)
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, ImportError, LookupError):
        raise DataError(f"{path}: the process that read it sent nonsense; do not use this file") from None


class WorkerPool:
    """Child processes that are started when they are needed and used again."""

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._workers: list[_Worker] = []
        self._changed = threading.Condition()

    def run(self, function: Callable[Concatenate[Path, P], T], path: Path, *args: P.args, **kwargs: P.kwargs) -> T:
        """``function(path, ...)``, in a child if isolation is enabled. Raises what the function raises, and DataError
        if the child does not survive it."""
        if not is_enabled():
            return function(path, *args, **kwargs)
        with self._worker(None, path) as worker:
            result: T = worker.request(path, Message(Kind.CALL, (function, (path, *args), kwargs))).content
        return result

    def iterate(
        self, function: Callable[Concatenate[Path, P], Iterable[T]], path: Path, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T]:
        """Yield the items of ``function(path, ...)``, each made when it is needed; see ``run``. If another user of the
        child stops it, the items are made again from where they were."""
        if not is_enabled():
            yield from function(path, *args, **kwargs)
            return
        num_items, is_stopped = 0, True
        while is_stopped:
            is_stopped = False
            items = self._iterate_in_child(path, Message(Kind.START, (function, (path, *args), kwargs)), num_items)
            try:
                for item in items:
                    num_items += 1
                    yield item
            except _ChildStoppedError:
                is_stopped = True
            finally:
                items.close()

    def _iterate_in_child(self, path: Path, start: Message, num_skipped: int) -> Generator[Any]:
        """Yield the items of an iterator in one child after the first ``num_skipped``. Raises ``_ChildStoppedError`` if
        another user of the child stops it."""
        with self._worker(None, path) as worker:
            number = worker.request(path, start).content
            worker.num_open += 1
        try:
            for index in itertools.count():
                with self._worker(worker, path):
                    reply = worker.request(path, Message(Kind.NEXT, number))
                if reply.kind == Kind.END:
                    return
                if index >= num_skipped:
                    yield reply.content
        except DataError as error:
            if worker.is_stopped:
                raise _ChildStoppedError from error
            raise
        finally:
            worker.num_open -= 1
            worker.abandoned.append(number)
            self._close_abandoned(worker, path)

    def _close_abandoned(self, worker: _Worker, path: Path) -> None:
        """Close the iterators that nobody needs, unless the child is busy: then its next user does."""
        with self._changed:
            if worker.is_busy or not worker.is_alive:
                return
        with suppress(DataError), self._worker(worker, path):
            pass  # which closes them

    def close(self) -> None:
        """End all children."""
        with self._changed:
            for worker in self._workers:
                worker.kill()
            self._workers.clear()

    @contextmanager
    def _worker(self, wanted: _Worker | None, path: Path) -> Iterator[_Worker]:
        """A child for one request about a file: ``wanted``, or the one that had the latest about this file, or the one
        with the fewest open iterators. Raises DataError if ``wanted`` has ended."""
        with self._changed:
            while (worker := self._idle(wanted, path)) is None:
                self._changed.wait()
            worker.is_busy, worker.latest_path = True, path
        try:
            worker.close_abandoned(path)
            yield worker
        finally:
            with self._changed:
                worker.is_busy = False
                self._changed.notify_all()

    def _idle(self, wanted: _Worker | None, path: Path) -> _Worker | None:
        for worker in [worker for worker in self._workers if not worker.is_alive]:
            worker.kill()  # which closes its pipe
            self._workers.remove(worker)
        if wanted is not None:
            if wanted not in self._workers:
                raise DataError(f"{path}: the process that read it has ended; try again")
            return None if wanted.is_busy else wanted
        idle = [worker for worker in self._workers if not worker.is_busy]
        idle.sort(key=lambda each: (each.latest_path != path, each.num_open))
        if idle and (idle[0].latest_path == path or not idle[0].num_open or len(self._workers) >= self._max_workers):
            return idle[0]
        if len(self._workers) >= self._max_workers:
            return None
        self._workers.append(_Worker())
        return self._workers[-1]


READING = WorkerPool(NUM_READING)
"""For what is asked of a video."""
STREAMING = WorkerPool(NUM_STREAMING)
"""For what is played."""


def close() -> None:
    """End all child processes."""
    READING.close()
    STREAMING.close()


atexit.register(close)
