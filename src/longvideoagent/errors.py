"""The error policy.

An error is named for who must react:

- ``UsageError``: the person at the keyboard (an option that cannot be, an empty question).
- ``DataError``: whoever owns the file named in the message (missing, damaged, unreadable).
- ``ModelError``: the operator of a model (down, refusing, out of quota). Inside a rollout it ends as
  outcome ``failed``, never as an answer.
- ``ProtocolError``: a programmer (a driver handed the rollout a result it did not ask for).

Each message is one line that names the thing and, after a semicolon, the mend. ``boundary`` turns
them into that line and an exit code; it is the only place that does. It does the same for the
operating system's own errors.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class LongVideoAgentError(Exception):
    """Base of all errors this package raises on purpose."""


class UsageError(LongVideoAgentError):
    """The call or command line asks for something that cannot be."""


class DataError(LongVideoAgentError):
    """A file cannot be used as what it was given for."""


class ModelError(LongVideoAgentError):
    """A model or its server gave no usable reply."""


class TransientError(ModelError):
    """A failure that may pass: worth another try, after ``retry_after_s`` where the server says so."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ThrottledError(TransientError):
    """The server asks for fewer requests."""


class ContextOverflowError(ModelError):
    """The messages are longer than the model's context."""


class ProtocolError(LongVideoAgentError):
    """A rollout was driven in the wrong order."""


def one_line(error: BaseException, most: int = 300) -> str:
    """What an error of a library says, on one line of at most so many characters."""
    return " ".join(str(error).split())[:most]


EXIT_BAD_INPUT = 2
EXIT_FAILED = 1
"""An agent was down, an answer of the demo is wrong, or something needed is broken."""
EXIT_NOBODY_READS = 1
"""The reader of a pipe has gone, as with ``| head``; nothing is wrong."""


@contextmanager
def boundary() -> Iterator[None]:
    """Print this package's errors, and the system's, as one line on stderr and exit with status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a code page without our marks is no reason to fall
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except LongVideoAgentError as error:
        _end(str(error))
    except BrokenPipeError:
        _drop_output()
        raise SystemExit(EXIT_NOBODY_READS) from None
    except OSError as error:  # a full disk or a vanished drive, wherever it strikes
        _drop_output()
        mend = "free some space" if error.errno == errno.ENOSPC else "check the path and its permissions"
        _end(f"{error.filename or 'output'}: {error.strerror or error}; {mend}")


def _end(message: str) -> NoReturn:
    print(f"lva: error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(EXIT_BAD_INPUT) from None


def _drop_output() -> None:
    """Let what is still buffered for a broken stdout go nowhere, or the interpreter would complain of
    it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
