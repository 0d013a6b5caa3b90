"""Find the subtitle files of a video: next to it, and in folders for subtitles next to it."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from longvideoagent.media.subtitles.file_marks import parse_marks
from longvideoagent.media.subtitles.read import SUFFIXES
from longvideoagent.media.subtitles.tracks import Track

PICTURE_SUFFIXES = (".idx", ".sup")
"""Of subtitles as pictures, which are not read from files."""
SUBTITLE_FOLDERS = ("subs", "subtitles", "sub")
"""Names of folders of subtitles next to videos, in lower case."""
VIDEO_SUFFIXES = frozenset(
    (".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv")
)
"""Of files whose subtitles may lie in the same folder."""
_SEPARATORS = "._- "


class Sidecars(NamedTuple):
    """The subtitle files that belong to a video."""

    tracks: list[Track]
    """In order of their names; the same subtitles in two formats only once."""
    unread: list[str]
    """Names of files that are probably subtitles of the video and are not read."""


class _Candidate(NamedTuple):
    file: Path
    name: str
    """From the folder of the video, for people."""
    marks: str
    """What its name has beyond that of the video."""
    is_in_folder: bool
    """Whether it lies in a folder for subtitles, where names need not repeat that of the video."""


class _Inside(NamedTuple):
    """The files of a folder for subtitles."""

    belonging: list[_Candidate]
    unclear: list[str]
    """Names of files that may belong to any video next to the folder."""


def find_sidecars(video: Path) -> Sidecars:
    """Find the subtitle files of a video or a folder of frames.

    They have its name, or its name with languages and marks behind it, as Plex, Jellyfin, Bazarr and yt-dlp write them
    (``film.en.forced.srt``, ``film.mp4.de.srt``, ``film-en.vtt``), and lie next to it or in a folder ``Subs`` or
    ``Subtitles``. Such a folder may have a folder of the video's name, and one next to a single video belongs to it:
    then a language is enough (``Subs/2_English.srt``).
    """
    video = video.absolute() if video.name else video.resolve()  # "." has no name
    entries = _entries(video.parent)
    others = {
        name for path in entries if path.suffix.lower() in VIDEO_SUFFIXES and path != video for name in _names(path)
    }
    candidates = _next_to(video, entries, others)
    unread: list[str] = []
    for folder in entries:
        if folder.name.lower() in SUBTITLE_FOLDERS and folder != video and folder.is_dir():
            inside = _in_folder(video, folder, others)
            candidates += inside.belonging
            unread += inside.unclear
    candidates.sort(key=lambda one: (*SUFFIXES, *PICTURE_SUFFIXES).index(one.file.suffix.lower()))
    tracks: dict[str, Track] = {}
    for candidate in candidates:
        file, stem = candidate.file, str(candidate.file.with_suffix(""))
        if file.suffix.lower() == ".sub" and file.with_suffix(".idx").exists():
            continue  # not MicroDVD, but the pictures to that index
        track = parse_marks(file, candidate.name, candidate.marks, is_in_folder=candidate.is_in_folder)
        if file.suffix.lower() in SUFFIXES and track is not None:
            tracks.setdefault(stem, track)
        elif stem not in tracks:
            unread.append(candidate.name)
    return Sidecars(sorted(tracks.values(), key=lambda track: track.name), unread)


def _next_to(video: Path, entries: Iterable[Path], others: Collection[str]) -> list[_Candidate]:
    """The files that begin with the video's name, unless they begin with a longer name of another video."""
    names = _names(video)
    found = (
        (file, _marks(file, names))
        for file in entries
        if _is_subtitle(file) and file != video and not _is_of_another(file, names, others)
    )
    return [_Candidate(file, file.name, marks, is_in_folder=False) for file, marks in found if marks is not None]


def _in_folder(video: Path, folder: Path, others: Collection[str]) -> _Inside:
    """The files in a folder for subtitles: those of the video's name, those in a folder of its name, and, without other
    videos next to it, all of them."""
    names = _names(video)
    inside = _Inside([], [])
    for file in _entries(folder):
        name = f"{folder.name}/{file.name}"
        if _is_subtitle(file):
            if _is_of_another(file, names, others):
                continue
            marks = _marks(file, names)
            if marks is not None:
                inside.belonging.append(_Candidate(file, name, marks, is_in_folder=False))
            elif not others and not video.is_dir():
                inside.belonging.append(_Candidate(file, name, file.stem, is_in_folder=True))
            elif not video.is_dir():
                inside.unclear.append(name)
        elif _comparable(file.name) in names and file.is_dir():
            for inner in filter(_is_subtitle, _entries(file)):
                marks = _marks(inner, names) or inner.stem
                inside.belonging.append(_Candidate(inner, f"{name}/{inner.name}", marks, is_in_folder=True))
    return inside


def _is_of_another(file: Path, names: Collection[str], others: Collection[str]) -> bool:
    """Whether a file begins with the name of another video that is longer than any of this one that it begins with."""
    marks, marks_of_other = _marks(file, names), _marks(file, others)
    return marks_of_other is not None and (marks is None or len(marks_of_other) < len(marks))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # a folder without permission to list it
        return []


def _is_subtitle(file: Path) -> bool:
    return file.suffix.lower() in (*SUFFIXES, *PICTURE_SUFFIXES)


def _names(video: Path) -> list[str]:
    """The names that subtitle files of a video begin with, the longest first."""
    return [_comparable(video.name)] if video.is_dir() else [_comparable(video.name), _comparable(video.stem)]


def _marks(file: Path, names: Collection[str]) -> str | None:
    """What a file's name has behind the longest of these names that it begins with; None if it begins with none."""
    stem = _comparable(file.stem)
    name = max((beginning for beginning in _beginnings(stem) if beginning in names), key=len, default=None)
    return None if name is None else stem[len(name) :]


def _beginnings(stem: str) -> list[str]:
    """A name, and what stands before each of the signs that separate its words."""
    return [stem, *(stem[:index] for index, sign in enumerate(stem) if sign in _SEPARATORS)]


def _comparable(name: str) -> str:
    """A name whatever its case and however its accents are written, which systems change as they copy."""
    return unicodedata.normalize("NFC", name).casefold()
