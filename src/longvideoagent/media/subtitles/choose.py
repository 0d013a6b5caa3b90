"""Choose the subtitles of a video among the files next to it and the streams inside it, and read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from longvideoagent.core.types import Subtitle
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.subtitles.closed_captions import find_captions, read_captions
from longvideoagent.media.subtitles.embedded import find_streams, read_streams
from longvideoagent.media.subtitles.languages import language_code
from longvideoagent.media.subtitles.pictures import read_picture_stream
from longvideoagent.media.subtitles.read import read_subtitles
from longvideoagent.media.subtitles.repair import ParsedSubtitles
from longvideoagent.media.subtitles.sidecar import Sidecars, find_sidecars
from longvideoagent.media.subtitles.tracks import NAMED_DEFAULT, Track, sort_read_tracks
from longvideoagent.media.text_encoding import check_encoding
from longvideoagent.progress import Progress, no_progress

MAX_NAMED_FILES = 5
"""Of those next to a video that are not read; more are counted."""


@dataclass(frozen=True, slots=True)
class ChosenSubtitles:
    """The subtitles of a video; empty if it has none."""

    subtitles: list[Subtitle]
    source: str = ""
    """The tracks that were read, for people."""
    warnings: tuple[str, ...] = ()
    """What was repaired or ignored, and which other tracks there are."""


def choose_subtitles(
    video: Path,
    wanted: Sequence[str | Path] = (),
    end_s: float = float("inf"),
    progress: Progress = no_progress,
    encoding: str | None = None,
) -> ChosenSubtitles:
    """Read the subtitles of a video.

    Args:
        video: A video file or a folder of frames.
        wanted: Tracks to read, together: a file, a language such as ``de``, or ``#2`` for the second subtitle stream.
            Empty: the best one. Full tracks have precedence before forced ones, defaults before others, long ones
            before those with fewer than half the lines, and the user's language before others; pictures come last.
        end_s: The end of the video; lines that start later are dropped, with a warning.
        progress: Called while text is read off pictures.
        encoding: The encoding of subtitle files, as Python names it; None: recognised.

    Returns:
        The lines in order of time. Without ``wanted`` a track that cannot be read is passed over with a warning, and so
        is a file that was wanted, if others remain.

    Raises:
        DataError: The video cannot be opened, or a file that is wanted does not exist.
        UsageError: The video has no stream of that number, or no track in that language, or there is no such encoding.
    """
    if encoding is not None:
        check_encoding(encoding)
    sidecars, streams = find_sidecars(video), find_streams(video)
    if not any(track.has_text for track in (*sidecars.tracks, *streams)):
        captions = find_captions(video)
        streams += [] if captions is None else [captions]
    reader = _TrackReader(video, end_s, progress, encoding)
    if wanted:
        chosen = [_named(str(name), video, sidecars, streams) for name in wanted]
        reader.read(chosen)
        read = [track for track in chosen if reader.subtitles(track)]
        if read:
            lines = sorted((line for track in read for line in reader.subtitles(track)), key=lambda line: line.start_s)
            return ChosenSubtitles(lines, ", ".join(_title(track) for track in read), tuple(reader.warnings))
    tracks = [*sidecars.tracks, *streams]
    unread = _unread_warnings(sidecars.unread)
    for group in _groups(tracks):
        reader.read(group)
        ranked = sort_read_tracks(group, [len(reader.subtitles(track)) for track in group])
        if ranked:
            best = ranked[0]
            warnings = [*reader.warnings, *unread, *_others(best, tracks)]
            if best.is_partial:
                warnings.append(f"{_title(best)}: marked as forced or commentary, so it may lack most of what is said")
            return ChosenSubtitles(reader.subtitles(best), _title(best), tuple(warnings))
    return ChosenSubtitles([], "", (*reader.warnings, *unread))


def _unread_warnings(names: Sequence[str]) -> list[str]:
    """Warnings that name files next to the video that were not read, the first of many."""
    warnings = [
        f"{name}, next to the video, was not read; give it with --subtitles" for name in names[:MAX_NAMED_FILES]
    ]
    num_more = len(names) - len(warnings)
    return [*warnings, f"{num_more} more subtitle files next to the video were not read"] if num_more else warnings


def _groups(tracks: Sequence[Track]) -> Iterator[list[Track]]:
    ordered = sorted(tracks, key=lambda track: track.group)
    return (list(group) for _, group in groupby(ordered, key=lambda track: track.group))


def _title(track: Track) -> str:
    return f"subtitle stream {track.name} of the file" if track.number else track.name


def _others(best: Track, tracks: Sequence[Track]) -> list[str]:
    """The line that names the tracks that were not taken."""
    others = [track.name for track in tracks if track != best]
    if not others:
        return []
    return [f"subtitles from {best.name}; there are also {', '.join(others)}: --subtitles takes a file, language or #N"]


def _named(name: str, video: Path, sidecars: Sidecars, streams: list[Track]) -> Track:
    """The track that a user names."""
    if name.startswith("#") and name[1:].isdecimal():
        number = int(name[1:])
        stream = next((track for track in streams if track.number == number), None)
        if stream is None:
            names = ", ".join(track.name for track in streams) or "no subtitle stream"
            raise UsageError(f"--subtitles {name}: {video.name} has {names}")
        return stream
    path = Path(name).expanduser()
    if path.is_file():
        return Track(path.name, path, rank=NAMED_DEFAULT)
    if path.is_dir():
        raise DataError(f"{name}: a folder, not a subtitle file; check the path or leave it out")
    language = language_code(name) if "." not in name else ""
    if not language:
        raise DataError(f"{name}: no such subtitle file; check the path or leave it out")
    tracks = sorted(
        (track for track in (*sidecars.tracks, *streams) if track.language == language),
        # zh-TW before zh-CN
        key=lambda track: (name.casefold() not in track.name.casefold(), track.group, track.origin),
    )
    if not tracks:
        names = ", ".join(track.name for track in (*sidecars.tracks, *streams)) or "no subtitles"
        raise UsageError(f"--subtitles {name}: no subtitles in that language; {video.name} has {names}")
    return tracks[0]


class _TrackReader:
    """Reads tracks, each once, and collects what was repaired or ignored."""

    def __init__(self, video: Path, end_s: float, progress: Progress, encoding: str | None) -> None:
        self.warnings: list[str] = []
        self._video = video
        self._end_s = end_s
        self._progress = progress
        self._encoding = encoding
        self._subtitles: dict[Track, list[Subtitle]] = {}

    def subtitles(self, track: Track) -> list[Subtitle]:
        """The lines of a track that was read."""
        return self._subtitles[track]

    def read(self, tracks: Sequence[Track]) -> None:
        """Read these tracks; streams of text in one pass over the file."""
        indexes = [track.index for track in tracks if track.number and not (track.has_pictures or track.has_captions)]
        streams = read_streams(self._video, indexes) if indexes else {}
        for track in tracks:
            try:
                if track.path is not None:
                    parsed = read_subtitles(track.path, self._encoding, self._video)
                elif track.has_pictures:
                    parsed = read_picture_stream(self._video, track.index, self._progress)
                elif track.has_captions:
                    parsed = read_captions(self._video, track.index)
                else:
                    parsed = streams[track.index]
            except DataError as error:
                parsed = ParsedSubtitles([], [f"{error} (ignored)"])
            self._keep(track, parsed)

    def _keep(self, track: Track, parsed: ParsedSubtitles) -> None:
        """Keep the lines that start before the video ends."""
        kept = [line for line in parsed.subtitles if line.start_s < self._end_s]
        self.warnings += parsed.warnings
        if num_late := len(parsed.subtitles) - len(kept):
            self.warnings.append(
                f"{track.name}: {num_late} of {len(parsed.subtitles)} cues start after the video ends "
                f"({self._end_s:.1f} s) and were ignored; do they belong to this video?"
            )
        self._subtitles[track] = kept
