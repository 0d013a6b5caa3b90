"""The ``lva`` command for tests: in this process, or in one of its own.

``lva`` is what most tests want: it costs milliseconds, because nothing is imported again; ``lva_server`` does the same
for a command that runs until it is interrupted. ``lva_process`` costs a second or two, and is for what only a process
has: pipes, signals, exit, bytes that are not text. Each command of the command line has one test with a real process,
and no test needs two.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from longvideoagent.cli.main import main
from longvideoagent.log import logger

LVA = Path(sys.executable).with_name("lva")
WIDTH = "80"
"""Columns of a terminal, so that no test depends on the width of the one it runs in."""
START_TIMEOUT_S = 300
"""Only reached by a failing test, however busy the machine is."""

Completed = subprocess.CompletedProcess[str]


def lva(*arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Completed:
    """Run a command in this process, through ``main`` and its error boundary.

    ``env`` is added to the environment. The working directory, the environment, ``sys.argv`` and the logger are
    restored. Returns what ``subprocess.run`` would return: exit status, stdout and stderr.
    """
    words = ["lva", *(os.fspath(argument) for argument in arguments)]
    with TemporaryDirectory() as folder:
        output = _Output(Path(folder, "stdout"), Path(folder, "stderr"))
        return _run(words, output, cwd, env)


def lva_server(*arguments: str | Path, use: Callable[[str], object], cwd: Path | None = None) -> Completed:
    """Run a command that serves HTTP in this process, like ``lva``, until ``use`` has returned.

    ``use`` gets the server's URL, in a thread of its own. The command is then interrupted, as Ctrl-C does. An error
    of ``use`` is raised here.
    """
    import httpx

    words = ["lva", *(os.fspath(argument) for argument in arguments)]
    errors: list[BaseException] = []
    has_ended = threading.Event()

    def visit(stderr: Path) -> None:
        while not (ports := re.findall(r"http://\S+:(\d+)/", stderr.read_text() if stderr.exists() else "")):
            if has_ended.wait(0.02):
                return
        url = f"http://127.0.0.1:{ports[0]}"
        try:
            httpx.get(url, timeout=START_TIMEOUT_S)  # it handles interrupts by the time it replies
            use(url)
        except BaseException as error:  # noqa: BLE001 (raised in the test's thread)
            errors.append(error)
        if not has_ended.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    with TemporaryDirectory() as folder:
        output = _Output(Path(folder, "stdout"), Path(folder, "stderr"))
        visitor = threading.Thread(target=visit, args=[output.stderr])
        visitor.start()
        try:
            done = _run(words, output, cwd, {})
        finally:
            has_ended.set()
            visitor.join()
    if errors:
        raise errors[0]
    return done


def lva_process(
    *arguments: str | bytes | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    timeout_s: float = 1200,
) -> Completed:
    """Run a command in a process of its own. ``env`` is added to the environment."""
    return subprocess.run(
        [LVA, *arguments],
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": WIDTH, **(env or {})},
        timeout=timeout_s,
    )


def refusal(*arguments: str | Path, **more: Any) -> str:
    """The one line in which a command is refused. Asserts that it is one, with status 2 and nothing on stdout."""
    done = lva(*arguments, **more)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("lva: error: ")
    return line


class _Output(NamedTuple):
    """The files that a command's output is written to."""

    stdout: Path
    stderr: Path


def _run(words: list[str], output: _Output, cwd: Path | None, env: Mapping[str, str] | None) -> Completed:
    with pytest.MonkeyPatch.context() as patch, _restored_state():
        os.environ.update({"COLUMNS": WIDTH, **(env or {})})
        patch.setattr(sys, "argv", words)
        if cwd is not None:
            patch.chdir(cwd)
        # Real files: the boundary replaces the descriptor of a stdout that broke.
        with (
            output.stdout.open("w", encoding="utf-8") as stdout,
            output.stderr.open("w", encoding="utf-8", buffering=1) as stderr,  # lva_server reads it meanwhile
        ):
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            status = _exit_status()
    return Completed(words, status, *(path.read_text(encoding="utf-8") for path in output))


def _exit_status() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@contextmanager
def _restored_state() -> Iterator[None]:
    environment, handlers = dict(os.environ), list(logger.handlers)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        logger.handlers[:] = handlers  # a command adds one that prints warnings
