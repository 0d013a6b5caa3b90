"""The error policy.

An error is named for who must react:

- ``UsageError``: the person at the keyboard (an invalid option, an empty question).
- ``DataError``: the owner of the file that the message names (missing, damaged, unreadable).
- ``ModelError``: the operator of a model (down, refusing, out of quota). In a rollout it becomes the
  outcome ``failed``, never an answer.
- ``ProtocolError``: a programmer (a driver gave the rollout a result that it did not request).

Each message is one line: the thing, what is wrong, and after a semicolon how to fix it. ``boundary``
turns errors, and those of the operating system, into that line and an exit status. It is the only place
that does.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NoReturn


class LongVideoAgentError(Exception):
    """Base of all errors that this package raises itself."""


class UsageError(LongVideoAgentError):
    """A call or command line asks for something impossible: fix the call."""


class DataError(LongVideoAgentError):
    """A file cannot be read as what it was given for: fix or replace the file that the message names."""


class ModelError(LongVideoAgentError):
    """A model or its server gave no usable reply. A rollout records it as the outcome ``failed``.

    A reply that cannot be used is paid for nevertheless: the attributes hold what the failed calls cost
    (``models.base.charge``).
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0


class TransientError(ModelError):
    """A failure that may pass. Try again, after ``retry_after_s`` seconds if the server says so."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnreachableError(TransientError):
    """No server is there: its host is unknown or refuses the connection."""


class ThrottledError(TransientError):
    """The server asks for fewer requests (HTTP 429)."""


class ImagesRefusedError(ModelError):
    """The model does not read images."""


class ToolsRefusedError(ModelError):
    """The server does not take tools, at least not for this model."""


class LogprobsMissingError(ModelError):
    """The model does not list the log-probabilities of its tokens, or replies without a token that could have some."""


class ContinuationRefusedError(ModelError):
    """The server does not continue a reply that a request begins."""


class ContextOverflowError(ModelError):
    """The messages are longer than the model's context."""


class ProtocolError(LongVideoAgentError):
    """A driver gave a rollout a result that does not match its request: fix the driver."""


def one_line(error: BaseException, max_chars: int = 300) -> str:
    """The message of a library's error on one line, cut to ``max_chars``."""
    return " ".join(str(error).split())[:max_chars]


def read_problem(error: OSError | ValueError) -> str:
    """Why a file could not be read, without its path, which the message names already."""
    return (error.strerror or one_line(error)) if isinstance(error, OSError) else one_line(error)


def parse_toml(text: str, name: object) -> dict[str, Any]:
    """The tables of a TOML text. Raises DataError with file and problem for a text that is not TOML or whose
    integers are too long or nesting too deep to be parsed."""
    import tomllib  # here, since every command imports this module

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not TOML ({one_line(error)}); fix that line") from error


@contextmanager
def as_data_error(name: object) -> Iterator[None]:
    """Raise whatever the block raises as DataError that names the file; errors of this package stay as they are.

    Libraries that parse the files of others raise anything, and one file must not end the work on all others."""
    try:
        yield
    except LongVideoAgentError:
        raise
    except OSError as error:
        raise DataError(f"{name}: {read_problem(error)}; check the file and its permissions") from error
    except Exception as error:  # nothing less is what such libraries raise; raised again below
        problem = f"{type(error).__name__}: {one_line(error)}".removesuffix(": ")
        raise DataError(f"{name}: {problem}; check or replace the file") from error


def require_extra(*modules: str, extra: str) -> None:
    """Raise UsageError, with the command that installs ``extra``, if one of its modules is not installed."""
    require_modules(modules, f"longvideoagent[{extra}]")


def require_modules(modules: Sequence[str], requirement: str) -> None:
    """Raise UsageError, with the command that installs ``requirement``, if one of the modules is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise UsageError(f"{module.replace('_', '-')} is not installed; pip install '{requirement}'")


EXIT_BAD_INPUT = 2
"""An error of ``boundary``, or a data set with problems."""
EXIT_FAILED = 1
"""An agent failed, a run stopped early, an answer of the demo is wrong, or something required is broken."""
EXIT_BROKEN_PIPE = 1
"""The reader of a pipe has closed it, as ``| head`` does; nothing is wrong."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells report it."""


@contextmanager
def boundary() -> Iterator[None]:
    """Print an error of this package or of the operating system as one line on stderr; exit with status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal may lack our symbols
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except LongVideoAgentError as error:
        _end(str(error))
    except BrokenPipeError:
        _drop_output()
        raise SystemExit(EXIT_BROKEN_PIPE) from None
    except OSError as error:  # a full disk or a lost drive can fail any write
        _drop_output()
        fix = "free some space" if error.errno == errno.ENOSPC else "check the path and its permissions"
        _end(f"{error.filename or 'output'}: {error.strerror or error}; {fix}")


def exit_with(status: int) -> None:
    """End the process with this status, unless it is 0."""
    if status:
        raise SystemExit(status)


def _end(message: str) -> NoReturn:
    printable = "".join(char if char.isprintable() else " " for char in message)  # it may quote a file or a server
    print(f"lva: error: {' '.join(printable.split())}", file=sys.stderr)
    raise SystemExit(EXIT_BAD_INPUT) from None


def _drop_output() -> None:
    """Discard what is buffered for a broken stdout; the interpreter would report it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
