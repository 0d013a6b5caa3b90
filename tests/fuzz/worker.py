"""The process that runs inputs, and what is wrong with them."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from longvideoagent.errors import DataError, UsageError
from tests.fuzz.targets import TARGETS, Target

MAX_SECONDS = 20.0
"""Of one input, of the processor's time: a busy machine is not a hang. Ten times as long by the clock is one, too."""
MAX_BYTES = 1_000_000_000
"""Of the memory that a worker has taken in all, which is never given back."""


@dataclass
class Worker:
    """A process that runs inputs one after the other."""

    connection: Connection = field(init=False)
    process: multiprocessing.process.BaseProcess = field(init=False)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def run(self, name: str, seed: int) -> str:
        """What was wrong with an input; empty if nothing was."""
        self.connection.send((name, seed))
        try:
            if self.connection.poll(10 * MAX_SECONDS):
                fault: str = self.connection.recv()
                return fault
        except (EOFError, ConnectionError):
            self.process.join(5)
            return f"the process died (exit status {self.process.exitcode})"
        self.process.kill()
        return f"no end after {10 * MAX_SECONDS:.0f} s"

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    def close(self) -> None:
        self.process.kill()


def serve(connection: Connection) -> None:
    """Run the inputs that come through the connection, and send back what was wrong with each."""
    warnings.simplefilter("ignore")
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="fuzz-cache-")
    while True:
        name, seed = connection.recv()
        connection.send(fault_of(TARGETS[name], seed))


def fault_of(target: Target, seed: int) -> str:
    """What is wrong with the input of that seed; empty if nothing is."""
    start_s, peak_before = time.process_time(), _peak_bytes()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            target(random.Random(seed), Path(folder))
        except (DataError, UsageError) as error:
            if "\n" in str(error) or len(str(error)) > 2000:
                return f"not one line: {str(error)[:500]!r}"
        except Exception:  # noqa: BLE001 (any other error is what is searched for)
            return traceback.format_exc(limit=-6)
    seconds, peak = time.process_time() - start_s, _peak_bytes()
    if seconds > MAX_SECONDS:
        return f"{seconds:.0f} s of the processor"
    return f"{peak / 1e6:.0f} MB of memory" if peak > max(MAX_BYTES, peak_before) else ""


def _peak_bytes() -> int:
    """The most memory that this process has had; it begins with that of the process that started it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
