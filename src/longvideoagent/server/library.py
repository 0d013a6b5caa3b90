"""The videos and runs that a server shows: those inside one folder, and what was uploaded.

A video or a run is asked for by an id that stands in the listing, never by a path, so that nothing else can be
reached. Links that lead out of the folder are not followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from longvideoagent.errors import DataError
from longvideoagent.fs import PARTIAL
from longvideoagent.media.readers.base import VIDEO_SUFFIXES
from longvideoagent.media.subtitles import SUFFIXES as SUBTITLE_SUFFIXES
from longvideoagent.media.subtitles import find_sidecar

SUFFIXES = (*VIDEO_SUFFIXES, ".flv", ".m2ts", ".m4v", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".wmv")
MOST_NAMES = 50_000
"""Files and folders that are looked at; a library is no whole disk."""
RESCAN_S = 1.0
RUN_FILES = {"config.json", "questions.jsonl", "traces.jsonl"}
_NUMBERED_JPEG = re.compile(r"\d\.jpe?g$", re.IGNORECASE)
_ID_LENGTH = 16


class Kind(StrEnum):
    """What a video is on the disk."""

    FILE = "file"
    FRAMES = "frames"


class NotHereError(DataError):
    """No video, run or ask has that id."""


@dataclass(frozen=True, slots=True)
class Item:
    """A video or a run of the library."""

    id: str
    name: str
    """Its path inside the library, for people to read."""
    path: Path


@dataclass(frozen=True, slots=True)
class VideoItem(Item):
    """A video file, or a folder of frames."""

    kind: Kind
    bytes: int | None
    """None of a folder of frames."""
    is_upload: bool = False


Listed = TypeVar("Listed", Item, VideoItem)


@dataclass
class Library:
    """What lies in ``root``; ``keep`` is where uploads go, and may lie inside it."""

    root: Path
    keep: Path
    is_cut_short: bool = False
    """Whether the folder holds more than is looked at."""
    _videos: dict[str, VideoItem] = field(default_factory=dict)
    _runs: dict[str, Item] = field(default_factory=dict)
    _scanned_s: float = -RESCAN_S
    """When it was last looked through, on the monotonic clock."""

    @property
    def uploads(self) -> Path:
        """Each upload has a folder of its own in it."""
        return self.keep / "uploads"

    def videos(self) -> list[VideoItem]:
        """Look through the folder; by name."""
        self._scan()
        return sorted(self._videos.values(), key=lambda each: (each.is_upload, each.name.casefold()))

    def runs(self) -> list[Item]:
        """The run folders of evaluations; by name."""
        self._scan()
        return sorted(self._runs.values(), key=lambda each: each.name.casefold())

    def video(self, video_id: str) -> VideoItem:
        """The video of that id. Raises NotHereError where there is none (any more)."""
        if video_id not in self._videos:
            self._scan_if_old()
        return self._checked(self._videos.get(video_id), "video")

    def holds(self, video_id: str) -> bool:
        """Whether the video of that id was there when the folder was last looked through, and still is."""
        item = self._videos.get(video_id)
        return item is not None and item.path.exists()

    def run(self, run_id: str) -> Item:
        """The run of that id. Raises NotHereError where there is none (any more)."""
        if run_id not in self._runs:
            self._scan_if_old()
        return self._checked(self._runs.get(run_id), "run")

    def video_at(self, path: Path) -> VideoItem | None:
        """The video that lies there, or None where that is no video of the library."""
        there = path.absolute().resolve()
        return next((each for each in self.videos() if each.path.resolve() == there), None)

    def named(self, name: str) -> VideoItem:
        """The video of that id or name. Raises NotHereError, which tells the names, where there is none."""
        known = self.videos()
        found = [each for each in known if name in (each.id, each.name)]
        if not found:
            told = ", ".join(each.name for each in known[:20]) or "none"
            raise NotHereError(f"{name!r}: no such video in the library; it holds: {told}")
        return found[0]

    def subtitles(self, item: VideoItem) -> Path | None:
        """The subtitles that were added to it, or those that lie beside it. Raises DataError where the latter lead out
        of the library."""
        beside = find_sidecar(item.path)
        if beside is not None and not self._is_inside(beside):
            raise DataError(f"{item.name}: {beside.name} beside it leads out of the library; copy the file in instead")
        return self.added_subtitles(item) or beside

    def added_subtitles(self, item: VideoItem) -> Path | None:
        """The subtitle file that was uploaded for a video."""
        named = sorted(self.subtitle_folder(item).glob("*"))
        return next((each for each in named if each.suffix in SUBTITLE_SUFFIXES and PARTIAL not in each.name), None)

    def subtitle_folder(self, item: VideoItem) -> Path:
        """Where the subtitle file that was uploaded for a video lies, alone."""
        return self.keep / "subtitles" / item.id

    def redact_paths(self, told: str) -> str:
        """A message with its paths as the library tells them: nobody need know where on the disk it lies."""
        for folder in sorted((self.root, self.keep, self.uploads), key=lambda each: -len(each.parts)):
            told = told.replace(f"{folder}{os.sep}", "")
        return told

    def uploaded(self, path: Path) -> VideoItem:
        """Take in a file that was just written into ``uploads``."""
        item = self._video(self.uploads, path, is_upload=True)
        self._videos = {**self._videos, item.id: item}
        return item

    def _checked(self, item: Listed | None, what: str) -> Listed:
        if item is None or not item.path.exists() or not self._is_inside(item.path):
            raise NotHereError(f"no {what} of that id is in the library; reload the list")
        if isinstance(item, VideoItem) and item.kind is Kind.FRAMES and self._leads_out(item.path):
            raise NotHereError(f"{item.name}: some of its frames lie outside of the library; copy them in")
        return item

    def _leads_out(self, folder: Path) -> bool:
        return any(each.is_symlink() and not self._is_inside(each) for each in folder.iterdir())

    def _scan_if_old(self) -> None:
        """Who asks for what is not there makes the server look for it, but not at every breath."""
        if time.monotonic() - self._scanned_s >= RESCAN_S:
            self._scan()

    def _scan(self) -> None:
        self.is_cut_short = False
        found = [*self._walk(self.root, is_upload=False), *self._walk(self.uploads, is_upload=True)]
        self._videos = {each.id: each for each in found if isinstance(each, VideoItem)}
        self._runs = {each.id: each for each in found if not isinstance(each, VideoItem)}
        self._scanned_s = time.monotonic()

    def _walk(self, root: Path, *, is_upload: bool) -> Iterator[Item]:
        looked_at = 0
        for folder, folders, files in os.walk(root):
            looked_at += len(folders) + len(files)
            if looked_at > MOST_NAMES:
                self.is_cut_short = True
                return
            here = Path(folder)
            folders[:] = sorted(name for name in folders if not name.startswith(".") and here / name != self.keep)
            if set(files) >= RUN_FILES:
                yield Item(_id(root, here, "run"), _name(root, here), here)
            for path in (here / name for name in _videos_of(files)):
                if path.is_file() and (not path.is_symlink() or self._is_inside(path)):
                    yield self._video(root, path, is_upload=is_upload)
            if any(map(_NUMBERED_JPEG.search, files)):
                yield VideoItem(_id(root, here, str(is_upload)), _name(root, here), here, Kind.FRAMES, None)

    def _video(self, root: Path, path: Path, *, is_upload: bool) -> VideoItem:
        shown = _readable(path.name) if is_upload else _name(root, path)
        return VideoItem(_id(root, path, str(is_upload)), shown, path, Kind.FILE, _bytes(path), is_upload)

    def _is_inside(self, path: Path) -> bool:
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # a link that leads to itself
            return False
        return any(real.is_relative_to(folder.resolve()) for folder in (self.root, self.uploads))


def _videos_of(files: Sequence[str]) -> list[str]:
    named = [name for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
    return [name for name in named if f"{PARTIAL}." not in name]


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it has gone meanwhile
        return 0


def _name(root: Path, path: Path) -> str:
    return _readable(root.name if path == root else path.relative_to(root).as_posix())


def _readable(name: str) -> str:
    """Names on a disk may be bytes that are no text."""
    return os.fsencode(name).decode("utf-8", "replace")


def _id(root: Path, path: Path, what: str) -> str:
    """Stable from one start of the server to the next, and no path."""
    told = f"{what}\0{path.relative_to(root).as_posix()}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(told).hexdigest()[:_ID_LENGTH]
