"""The folders of frames of clips, wherever they were unpacked: ``frames/{clip}``, ``bbt_frames/{clip}``,
``frames/bbt_frames/{clip}``, and several of them next to each other, one a show."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.errors import DataError
from longvideoagent.media.readers.frame_folder import duration_of_frames

MAX_DEPTH = 3
"""Levels of folders above the clips: ``frames/frames_hq/bbt_frames/{clip}``."""


@dataclass(frozen=True, slots=True)
class FrameFolders:
    """The folders of a data set that have frames of clips."""

    roots: tuple[Path, ...] = ()
    """The folders directly in the data set's folder."""
    by_clip: Mapping[str, Path] = field(default_factory=dict)
    """The folder of each clip. A clip that is in several is in the first, by name."""
    repeated: tuple[str, ...] = ()
    """The clips that are in several folders."""

    @classmethod
    def find(cls, folder: Path) -> FrameFolders:
        """The frames in all folders of ``folder`` whose name contains ``frames``."""
        roots = [path for path in sorted(folder.glob("*frames*")) if path.is_dir()]
        by_clip: dict[str, Path] = {}
        repeated: set[str] = set()
        for path in chain.from_iterable(map(_iter_clip_folders, roots)):
            if by_clip.setdefault(path.name, path) is not path:
                repeated.add(path.name)
        return cls(tuple(roots), by_clip, tuple(sorted(repeated)))

    def path(self, clip: str) -> Path:
        """The folder of a clip, or where it is expected if it is missing."""
        return self.by_clip.get(clip) or (self.roots[0] if self.roots else Path("frames")) / clip


def find_clip_folders(folder: Path) -> dict[str, Path]:
    """Folders named after a clip, in ``folder`` or up to ``MAX_DEPTH`` - 1 levels below it. The contents of clips are
    not listed. Raises DataError if the folder cannot be read."""
    by_clip: dict[str, Path] = {}
    for path in _iter_clip_folders(folder):
        by_clip.setdefault(path.name, path)
    return by_clip


def _iter_clip_folders(folder: Path, max_depth: int = MAX_DEPTH) -> Iterator[Path]:
    """All of these folders, those on a higher level first."""
    try:
        with os.scandir(folder) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from error
    others = []
    for name in folders:
        if ClipName.parse(name) is not None:
            yield folder / name
        else:
            others.append(name)
    for name in others if max_depth > 1 else ():
        yield from _iter_clip_folders(folder / name, max_depth - 1)


def lengths_by_frames(by_clip: Mapping[str, Path], clips: Iterable[str]) -> dict[str, float]:
    """Seconds of each of these clips that has frames, from the number of its last frame."""
    lengths_s = {}
    for clip in clips:
        if clip in by_clip:
            try:
                lengths_s[clip] = duration_of_frames(by_clip[clip])
            except DataError:  # the folder has no numbered frame; the check reports it
                continue
    return lengths_s
