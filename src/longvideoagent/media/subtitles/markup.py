"""The text of a cue without its markup.

Only a closed list of tags is removed, so that ``x < y > z`` and ``List<T>`` stay as they are. All patterns take time in
proportion to their text.
"""

from __future__ import annotations

import html
import re
import unicodedata

_TAG = re.compile(
    r"<(?P<close>/?)(?:(?P<name>v|font|ruby|rt|rp|rb|lang|span)(?:\.[^\s<>]*)?(?P<rest>[\s/][^<>]*)?"
    r"|(?P<short>i|b|u|s|c|em|strong|strike)(?:\.[^\s<>]*)?\s{0,9}(?:[A-Za-z-]{1,30}=[^<>]*)?/?)>"
    r"|<(?P<clock>(?:\d{1,9}:){1,2}\d{1,2}(?:[.,]\d{1,6})?)>"
    r"|<(?P<line>/?br[ \t]{0,9}/?)>",
    re.IGNORECASE,
)
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_ENTITY = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});|&(?:amp|lt|gt|nbsp|quot)(?![\w;=])"
)
_DRAWING = re.compile(r"\\p(\d)")
_MAX_NAME_CHARS = 200
_JOINERS = "\u200c\u200d"
"""Between letters they decide what is written, as in Persian and Sinhala."""
_FLAG_LETTERS = range(0xE0020, 0xE0080)


def plain_text(marked: str) -> str:
    """The text of an event of an ASS stream on one line: without overrides, drawings, and tags of other formats that
    its encoder left."""
    return " ".join(plain_lines(tagged_text(ass_text(marked))))


def plain_lines(text: str) -> list[str]:
    """The lines of a text without markup, without blank ones, invisible characters and repeated blanks."""
    lines = [
        " ".join((line if line.isprintable() else "".join(map(_printable, line))).split()) for line in text.split("\n")
    ]
    return [line for line in lines if line]


def is_plain(text: str) -> bool:
    """Whether a text has no character that could be markup of any format, and no blanks but single ones in lines."""
    # One test after the other takes a tenth of the time of a pattern.
    if "<" in text or "&" in text or "{" in text or "|" in text or "\\" in text or "[" in text or "/" in text:
        return False
    if "  " in text or " \n" in text or "\n " in text or "\n\n" in text or text != text.strip() or not text:
        return False
    return text.isprintable() or text.replace("\n", "").isprintable()


def tagged_text(marked: str) -> str:
    """The text of a cue of SRT, WebVTT or the like: without tags, with speakers and entities written out. Line ends
    stay."""
    if "<" in marked:
        marked = _without_tags(marked)
    if "{\\" in marked:
        marked = _OVERRIDE.sub("", marked)
    return _ENTITY.sub(lambda match: html.unescape(match[0]), marked) if "&" in marked else marked


def ass_text(marked: str) -> str:
    """The text of an event of ASS: without override blocks and drawings, with line ends for its line breaks."""
    shown = _without_overrides(marked) if "{" in marked else marked
    if "\\" not in shown:
        return shown
    return shown.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ").replace("\\}", "}")


def _without_overrides(marked: str) -> str:
    parts: list[str] = []
    position = 0
    is_drawing = False
    while (opening := marked.find("{", position)) >= 0:
        is_escaped = marked[opening - 1 : opening] == "\\"
        if not is_drawing:
            parts.append(marked[position : opening - 1] + "{" if is_escaped else marked[position:opening])
        if is_escaped:
            position = opening + 1
            continue
        closing = marked.find("}", opening)
        if closing < 0:
            position = opening
            break
        for level in _DRAWING.findall(marked, opening, closing):
            is_drawing = level != "0"
        position = closing + 1
    if not is_drawing:
        parts.append(marked[position:])
    return "".join(parts)


def _without_tags(marked: str) -> str:
    is_closed: dict[str, bool] = {}  # of the few names that may be those of types

    def text_of(match: re.Match[str]) -> str:
        name, rest = match["name"] or match["short"], match["rest"]
        if match["line"]:
            return "\n"
        if name is None or match["close"]:
            return ""
        if name in "vV" and rest and rest.strip():
            return f"{' '.join(rest.split())[:_MAX_NAME_CHARS]}: "
        if len(name) == 1 and name.isupper() and marked[max(0, match.start() - 1) : match.start()].isalnum():  # Set<S>
            if name not in is_closed:
                is_closed[name] = f"</{name}" in marked
            return "" if is_closed[name] else match[0]
        return ""

    return _TAG.sub(text_of, marked)


def _printable(character: str) -> str:
    if character.isprintable() or character in _JOINERS or ord(character) in _FLAG_LETTERS:
        return character
    return "" if unicodedata.category(character) == "Cf" else " "
