"""Read subtitle files.

Text may have any of the encodings that subtitle files have in practice; repairs are reported, never silent. pysubs2
parses the formats; what it would reject or drop is fixed before it is parsed.
"""

from __future__ import annotations

import re
import warnings
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pysubs2

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.markup import VOICE, plain_text
from longvideoagent.media.subtitles.repair import ParsedSubtitles, repair_timing
from longvideoagent.media.text_encoding import decode_text

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
MAX_FILE_BYTES = 50_000_000
_TIMING = re.compile(
    r"^[ \t]*(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?[ \t]*-->"
    r"[ \t]*(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?[^\n]*$",
    re.MULTILINE,
)
_UNREAD_TIMING = re.compile(r"^[ \t]*\S{1,20}[ \t]*-->[ \t]*\S{1,20}[ \t]*$")
"""A line that has the form of a cue's times but no valid times."""
_BLOCK = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")


class _Cue(NamedTuple):
    start_s: float
    end_s: float
    text: str
    """With its markup."""


class _FileCues(NamedTuple):
    cues: list[_Cue]
    num_unread: int
    """Cues whose times cannot be read."""


class _NormalizedText(NamedTuple):
    text: str
    num_unread: int
    """Cues whose times cannot be read."""


def read_subtitles(path: str | Path) -> ParsedSubtitles:
    """Read a subtitle file. Raises DataError if the file does not exist, is not text, or has no cue."""
    path = Path(path).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: no such subtitle file; check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"{path}: larger than 50 MB, which is not a subtitle file; check the path")
    try:
        return parse_subtitles(data)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def parse_subtitles(data: bytes) -> ParsedSubtitles:
    """As ``read_subtitles``, from the bytes of a file; raises nothing but DataError."""
    decoded = decode_text(data)
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if not text.strip():
        raise DataError("the subtitle file is empty; leave it out or export it again")
    cues, num_unread = _read_cues(text)
    lines = [Subtitle(cue.start_s, cue.end_s, plain_text(cue.text)) for cue in cues]
    subtitles = [line for line in lines if line.text]
    if not subtitles:
        raise DataError("no subtitle cue; give an .srt, .vtt or .ass file")
    fixed, repaired = repair_timing(subtitles)
    unread = f"{num_unread} subtitle cues have times that cannot be read and were added to the cue before"
    return ParsedSubtitles(fixed, [*decoded.warnings, *([unread] if num_unread else []), *repaired])


def _read_cues(text: str) -> _FileCues:
    num_unread = 0
    is_cues = _TIMING.search(text) is not None
    if is_cues:
        text, num_unread = _blank_before_cues(text)
        text = "WEBVTT\n\n" + _TIMING.sub(_full_timing, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of any text that looks like a time
            events = pysubs2.SSAFile.from_string(text, format_="vtt" if is_cues else None)
    except (pysubs2.Pysubs2Error, ValueError, KeyError, IndexError, OverflowError) as error:
        raise DataError("not a known subtitle format; give an .srt, .vtt or .ass file") from error
    cues = [
        _Cue(event.start / 1000, event.end / 1000, event.text)
        for event in events
        if not event.is_comment and not event.is_drawing
    ]
    return _FileCues(cues, num_unread)


def _full_timing(match: re.Match[str]) -> str:
    def stamp(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> str:
        return f"{int(hours or 0):02}:{minutes:0>2}:{seconds:0>2}.{(fraction or '0').ljust(3, '0')}"

    return f"{stamp(*match.group(1, 2, 3, 4))} --> {stamp(*match.group(5, 6, 7, 8))}"


def _blank_before_cues(text: str) -> _NormalizedText:
    """The text without headers, notes and cue names, with a blank line before each cue.

    A blank line inside a cue does not end it: the text up to the next cue's name still belongs to it."""
    kept: list[str] = []
    num_unread = 0
    in_cue = after_blank = False
    lines = text.split("\n")
    for line, following in zip_longest(lines, lines[1:], fillvalue=""):
        if _TIMING.match(line):
            in_cue, after_blank = True, False
            kept += ["", line]
        elif not line.strip():
            after_blank = True
        elif after_blank and _BLOCK.match(line):
            in_cue = False
        elif in_cue and _UNREAD_TIMING.match(line):
            num_unread += 1
        elif in_cue and not ((after_blank or line.strip().isdigit()) and _any_timing(following)):
            kept.append(VOICE.sub(r"\1: ", line))
    return _NormalizedText("\n".join(kept), num_unread)


def _any_timing(line: str) -> bool:
    return bool(_TIMING.match(line) or _UNREAD_TIMING.match(line))
