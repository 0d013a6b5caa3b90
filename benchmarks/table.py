"""What every benchmark does: time two things in turn, measure a process of its own, print a row."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long it takes."""
    started = clock()
    work()
    return clock() - started


def ratio(ours: Callable[[], object], bare: Callable[[], object], pairs: int) -> str:
    """Median of ours / bare over pairs run in turn, with both medians in seconds."""
    ours(), bare()
    timed = [(seconds(ours), seconds(bare)) for _ in range(pairs)]
    ours_s, bare_s = (statistics.median(column) for column in zip(*timed, strict=True))
    return f"{statistics.median(a / b for a, b in timed):.2f}x ({ours_s:.2f} s / {bare_s:.2f} s)"


def run_python(code: str, *arguments: object) -> str:
    """Run code in a process of its own. Returns its stdout."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def peak_mb(code: str, *arguments: object) -> float:
    """Largest resident set of Python code in a process of its own, in MB. Read from Linux's status of the running
    program, since a parent's figure for its children includes the parent."""
    print_peak = "\nprint(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    return int(run_python(code + print_peak, *arguments).split()[-2]) / 1024


def peak_of(process: int) -> float:
    """Largest resident set of a running process, in MB. Linux only."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def row(what: str, figure: str, aim: str) -> None:
    """One line of the table, as soon as it is known."""
    print(f"| {what} | {figure} | {aim} |", flush=True)
