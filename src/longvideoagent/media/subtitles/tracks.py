"""The subtitles that a video has: files next to it and streams inside it, ranked alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.media.subtitles.languages import system_language

MIN_SHARE_OF_LINES = 0.5
"""Of the lines of the longest track, for one that counts as whole."""
NAMED_DEFAULT, LIKELY, OTHER, CAPTIONS = range(4)
"""Ranks of tracks: a file that is named for the video or as default; other files, which somebody has put there, and
default streams; other streams; closed captions in the pictures."""
MANUAL, ORIGINAL, AUTOMATIC = range(3)
"""Origins of tracks: people; a machine that writes down the language that is spoken; another machine."""


@dataclass(frozen=True, slots=True)
class Track:
    """Subtitles that can be chosen: a file (``path``) or a stream (``index`` in its container)."""

    name: str
    """For people, such as ``film.en.srt`` or ``#2 (en, forced)``."""
    path: Path | None = None
    index: int = -1
    number: int = 0
    """Of a stream: its place among the subtitle streams, from 1, as players count them; 0 of a file."""
    language: str = ""
    """Two letters where they are known; see ``language_code``."""
    rank: int = OTHER
    is_partial: bool = False
    """Whether it is forced, which holds signs and foreign speech only, or a commentary."""
    is_hearing_impaired: bool = False
    has_pictures: bool = False
    """Whether its lines are pictures."""
    has_captions: bool = False
    """Whether it is CEA-608, in a stream of its own or between the pictures of a video stream."""

    origin: int = MANUAL
    """``ORIGINAL`` or ``AUTOMATIC`` if its name says that a machine made it."""

    @property
    def has_text(self) -> bool:
        """Whether it is a file or a stream of the whole text."""
        return not (self.is_partial or self.has_pictures)

    @property
    def group(self) -> tuple[bool, bool, int]:
        """What decides before any line is read; the least is best."""
        return self.has_pictures, self.is_partial, self.rank


def sort_read_tracks(tracks: Sequence[Track], num_lines: Sequence[int]) -> list[Track]:
    """The tracks of one group, best first.

    Args:
        tracks: The tracks.
        num_lines: The number of lines of each. One with clearly fewer than the longest of those that people made comes
            last; then count the user's language, people before machines, texts without descriptions of sounds, and
            files before streams.

    Returns:
        Those that have lines.
    """
    counted = [each for each in zip(tracks, num_lines, strict=True) if each[1]]
    language = system_language()
    best_origin = min((track.origin for track, _ in counted), default=MANUAL)  # a machine's lines are often shorter
    longest = max((count for track, count in counted if track.origin == best_origin), default=0)

    def key(counted: tuple[Track, int]) -> tuple[bool, bool, int, bool, bool, int, int, str]:
        track, count = counted
        is_short = count < MIN_SHARE_OF_LINES * longest
        is_foreign = track.language not in ("", language)
        is_file = track.path is not None
        depth = track.name.count("/") if is_file else 0
        return (
            is_short, is_foreign, track.origin, track.is_hearing_impaired, not is_file, track.number, depth, track.name,
        )  # fmt: skip

    return [track for track, _ in sorted(counted, key=key)]
