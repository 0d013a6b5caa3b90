"""Read subtitle files of any format.

The format is recognised by the content once, whatever the file's name; its reader finds the cues, and nothing is
guessed again inside of them. What is repaired or ignored is reported, never silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from longvideoagent.errors import DataError
from longvideoagent.media.subtitles.ass import is_ass, read_ass
from longvideoagent.media.subtitles.cue import (
    MAX_CUE_CHARS,
    MAX_CUES,
    MAX_FILE_BYTES,
    MAX_MARKED_CHARS,
    Cue,
    ReadCues,
    Reader,
    counted,
)
from longvideoagent.media.subtitles.cue_blocks import WITHOUT_ARROW, read_cue_blocks
from longvideoagent.media.subtitles.line_formats import (
    LRC_LINE,
    MICRODVD_LINE,
    MPL2_LINE,
    TMPLAYER_LINE,
    bar_text,
    read_lrc,
    read_microdvd,
    read_mpl2,
    read_tmplayer,
)
from longvideoagent.media.subtitles.markup import ass_text, is_plain, plain_lines, tagged_text
from longvideoagent.media.subtitles.repair import ParsedSubtitles, repair_cues
from longvideoagent.media.subtitles.sami import is_sami, read_sami
from longvideoagent.media.subtitles.sbv import SBV_LINE, read_sbv, sbv_text
from longvideoagent.media.subtitles.timestamps import TIMING_LINE, narrow_times
from longvideoagent.media.subtitles.ttml import is_ttml, read_ttml
from longvideoagent.media.subtitles.webvtt import is_signature
from longvideoagent.media.text_encoding import DecodedText, decode_text

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa", ".ttml", ".dfxp", ".itt", ".sbv", ".smi", ".sub", ".lrc")
_HEAD_CHARS = 4_000
_SAMPLE_LINES_CHARS = 100_000
"""Beginning of a file whose lines of times are counted to choose its format."""
_MAX_SHOWN_CHARS = 60
_CUES_TESTED_TOGETHER = 50


class _Format(NamedTuple):
    read: Reader
    """Finds the cues."""
    text: Callable[[str], str]
    """Removes the markup from the text of a cue."""


_BLOCKS = _Format(read_cue_blocks, tagged_text)
_SIGNED_FORMATS: tuple[tuple[Callable[[str], bool], _Format], ...] = (
    (is_signature, _BLOCKS),
    (is_sami, _Format(read_sami, str)),
    (is_ttml, _Format(read_ttml, str)),
    (is_ass, _Format(read_ass, lambda marked: tagged_text(ass_text(marked)))),
)
"""Formats whose files begin with a sign of their own."""
_LINE_FORMATS: tuple[tuple[re.Pattern[str], _Format], ...] = (
    (TIMING_LINE, _BLOCKS),
    (SBV_LINE, _Format(read_sbv, sbv_text)),
    (MICRODVD_LINE, _Format(read_microdvd, bar_text)),
    (MPL2_LINE, _Format(read_mpl2, bar_text)),
    (LRC_LINE, _Format(read_lrc, tagged_text)),
    (TMPLAYER_LINE, _Format(read_tmplayer, bar_text)),
)
"""Formats that are recognised by their lines of times; the one with most lines is chosen."""


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """Which subtitles of a video are read, and how."""

    tracks: Sequence[str | Path] = ()
    """Files, languages such as ``de``, or streams such as ``#2``, read together; empty: the best."""
    encoding: str | None = None
    """The encoding of subtitle files, as Python names it; None: recognised."""


