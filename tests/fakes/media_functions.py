"""Functions on a media file that tests call in a child process; most do not come back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from longvideoagent.media.isolation import report


def crash(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def end(_: Path) -> None:
    os._exit(3)


def burn(_: Path) -> None:
    while True:
        pass


def sleep(_: Path) -> None:
    time.sleep(600)


def allocate(_: Path) -> int:
    return int(np.ones(400_000_000, np.uint8)[-1])


def raise_unexpected(_: Path) -> None:
    raise ZeroDivisionError


def identify(_: Path) -> int:
    return os.getpid()


def environment(_: Path) -> list[str]:
    return list(os.environ)


def work(_: Path, steps: int) -> str:
    for step in range(steps):
        report("working", step / steps)
        time.sleep(0.4)
    return "done"


class Forbidden:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def send_object(_: Path) -> Forbidden:
    return Forbidden()


def count(_: Path, number: int) -> Iterator[int]:
    yield from range(number)


def peak_memory_kb(_: Path) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
