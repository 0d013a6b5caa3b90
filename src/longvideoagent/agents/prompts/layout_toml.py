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
    escaped = re.sub(r'[\\"\x00-\x09\x0b-\x1f\x7f]', lambda match: _toml_escape(match[0]), text)
    if "\n" not in text:
        return f'"{escaped}"'
    return f'"""\n{escaped}"""'  # TOML leaves out the line break after the opening quotes


def _toml_escape(character: str) -> str:
    return f"\\{character}" if character in '\\"' else f"\\u{ord(character):04x}"
