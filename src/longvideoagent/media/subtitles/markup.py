"""The text of a cue without its markup."""

from __future__ import annotations

import html
import re

VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]{1,200})>")
_MARKUP = re.compile(r"</?(?:i|b|u|s|c|v|font|ruby|rt|lang|span)\b[^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)


def plain_text(marked: str) -> str:
    """A cue's text without markup, on one line, with its entities resolved."""
    text = marked.replace("\\N", " ").replace("\\n", " ").replace("\\h", " ")
    text = _MARKUP.sub("", VOICE.sub(r"\1: ", text))
    text = "".join(character if character.isprintable() else " " for character in html.unescape(text))
    return " ".join(text.replace("\u200b", "").replace("\ufeff", "").split())
