"""Find the subtitle files next to a video."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

from longvideoagent.media.subtitles.languages import language_code
from longvideoagent.media.subtitles.read import SUFFIXES
from longvideoagent.media.subtitles.tracks import LIKELY, NAMED_DEFAULT, Track

PICTURE_SUFFIXES = (".idx", ".sup")
"""Of subtitles as pictures, which are not read from files."""
_PARTIAL, _HEARING_IMPAIRED = ("forced", "foreign", "commentary"), ("sdh", "cc")


class Sidecars(NamedTuple):
    """The files next to a video that bear its name."""

    tracks: list[Track]
    """In order of their names; the same subtitles in two formats only once."""
    unread: list[Path]
    """Files that are probably subtitles of the video and are not read."""


def find_sidecars(video: Path) -> Sidecars:
    """Find the subtitle files next to a video or a folder of frames: of the same name, or with languages and marks
    behind it, as Plex, Jellyfin and Bazarr write them (``film.en.forced.srt``, ``film.default.pt-BR.sdh.vtt``)."""
    video = video.absolute() if video.name else video.resolve()  # "." has no name
    name = _comparable(video.name if video.is_dir() else video.stem)
    try:
        files = sorted(file for file in video.parent.iterdir() if file.suffix.lower() in (*SUFFIXES, *PICTURE_SUFFIXES))
    except OSError:  # a folder without permission to list it
        return Sidecars([], [])
    tracks: dict[str, Track] = {}
    unread = []
    files.sort(key=lambda file: (*SUFFIXES, *PICTURE_SUFFIXES).index(file.suffix.lower()))
    for file in files:
        stem = _comparable(file.stem)
        if file == video or not (stem == name or stem.startswith(f"{name}.")):
            continue
        if file.suffix.lower() == ".sub" and file.with_suffix(".idx").exists():
            continue  # not MicroDVD, but the pictures to that index
        track = _track(file, stem[len(name) :])
        if file.suffix.lower() in SUFFIXES and track is not None:
            tracks.setdefault(file.stem, track)
        elif file.stem not in tracks:
            unread.append(file)
    return Sidecars(sorted(tracks.values(), key=lambda track: track.name), unread)


def _comparable(name: str) -> str:
    """A name whatever its case and however its accents are written, which systems change as they copy."""
    return unicodedata.normalize("NFC", name).casefold()


def _track(file: Path, marks: str) -> Track | None:
    """The track of a file with these marks behind the video's name, such as ``.en.sdh``; None for other words."""
    words = [word.lower() for word in marks.split(".") if word]
    language, is_default, is_partial, is_hearing_impaired = "", not words, False, False
    for word in words:
        if word == "default":
            is_default = True
        elif word in _PARTIAL:
            is_partial = True
        elif word in _HEARING_IMPAIRED or (word == "hi" and len(words) > 1):  # alone it is Hindi
            is_hearing_impaired = True
        elif language_code(word):
            language = language_code(word)
        elif not word.isdigit():
            return None
    rank = NAMED_DEFAULT if is_default else LIKELY
    return Track(file.name, file, 0, 0, language, rank, is_partial, is_hearing_impaired)
