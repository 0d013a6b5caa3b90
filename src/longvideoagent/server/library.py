"""The videos and runs that a server shows: those inside one folder, and the uploaded videos.

Videos and runs are addressed by ids from the listing, never by paths, so that nothing else can be reached. Links that
lead out of the folder are not followed.
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
from longvideoagent.media.subtitles import find_sidecars
from longvideoagent.views.run_folder import CONFIG, QUESTIONS, TRACES

SUFFIXES = (*VIDEO_SUFFIXES, ".flv", ".m2ts", ".m4v", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".wmv")
MAX_NAMES = 50_000
"""Files and folders that are scanned; a library is not a whole disk."""
RESCAN_S = 1.0
RUN_FILES = {CONFIG, QUESTIONS, TRACES}
UPLOADS_DIR, SUBTITLES_DIR = "uploads", "subtitles"
NAME_FILE = ".name"
"""Next to an uploaded video: the name that it was renamed to."""
_NUMBERED_JPEG = re.compile(r"\d\.jpe?g$", re.IGNORECASE)
_ID_LENGTH = 16


class VideoKind(StrEnum):
    """What a video is on disk."""

    FILE = "file"
    FRAMES = "frames"


class NotFoundError(DataError):
    """No video, run or job has this id."""


@dataclass(frozen=True, slots=True)
class LibraryItem:
    """A video or a run of the library."""

    id: str
    name: str
    """Its path inside the library, for display."""
    path: Path


@dataclass(frozen=True, slots=True)
class LibraryVideo(LibraryItem):
    """A video file, or a folder of frames."""

    kind: VideoKind
    size_bytes: int | None
    """None for a folder of frames."""
    is_upload: bool = False


LibraryItemT = TypeVar("LibraryItemT", LibraryItem, LibraryVideo)


@dataclass
class Library:
    """The videos and runs in ``root``. Uploads are stored in ``data_dir``, which may be inside ``root``."""

    root: Path
    data_dir: Path
    encoding: str | None = None
    """The encoding of subtitle files, as Python names it; None: recognised."""
    is_truncated: bool = False
    """Whether the folder holds more files than are scanned."""
    _videos: dict[str, LibraryVideo] = field(default_factory=dict)
    _runs: dict[str, LibraryItem] = field(default_factory=dict)
    _scanned_at_s: float = -RESCAN_S
    """On the monotonic clock."""

    @property
    def uploads(self) -> Path:
        """Each upload has its own folder in this one."""
        return self.data_dir / UPLOADS_DIR

    def videos(self) -> list[LibraryVideo]:
        """Scan the folder; the videos by name, uploads last."""
        self._scan()
        return sorted(self._videos.values(), key=lambda item: (item.is_upload, item.name.casefold()))

    def runs(self) -> list[LibraryItem]:
        """Scan the folder; the run folders of evaluations by name."""
        self._scan()
        return sorted(self._runs.values(), key=lambda item: item.name.casefold())

    def get_video(self, video_id: str) -> LibraryVideo:
        """The video of that id. Raises NotFoundError if it does not exist (any more)."""
        if video_id not in self._videos:
            self._scan_if_old()
        return self._checked(self._videos.get(video_id), "video")

    def has_video(self, video_id: str) -> bool:
        """Whether the last scan listed this video, and it still exists."""
        item = self._videos.get(video_id)
        return item is not None and item.path.exists()

    def get_run(self, run_id: str) -> LibraryItem:
        """The run of that id. Raises NotFoundError if it does not exist (any more)."""
        if run_id not in self._runs:
            self._scan_if_old()
        item = self._checked(self._runs.get(run_id), "run")
        self.check_run_files(item)
        return item

    def check_run_files(self, item: LibraryItem) -> None:
        """Raises DataError if a file of a run is a link out of the library."""
        for name in sorted(RUN_FILES):
            path = item.path / name
            if path.is_symlink() and not self._is_inside(path):
                raise DataError(f"{item.name}: {name} is a link out of the library; replace it with a copy")

    def video_at(self, path: Path) -> LibraryVideo | None:
        """The video of that path, or None if the library does not have it."""
        real_path = path.absolute().resolve()
        return next((item for item in self.videos() if item.path.resolve() == real_path), None)

    def find_video(self, name: str) -> LibraryVideo:
        """The video of that id or name. Raises NotFoundError, which lists the names, if there is none."""
        items = self.videos()
        item = next((item for item in items if name in (item.id, item.name)), None)
        if item is None:
            names = ", ".join(item.name for item in items[:20]) or "none"
            raise NotFoundError(f"{name!r}: not a video of the library; it has: {names}")
        return item

    def sidecars(self, item: LibraryVideo) -> list[Path]:
        """The subtitle files next to a video. Raises DataError if one is a link out of the library."""
        files = [track.path for track in find_sidecars(item.path).tracks if track.path is not None]
        for file in files:
            if not self._is_inside(file):
                raise DataError(
                    f"{item.name}: {file.name} next to it is a link out of the library; replace it with a copy"
                )
        return files

    def uploaded_subtitles(self, item: LibraryVideo) -> Path | None:
        """The subtitle file that was uploaded for a video, or None."""
        paths = sorted(self.subtitle_folder(item).glob("*"))
        return next((path for path in paths if path.suffix in SUBTITLE_SUFFIXES and PARTIAL not in path.name), None)

    def subtitle_folder(self, item: LibraryVideo) -> Path:
        """The folder that holds the uploaded subtitle file of a video and nothing else."""
        return self.data_dir / SUBTITLES_DIR / item.id

    def redact_paths(self, message: str) -> str:
        """Make the paths in a message relative to the library: clients do not learn where it is on disk."""
        for folder in sorted((self.root, self.data_dir, self.uploads), key=lambda path: -len(path.parts)):
            message = message.replace(f"{folder}{os.sep}", "")
        return message

    def add_upload(self, path: Path) -> LibraryVideo:
        """Add a file that was just written to ``uploads``."""
        item = self._video_item(self.uploads, path, is_upload=True)
        self._videos = {**self._videos, item.id: item}
        return item

    def forget(self, item: LibraryVideo) -> None:
        """Remove a video that was just deleted."""
        self._videos = {video_id: each for video_id, each in self._videos.items() if video_id != item.id}

    def _checked(self, item: LibraryItemT | None, noun: str) -> LibraryItemT:
        if item is None or not item.path.exists() or not self._is_inside(item.path):
            raise NotFoundError(f"no {noun} of the library has this id; reload the list")
        if isinstance(item, LibraryVideo) and item.kind is VideoKind.FRAMES and self._has_links_out(item.path):
            raise NotFoundError(
                f"{item.name}: some of its frames are links out of the library; replace them with copies"
            )
        return item

    def _has_links_out(self, folder: Path) -> bool:
        return any(path.is_symlink() and not self._is_inside(path) for path in folder.iterdir())

    def _scan_if_old(self) -> None:
        """An unknown id makes the server scan the folder, but not for every request."""
        if time.monotonic() - self._scanned_at_s >= RESCAN_S:
            self._scan()

    def _scan(self) -> None:
        self.is_truncated = False
        items = [*self._walk(self.root, is_upload=False), *self._walk(self.uploads, is_upload=True)]
        self._videos = {item.id: item for item in items if isinstance(item, LibraryVideo)}
        self._runs = {item.id: item for item in items if not isinstance(item, LibraryVideo)}
        self._scanned_at_s = time.monotonic()

    def _walk(self, root: Path, *, is_upload: bool) -> Iterator[LibraryItem]:
        num_names = 0
        for folder_name, subfolders, files in os.walk(root):
            num_names += len(subfolders) + len(files)
            if num_names > MAX_NAMES:
                self.is_truncated = True
                return
            folder = Path(folder_name)
            subfolders[:] = sorted(
                name for name in subfolders if not name.startswith(".") and folder / name != self.data_dir
            )
            if set(files) >= RUN_FILES:
                yield LibraryItem(_id(root, folder, "run"), _name(root, folder), folder)
            for path in (folder / name for name in _video_names(files)):
                if path.is_file() and (not path.is_symlink() or self._is_inside(path)):
                    yield self._video_item(root, path, is_upload=is_upload)
            if any(map(_NUMBERED_JPEG.search, files)):
                yield LibraryVideo(
                    _id(root, folder, str(is_upload)), _name(root, folder), folder, VideoKind.FRAMES, size_bytes=None
                )

    def _video_item(self, root: Path, path: Path, *, is_upload: bool) -> LibraryVideo:
        name = _upload_name(path) if is_upload else _name(root, path)
        return LibraryVideo(_id(root, path, str(is_upload)), name, path, VideoKind.FILE, _size_bytes(path), is_upload)

    def _is_inside(self, path: Path) -> bool:
        try:
            real_path = path.resolve()
        except (OSError, RuntimeError):  # a link to itself
            return False
        return any(real_path.is_relative_to(folder.resolve()) for folder in (self.root, self.uploads))


def _video_names(files: Sequence[str]) -> list[str]:
    names = [name for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
    return [name for name in names if f"{PARTIAL}." not in name]


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed since it was listed
        return 0


def _name(root: Path, path: Path) -> str:
    return _readable(root.name if path == root else path.relative_to(root).as_posix())


def _upload_name(path: Path) -> str:
    try:
        return (path.parent / NAME_FILE).read_text(encoding="utf-8").strip() or _readable(path.name)
    except (OSError, ValueError):  # it was not renamed
        return _readable(path.name)


def _readable(name: str) -> str:
    """File names may contain bytes that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _id(root: Path, path: Path, namespace: str) -> str:
    """The same after a restart of the server; it does not contain the path."""
    key = f"{namespace}\0{path.relative_to(root).as_posix()}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(key).hexdigest()[:_ID_LENGTH]
