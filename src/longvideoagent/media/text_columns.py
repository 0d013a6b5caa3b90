"""Text in a frame as columns: what stands below each other belongs together, such as a name over a shirt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from longvideoagent.media.ocr import ScreenText

QUOTED = re.compile(r"“([^”]*)”")
"""A piece of text in a description."""
_COLUMN = re.compile(r"\Atext at the ([a-z ]+): ")
_PIECE = re.compile(r"“([^”]*)”(?: on ([a-z]+))?")
_LETTERS = re.compile(r"\w+")
_MARK_IN_WORD = re.compile(r"(?<=\w)!(?=\w)")
_LOOK_ALIKES = str.maketrans("l10", "iio")
MAX_GAP = 0.34
"""Between two pieces of a column, as a fraction of the height of the frame."""
MAX_OVERLAP = 0.02
"""How far the boxes of two pieces below each other may overlap."""


class ColumnPiece(NamedTuple):
    """A piece of text in a described column."""

    text: str
    colour: str
    """That of what it stands on; empty if that is not known."""


class DescribedColumn(NamedTuple):
    """A column of text as ``describe_column`` words it."""

    place: str
    """Where in the frame, such as ``top middle``."""
    pieces: tuple[ColumnPiece, ...]
    """The top one first."""


def text_columns(pieces: Sequence[ScreenText]) -> list[list[ScreenText]]:
    """Pieces of text in columns, top piece first: a name over a shirt, the lines of a slide.

    Args:
        pieces: The text of a frame, from top to bottom.

    Returns:
        The columns, each with at least one piece.
    """
    columns: list[list[ScreenText]] = []
    for piece in pieces:
        for column in columns:
            last = column[-1]
            middle = (last.left + last.right) / 2, (piece.left + piece.right) / 2
            overlaps = piece.left <= middle[0] <= piece.right or last.left <= middle[1] <= last.right
            if overlaps and 0 <= piece.top - last.bottom + MAX_OVERLAP < MAX_GAP:
                column.append(piece)
                break
        else:
            columns.append([piece])
    return columns


def describe_column(column: Sequence[ScreenText], colours: Sequence[str] = ()) -> str:
    """A column in words, such as ``text at the left: “Mira” on grey above “KITE” on red``.

    Args:
        column: Its pieces, the top one first.
        colours: What each piece stands on; none if that is not known.
    """
    backgrounds = [f" on {colour}" for colour in colours] or [""] * len(column)
    texts = [f"“{piece.text}”{background}" for piece, background in zip(column, backgrounds, strict=True)]
    return f"text at the {_position(column)}: {' above '.join(texts)}"


def read_column(text: str) -> DescribedColumn | None:
    """The column that a text of ``describe_column`` describes; None for any other text."""
    match = _COLUMN.match(text)
    return DescribedColumn(match[1], tuple(map(ColumnPiece._make, _PIECE.findall(text)))) if match else None


def _position(column: Sequence[ScreenText]) -> str:
    middle, top = (column[0].left + column[-1].right) / 2, column[0].top
    across = "left" if middle < 0.36 else "right" if middle > 0.64 else "middle"
    return f"top {across}" if top < 0.25 else f"bottom {across}" if top > 0.75 else across


def squeeze(text: str) -> str:
    """A text without case, spaces and punctuation."""
    folded = text.casefold()
    return folded if folded.isalnum() else "".join(_LETTERS.findall(folded))


def fold_recognized(text: str) -> str:
    """The letters and digits of a text, without what recognition often gets wrong: case, spaces, punctuation, and which
    of the letters that look alike it is. l, 1 and a ! inside a word are i, and 0 is o."""
    return squeeze(_MARK_IN_WORD.sub("i", text) if "!" in text else text).translate(_LOOK_ALIKES)
