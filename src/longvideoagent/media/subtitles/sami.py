"""Read SAMI (SMI), as far as it is used: moments, and the text from each of them on."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.cue import MAX_CUES, MAX_MARKED_CHARS, Cue, ReadCues
from longvideoagent.media.subtitles.cut_off import CUT_OFF
from longvideoagent.media.subtitles.markup import plain_lines, tagged_text

_SIGN = re.compile(r"<SAMI\b|<SYNC[ \t]", re.IGNORECASE)
_SYNC = re.compile(r"<SYNC[ \t\n][^<>]{0,200}>", re.IGNORECASE)
_START_MS = re.compile(r"\bStart[ \t]*=[ \t]*[\"']?[ \t]*(-?\d{1,10})\b", re.IGNORECASE)
_PARAGRAPH = re.compile(r"</?P(?:[ \t\n][^<>]{0,200})?>", re.IGNORECASE)
_CLASS = re.compile(r"\bClass[ \t]*=[ \t]*[\"']?([\w-]{1,50})", re.IGNORECASE)
_USUAL = re.compile(r"[ \t\n]*<P Class=([\w-]{1,50})>([^<&]*)", re.IGNORECASE)
"""What follows nearly all moments. Taking it apart by tags takes three times as long."""
_CUT_TAG = re.compile(r"<[A-Za-z/][^<>]{0,200}\Z")
_END = re.compile(r"</(?:SYNC|BODY|SAMI)[ \t]{0,9}>|<!--|-->", re.IGNORECASE)


class _Paragraph(NamedTuple):
    start_s: float | None
    language: str
    text: str


def is_sami(head: str) -> bool:
    """Whether the beginning of a file has a tag of SAMI."""
    return _SIGN.search(head) is not None


def read_sami(text: str) -> ReadCues:
    """Read the cues; of several languages the one with most of them. Raises DataError if there are none."""
    text, is_cut = _CUT_TAG.subn("", text.rstrip())
    syncs = list(_SYNC.finditer(text))
    if not syncs:
        raise DataError("no cue in it; check that the file is complete")
    ends = [*(later.start() for later in syncs[1:]), len(text)]
    paragraphs: list[_Paragraph] = []
    for sync, end in zip(syncs[: 2 * MAX_CUES], ends, strict=False):
        start_ms = _START_MS.search(sync[0])
        marked = text[sync.end() : min(end, sync.end() + MAX_MARKED_CHARS)]
        paragraphs += _paragraphs(None if start_ms is None else int(start_ms[1]) / 1000, marked)
    counts = Counter(paragraph.language for paragraph in paragraphs if paragraph.text)
    language = counts.most_common(1)[0][0] if counts else ""
    chosen = [paragraph for paragraph in paragraphs if paragraph.language == language]
    cues = [
        Cue(one.start_s, other.start_s, one.text)
        for one, other in pairwise([*chosen, _Paragraph(None, language, "")])
        if one.text
    ]
    others = {name: count for name, count in counts.items() if name != language}
    warnings = [f"the subtitles have several languages; {language} was read, not {', '.join(others)}"] if others else []
    return ReadCues(cues[:MAX_CUES], [*warnings, *[CUT_OFF] * is_cut], max(0, len(cues) - MAX_CUES))


def _paragraphs(start_s: float | None, marked: str) -> list[_Paragraph]:
    """The texts of a moment by language. The text of one that only ends the text before is empty."""
    if usual := _USUAL.fullmatch(marked):
        return [_Paragraph(start_s, usual[1].upper(), usual[2].strip())]
    texts: dict[str, str] = {}
    language, position = "", 0
    marked = _END.sub("", marked)
    for tag in [*_PARAGRAPH.finditer(marked), None]:
        part = marked[position : tag.start() if tag else len(marked)]
        if part.strip():
            texts[language] = f"{texts.get(language, '')}\n{part}"
        if tag is None:
            break
        name = _CLASS.search(tag[0])
        if name is not None:
            language = name[1].upper()
        position = tag.end()
    return [_Paragraph(start_s, name, "\n".join(plain_lines(tagged_text(text)))) for name, text in texts.items()]
