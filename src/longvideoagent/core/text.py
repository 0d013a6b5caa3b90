"""Text that can be encoded."""

from __future__ import annotations


def replace_surrogates(text: str) -> str:
    """The text with "?" for lone surrogates, which JSON and command lines can hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
