"""Which part of the index a query lacks, and the option of ``lva index`` that makes it."""

from __future__ import annotations

from longvideoagent.core.types import IndexPart, TimelineResult

_OPTIONS: dict[IndexPart, str] = {"scenes": "--screen", "sounds": "--sound", "objects": "--objects"}


def how_to_index(part: IndexPart) -> str:
    """One line for people: that a part of the index is not known, and what makes it."""
    return f"no {part} are known; lva index {_OPTIONS[part]} finds them"


def missing_part(part: IndexPart) -> TimelineResult:
    """The result of a query of a part of the index that nobody has made."""
    return TimelineResult(how_to_index(part), is_found=False, missing=part)