def read_subtitles(path: str | Path, encoding: str | None = None, video: Path | None = None) -> ParsedSubtitles:
    """Read a subtitle file.

    Args:
        path: A file in SRT, WebVTT, ASS, SSA, TTML, SBV, SubViewer, MicroDVD, MPL2, TMPlayer, SAMI or LRC.
        encoding: The encoding of its text, as Python names it; None: recognised by its bytes.
        video: The video that it belongs to, whose frame rate counts if cues are timed in frames.

    Returns:
        Subtitles in order of time, and a warning for everything that was repaired or ignored.

    Raises:
        DataError: The file does not exist, is too large, is not text, or has no cue.
        UsageError: ``encoding`` does not exist.
    """
    path = Path(path).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: no such subtitle file; check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    try:
        return parse_subtitles(data, encoding, video)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def parse_subtitles(data: bytes, encoding: str | None = None, video: Path | None = None) -> ParsedSubtitles:
    """As ``read_subtitles``, from the bytes of a file."""
    if len(data) > MAX_FILE_BYTES:
        size = f"{MAX_FILE_BYTES / 1e6:g} MB"
        raise DataError(f"larger than {size}, which is not a subtitle file; check the path")
    decoded = decode_text(data, encoding)
    text = (
        decoded.text.replace("\r\r\n", "\n")
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .rstrip("\0")
        .replace("\0", "\ufffd")
    )
    if not text.strip():
        raise DataError("the subtitle file is empty; leave it out or export it again")
    text = narrow_times(text)
    chosen = _recognise(text)
    found = read_microdvd(text, video) if chosen.read is read_microdvd else chosen.read(text)
    cues = _plain_cues(found, chosen.text)
    if all(cue.start_s is None for cue in cues):
        problem = "no cue has times that can be read" if cues else "no subtitle cue has text"
        raise DataError(f"{problem}; give another subtitle file")
    parsed = repair_cues(cues)
    warnings = [*_encoding_warnings(decoded, parsed), *found.warnings, *parsed.warnings]
    return ParsedSubtitles(parsed.subtitles, warnings)


def _recognise(text: str) -> _Format:
    """The format of a text. Raises DataError if it is not known."""
    head = text[:_HEAD_CHARS]
    for has_sign, signed_format in _SIGNED_FORMATS:
        if has_sign(head):
            return signed_format
    for part in (text[:_SAMPLE_LINES_CHARS], text):
        counts = [sum(1 for _ in pattern.finditer(part)) for pattern, _ in _LINE_FORMATS]
        if any(counts):
            return _LINE_FORMATS[counts.index(max(counts))][1]
    if WITHOUT_ARROW.search(text):
        return _BLOCKS
    raise DataError("no subtitles in a known format; give an .srt, .vtt, .ass or .ttml file")


def _plain_cues(found: ReadCues, text_of: Callable[[str], str]) -> list[Cue]:
    """The cues that have text, without markup and within the bounds; adds what was cut to the warnings."""
    cues: list[Cue] = []
    num_cut = 0
    for cue, is_plain_cue in zip(found.cues, _are_plain(found.cues), strict=True):
        marked = cue.text
        if is_plain_cue:
            cues.append(cue)
            continue
        text = "\n".join(plain_lines(text_of(marked[:MAX_MARKED_CHARS])))
        if len(text) > MAX_CUE_CHARS or len(marked) > MAX_MARKED_CHARS:
            num_cut += 1
            text = text[:MAX_CUE_CHARS].rstrip()
        if text:
            cues.append(cue._replace(text=text))
    limit = f"longer than {MAX_CUE_CHARS} characters and"
    num_ignored = found.num_beyond_limit
    found.warnings.extend(counted(num_cut, f"subtitle cue is {limit} was cut", f"subtitle cues are {limit} were cut"))
    found.warnings.extend(
        counted(
            num_ignored, f"cue after the first {MAX_CUES} was ignored", f"cues after the first {MAX_CUES} were ignored"
        )
    )
    return cues


def _are_plain(cues: list[Cue]) -> Iterator[bool]:
    """Whether each cue can stay as it is. Cues are tested together first, which takes a third of the time."""
    for first in range(0, len(cues), _CUES_TESTED_TOGETHER):
        texts = [cue.text for cue in cues[first : first + _CUES_TESTED_TOGETHER]]
        are_plain = is_plain("\n".join(texts))
        for text in texts:
            yield (are_plain or is_plain(text)) and len(text) <= MAX_CUE_CHARS


def _encoding_warnings(decoded: DecodedText, parsed: ParsedSubtitles) -> list[str]:
    """The warnings of the decoder; a guess is shown by the first text that depends on it."""
    if not decoded.is_guess:
        return decoded.warnings
    texts = (line.text for line in parsed.subtitles if not line.text.isascii())
    sample = next(texts, "")
    shown = f' ("{sample[:_MAX_SHOWN_CHARS]}")' if sample else ""
    guess = f"the subtitles are not UTF-8 and were read as {decoded.encoding}{shown}; give --encoding if that is wrong"
    return [guess, *decoded.warnings]
