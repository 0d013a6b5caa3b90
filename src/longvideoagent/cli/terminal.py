"""The one way in which commands write to the terminal.

Names of files, subtitles, replies of models and errors of servers may hold control characters, which a terminal would
obey: they could move the cursor, change the title or show other text than there is. No print lets one through.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

UNWRAPPED_WIDTH = 10_000
_JOINERS = "\u200c\u200d"
"""Zero-width characters that words of several scripts need."""
_ASTRAL = 0x10000


def printable(text: str) -> str:
    """The text on one line, with a space for each control character, and for each other one that is not shown."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)


class TerminalConsole(Console):
    """A console that writes all text as it is, without markup, and without characters that a terminal would obey."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, quiet=quiet, width=width, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of an object. Styles are apart from their text, so that only its own characters are replaced."""
        for segment in super().render(renderable, options):
            is_clean = segment.control is not None or segment.text.isprintable()
            yield segment if is_clean else segment._replace(text="\n".join(map(printable, segment.text.split("\n"))))


def stdout_console(*, quiet: bool = False) -> TerminalConsole:
    """The console that commands print to. It wraps lines for a terminal only: a pipe or file gets them whole."""
    return TerminalConsole(quiet=quiet, width=None if sys.stdout.isatty() else UNWRAPPED_WIDTH)


def stderr_console() -> TerminalConsole:
    """The console of progress, notes and warnings."""
    return TerminalConsole(stderr=True)


def write_line(text: str) -> None:
    """Write one line to stdout, without style and never wrapped."""
    sys.stdout.write(f"{printable(text)}\n")


def write_json(value: Any) -> None:
    """Write a value as JSON on one line of stdout. Characters that a terminal would obey are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    sys.stdout.write(f"{text if text.isprintable() else re.sub(r'[^ -~]', _json_escape, text)}\n")


def _json_escape(match: re.Match[str]) -> str:
    char = match[0]
    if char.isprintable():
        return char
    code = ord(char)
    if code < _ASTRAL:
        return f"\\u{code:04x}"
    high, low = divmod(code - _ASTRAL, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
