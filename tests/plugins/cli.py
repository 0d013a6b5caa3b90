"""The ``lva`` command for tests: in this process, or in one of its own.

``lva`` is what most tests want: it costs milliseconds, because nothing is imported again. ``lva_process`` costs a
second or two, and is for what only a process has: pipes, signals, exit, bytes that are not text. Each command of the
command line has one test with a real process, and no test needs two.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from longvideoagent.cli.main import main
from longvideoagent.log import logger

LVA = Path(sys.executable).with_name("lva")
WIDTH = "80"
"""Columns of a terminal, so that no test depends on the width of the one it runs in."""

Completed = subprocess.CompletedProcess[str]


def lva(*arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Completed:
    """Run a command in this process, through ``main`` and its error boundary.

    ``env`` is added to the environment. The working directory, the environment, ``sys.argv`` and the logger are
    restored. Returns what ``subprocess.run`` would return: exit status, stdout and stderr.
    """
    words = ["lva", *(os.fspath(argument) for argument in arguments)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, _restored_state():
        os.environ.update({"COLUMNS": WIDTH, **(env or {})})
        patch.setattr(sys, "argv", words)
        if cwd is not None:
            patch.chdir(cwd)
        paths = [Path(folder, name) for name in ("stdout", "stderr")]
        # Real files: the boundary replaces the descriptor of a stdout that broke.
        with paths[0].open("w", encoding="utf-8") as stdout, paths[1].open("w", encoding="utf-8") as stderr:
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            status = _exit_status()
        return Completed(words, status, *(path.read_text(encoding="utf-8") for path in paths))


def lva_process(
    *arguments: str | bytes | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 1200,
) -> Completed:
    """Run a command in a process of its own. ``env`` is added to the environment."""
    return subprocess.run(
        [LVA, *arguments],
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
