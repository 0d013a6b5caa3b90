"""Layouts as TOML files."""

from __future__ import annotations

import re

from longvideoagent.core.layout import LAYOUT_FIELDS, PromptLayout


def layout_to_toml(layout: PromptLayout, comment: str = "") -> str:
    """Write a layout as a TOML file, one field after the other. Reading it gives the same layout."""
    lines = [f"# {line}" for line in comment.splitlines()]
    for name in LAYOUT_FIELDS:
        value = getattr(layout, name)
        lines.append(f"{name} = {str(value).lower() if isinstance(value, bool) else _toml_text(value)}")
    return "\n".join(lines) + "\n"


def _toml_text(text: str) -> str:
    """A basic string. Characters that are not shown are escaped: TOML allows some that a terminal would obey."""
    escaped = re.sub(r"[^ !#-\[\]-~\n]", lambda match: _toml_escape(match[0]), text)
    if "\n" not in text:
        return f'"{escaped}"'
    return f'"""\n{escaped}"""'  # TOML leaves out the line break after the opening quotes


def _toml_escape(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    code = ord(character)
    return character if character.isprintable() else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
