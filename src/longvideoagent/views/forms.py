"""The forms in which chapters and summaries are written."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """How a list of chapters is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    VTT = "vtt"
    JSON = "json"


class SummaryForm(StrEnum):
    """How a summary is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
