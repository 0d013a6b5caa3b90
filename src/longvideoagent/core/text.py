"""Text that can be encoded, and nouns after a count."""

from __future__ import annotations


def replace_surrogates(text: str) -> str:
    """The text with "?" for lone surrogates, which JSON and command lines can hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def plural(noun: str, count: int) -> str:
    """The noun for a count: itself for 1, else with an ``s``."""
    return noun if count == 1 else f"{noun}s"
