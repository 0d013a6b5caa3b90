"""The words in which offline vision reports what it detects, and what a reader can learn from them.

Who asks for the kind of a detection, or for a part of it, does so here and knows none of the words. A column of text
on screen is worded by ``media.text_columns``, and an object has a label of its own. Detections are stored as texts, so
that another wording needs another ``vision.VERSION``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from longvideoagent.core.text import plural
from longvideoagent.media.cv import COLOURS, Change, Movement
from longvideoagent.media.text_columns import read_column


class DetectionKind(Enum):
    """What a detection is about."""

    TEXT = auto()
    """A column of text on screen."""
    COLOURS = auto()
    """The main colours of a clip."""
    MOVEMENT = auto()
    """Something that moves, with its colour."""
    PICTURE_CHANGE = auto()
    """A cut, or a camera in motion."""
    FACES = auto()
    """How many faces are seen at once."""


_COLOURS, _MOVING, _PICTURE_CHANGE = "mostly ", "something ", "the whole picture changes"
_KIND_BY_START = {
    _COLOURS: DetectionKind.COLOURS,
    _MOVING: DetectionKind.MOVEMENT,
    _PICTURE_CHANGE: DetectionKind.PICTURE_CHANGE,
}
_FACES = re.compile(r"(\d+) faces? towards the camera")
_NAMED_COLOUR = re.compile(rf"\b(?:on|something) ({'|'.join(COLOURS)})\b")


def faces_text(num_faces: int) -> str:
    """Faces on one frame; at least one."""
    return f"{num_faces} {plural('face', num_faces)} towards the camera"


def colours_text(colours: Sequence[str]) -> str:
    """The main colours, the most frequent one first."""
    return f"{_COLOURS}{' and '.join(colours)}"


def change_texts(change: Change) -> list[str]:
    """What differs between two frames: the whole picture, or each thing that moves; nothing if neither is seen."""
    if change.is_scene_change:
        return [f"{_PICTURE_CHANGE} (cuts, or a camera in motion)"]
    return [f"{_MOVING}{move.colour} moves {_direction(move)}" for move in change.movements]


def _direction(move: Movement) -> str:
    across, down = move.to_x - move.from_x, move.to_y - move.from_y
    if abs(across) > abs(down):
        return "to the right" if across > 0 else "to the left"
    return "down" if down > 0 else "up"


def kind_of(text: str) -> DetectionKind | None:
    """The kind of a detection by its text; None for an object, and for a text that offline vision did not write."""
    if _FACES.match(text):
        return DetectionKind.FACES
    if read_column(text) is not None:
        return DetectionKind.TEXT
    return next((kind for start, kind in _KIND_BY_START.items() if text.startswith(start)), None)


def num_faces(text: str) -> int:
    """How many faces a detection counts; 0 for one of another kind."""
    match = _FACES.match(text)
    return int(match[1]) if match else 0


def named_colours(text: str) -> list[str]:
    """The colours that a detection names, of what moves or of what a text stands on, in order."""
    return _NAMED_COLOUR.findall(text)
