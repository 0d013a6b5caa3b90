"""Subtitles from a file, from a file next to a video, or from inside the video."""

from longvideoagent.media.subtitles.choose import ChosenSubtitles, choose_subtitles
from longvideoagent.media.subtitles.cue import MAX_FILE_BYTES
from longvideoagent.media.subtitles.markup import plain_text
from longvideoagent.media.subtitles.read import SUFFIXES, SubtitleOptions, parse_subtitles, read_subtitles
from longvideoagent.media.subtitles.repair import ParsedSubtitles, repair_timing
from longvideoagent.media.subtitles.sidecar import find_sidecars
from longvideoagent.media.subtitles.write import subtitle_text, write_srt

__all__ = [
    "MAX_FILE_BYTES",
    "SUFFIXES",
    "ChosenSubtitles",
    "ParsedSubtitles",
    "SubtitleOptions",
    "choose_subtitles",
    "find_sidecars",
    "parse_subtitles",
    "plain_text",
    "read_subtitles",
    "repair_timing",
    "subtitle_text",
    "write_srt",
]
