"""Subtitles from a file, from a file next to a video, or from inside the video.

Text may have any of the encodings that subtitle files have in practice; repairs are reported, never silent. pysubs2
parses the formats; what it would reject or drop is fixed before it is parsed.
"""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import pysubs2
from av.container import InputContainer
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import atomic_write_text
from longvideoagent.media.container import open_container, origin_s
from longvideoagent.media.text_encoding import decode_text

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
IMAGE_CODECS = ("hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub")
MAX_FILE_BYTES = 50_000_000
REPAIRED_S = 3.0
"""Length given to a cue whose end is not after its start, unless the next cue starts sooner."""

_TIMING = re.compile(
    r"^[ \t]*(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?[ \t]*-->"
    r"[ \t]*(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?[^\n]*$",
    re.MULTILINE,
)
_UNREAD_TIMING = re.compile(r"^[ \t]*\S{1,20}[ \t]*-->[ \t]*\S{1,20}[ \t]*$")
"""A line that has the form of a cue's times but no valid times."""
_BLOCK = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]{1,200})>")
_MARKUP = re.compile(r"</?(?:i|b|u|s|c|v|font|ruby|rt|lang|span)\b[^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)


class ParsedSubtitles(NamedTuple):
    """Subtitles in order of time, and what was repaired or ignored."""

    subtitles: list[Subtitle]
    warnings: list[str]


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


class _StreamSubtitles(NamedTuple):
    subtitles: list[Subtitle]
    is_damaged: bool


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
            kept.append(_VOICE.sub(r"\1: ", line))
    return _NormalizedText("\n".join(kept), num_unread)


def _any_timing(line: str) -> bool:
    return bool(_TIMING.match(line) or _UNREAD_TIMING.match(line))


def plain_text(marked: str) -> str:
    """A cue's text without markup, on one line, with its entities resolved."""
    text = marked.replace("\\N", " ").replace("\\n", " ").replace("\\h", " ")
    text = _MARKUP.sub("", _VOICE.sub(r"\1: ", text))
    text = "".join(character if character.isprintable() else " " for character in html.unescape(text))
    return " ".join(text.replace("\u200b", "").replace("\ufeff", "").split())


def repair_timing(subtitles: list[Subtitle]) -> ParsedSubtitles:
    """Sort subtitles by time and give each an end after its start, with a warning for each kind of repair."""
    repaired: list[str] = []
    ordered = sorted(subtitles, key=lambda subtitle: subtitle.start_s)
    if ordered != subtitles:
        repaired.append("subtitle cues were out of order and were sorted")
    num_backward = 0
    for index, line in enumerate(ordered):
        start_s = max(0.0, line.start_s)
        end_s = line.end_s
        if end_s <= start_s:
            num_backward += 1
            following_s = ordered[index + 1].start_s if index + 1 < len(ordered) else start_s + REPAIRED_S
            gap_s = following_s - start_s
            end_s = start_s + (min(REPAIRED_S, gap_s) if gap_s > 0 else REPAIRED_S)
        ordered[index] = replace(line, start_s=start_s, end_s=end_s)
    if num_backward:
        repaired.append(f"{num_backward} subtitle cues ended before they started and were given a length")
    return ParsedSubtitles(ordered, repaired)


def subtitle_text(subtitles: Iterable[Subtitle], form: str) -> str:
    """The text of a subtitle file, ending with one newline; ``form`` is srt or vtt."""
    file = pysubs2.SSAFile()
    file.events.extend(pysubs2.SSAEvent(_ms(cue.start_s), _ms(cue.end_s), text=cue.text) for cue in subtitles)
    text: str = file.to_string(form)
    return text.rstrip("\n") + "\n"


def write_srt(path: Path, subtitles: Iterable[Subtitle]) -> None:
    """Write a SubRip file, completely or not at all. Raises UsageError if the file exists."""
    if path.exists():
        raise UsageError(f"{path}: exists already; delete it or choose another --out")
    atomic_write_text(path, subtitle_text(subtitles, "srt"))


def _ms(time_s: float) -> int:
    return round(1000 * time_s)


def find_sidecar(video: Path) -> Path | None:
    """Find the subtitle file next to a video: of the same name, or with a language as in ``talk.en.srt``; or None.

    The name without a language comes first, then .srt before .vtt before .ass."""
    video = video.absolute() if video.name else video.resolve()  # "." has no name
    name = video.name if video.is_dir() else video.stem
    try:
        files = [file for file in video.parent.iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError:  # a folder without permission to list it
        return None
    named = [file for file in files if name in (file.stem, file.stem.rpartition(".")[0])]
    return min(
        named, key=lambda file: (file.stem != name, SUFFIXES.index(file.suffix.lower()), file.name), default=None
    )


def read_embedded(video: Path) -> ParsedSubtitles:
    """Read the first subtitle stream inside a video file that has text; empty if there is none."""
    if video.is_dir():
        return ParsedSubtitles([], [])
    skipped: list[str] = []
    with open_container(video) as container:
        for stream in container.streams.subtitles:
            if stream.codec_context is None or stream.codec_context.name in IMAGE_CODECS:
                skipped.append(f"subtitle stream {stream.index} has images or an unknown format and was ignored")
                continue
            container.seek(0)  # reading the stream before went to the end of the file
            subtitles, is_damaged = _read_stream(container, stream)
            if is_damaged:
                skipped.append(f"subtitle stream {stream.index} is damaged; what could be read was used")
            if subtitles:
                fixed, repaired = repair_timing(subtitles)
                return ParsedSubtitles(fixed, skipped + repaired)
    return ParsedSubtitles([], skipped)


def _read_stream(container: InputContainer, stream: SubtitleStream) -> _StreamSubtitles:
    subtitles: list[Subtitle] = []
    try:
        for packet in container.demux(stream):
            if packet.pts is None or packet.time_base is None:
                continue
            start_s = float(packet.pts * packet.time_base) - origin_s(container)
            text = plain_text(" ".join(_cue_texts(packet)))
            if text:
                subtitles.append(Subtitle(start_s, start_s + float((packet.duration or 0) * packet.time_base), text))
    except av.error.FFmpegError:
        return _StreamSubtitles(subtitles, is_damaged=True)
    return _StreamSubtitles(subtitles, is_damaged=False)


def _cue_texts(packet: av.Packet[SubtitleStream]) -> list[str]:
    return [cue.dialogue.decode("utf-8", errors="replace") for cue in packet.decode() if isinstance(cue, AssSubtitle)]
