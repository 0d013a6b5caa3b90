"""The folders of frames of clips, wherever they were unpacked: ``frames/{clip}``, ``bbt_frames/{clip}``,
``frames/bbt_frames/{clip}``, and several of them next to each other, one a show."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    """The clips that are in several of the roots."""

    @classmethod
    def find(cls, folder: Path) -> FrameFolders:
        """The frames in all folders of ``folder`` whose name contains ``frames``."""
        roots = [path for path in sorted(folder.glob("*frames*")) if path.is_dir()]
        by_clip: dict[str, Path] = {}
        repeated: list[str] = []
        for root in roots:
            found = find_clip_folders(root)
            repeated += found.keys() & by_clip.keys()
            by_clip = found | by_clip
        return cls(tuple(roots), by_clip, tuple(sorted(set(repeated))))

    def path(self, clip: str) -> Path:
        """The folder of a clip, or where it is expected if it is missing."""
        return self.by_clip.get(clip) or (self.roots[0] if self.roots else Path("frames")) / clip


def find_clip_folders(folder: Path, max_depth: int = MAX_DEPTH) -> dict[str, Path]:
    """Folders named after a clip, in ``folder`` or up to ``max_depth`` - 1 levels below it. The contents of clips are
    not listed. Raises DataError if the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from error
    by_clip: dict[str, Path] = {}
    for name in folders:
        if ClipName.parse(name) is not None:
            by_clip[name] = folder / name
        elif max_depth > 1:
            by_clip = find_clip_folders(folder / name, max_depth - 1) | by_clip
    return by_clip


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
