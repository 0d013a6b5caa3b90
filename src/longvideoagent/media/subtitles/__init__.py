"""Subtitles from a file, from a file next to a video, or from inside the video."""

from longvideoagent.media.subtitles.embedded import read_embedded
from longvideoagent.media.subtitles.markup import plain_text
from longvideoagent.media.subtitles.read import MAX_FILE_BYTES, SUFFIXES, parse_subtitles, read_subtitles
from longvideoagent.media.subtitles.repair import ParsedSubtitles, repair_timing
from longvideoagent.media.subtitles.sidecar import find_sidecar
from longvideoagent.media.subtitles.write import subtitle_text, write_srt

__all__ = [
    "MAX_FILE_BYTES",
    "SUFFIXES",
    "ParsedSubtitles",
    "find_sidecar",
    "parse_subtitles",
    "plain_text",
    "read_embedded",
    "read_subtitles",
    "repair_timing",
    "subtitle_text",
    "write_srt",
]
