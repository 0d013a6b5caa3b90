"""The labels of a detector, as the file next to its network has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from longvideoagent.errors import DataError
from longvideoagent.index.events import MAX_LABEL_CHARS, is_label


def checked_labels(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The labels of a file, each with single spaces between its words.

    Args:
        path: The file, for the error.
        names: What it has, in the order of the classes.

    Raises:
        DataError: A label is empty or too long, or has characters that are not shown.
    """
    labels = tuple(" ".join(name.split()) for name in names)
    for number, label in enumerate(labels, start=1):
        if not is_label(label):
            is_short = 0 < len(label) <= MAX_LABEL_CHARS
            problem = "has a control character" if is_short else f"has {len(label)} characters"
            fix = f"write the label of that class, 1 to {MAX_LABEL_CHARS} characters that can be read"
            raise DataError(f"{path}: label {number} {problem}; {fix}")
    return labels
