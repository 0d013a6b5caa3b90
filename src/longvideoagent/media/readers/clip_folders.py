"""Frames of an episode in one folder for each of its clips, as in TVQA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path

from longvideoagent.core.types import Timeline
from longvideoagent.errors import DataError
from longvideoagent.media.frames import MAX_SIDE_PX, Frame
from longvideoagent.media.readers.frame_folder import FrameFolderReader


class ClipFoldersReader:
    """Reads ``{root}/{clip}/{00001}.jpg`` with times on the axis of the whole episode.

    ``folders`` has the folder of each clip if they are in several roots or deeper. Without a root, and in clips
    without a folder, there are no frames; the warnings name such clips."""

    def __init__(self, root: Path | None, timeline: Timeline, folders: Mapping[str, Path] | None = None) -> None:
        self.path = root if root is not None else Path(timeline.clips[0].label)
        self._root = root
        self._paths = folders
        self._timeline = timeline
        self._folders: dict[str, FrameFolderReader | None] = {}

    @property
    def duration_s(self) -> float:
        """The end of the last clip."""
        return self._timeline.duration_s

    @property
    def keyframes_s(self) -> Sequence[float]:
        """The start of each clip."""
        return [clip.start_s for clip in self._timeline.clips]

    @cached_property
    def warnings(self) -> Sequence[str]:
        """Clips without frames."""
        missing = [clip.label for clip in self._timeline.clips if self._folder(clip.label) is None]
        if not missing or self._root is None:
            return []
        return [f"{self._root}: {len(missing)} clips have no frames, {missing[0]} first"]

    @property
    def folders(self) -> list[FrameFolderReader]:
        """The folders that exist, in the order of their clips."""
        folders = (self._folder(clip.label) for clip in self._timeline.clips)
        return [folder for folder in folders if folder is not None]

    @property
    def has_frames(self) -> bool:
        """Whether any clip has frames."""
        return bool(self.folders)

    def frames(self, times_s: Sequence[float], max_side_px: int = MAX_SIDE_PX) -> list[Frame]:
        """Return the stored frames shown at these times; see ``VideoReader.frames``. Times in clips without frames are
        left out."""
        shown: list[Frame] = []
        for clip, inside in groupby(times_s, self._timeline.clip_at):
            folder = self._folder(clip.label)
            if folder is not None:
                stored = folder.frames([time_s - clip.start_s for time_s in inside], max_side_px)
                shifted = {frame: frame.shifted(clip.start_s) for frame in stored}
                shown += [shifted[frame] for frame in stored]
        return shown

    def _folder(self, label: str) -> FrameFolderReader | None:
        if label not in self._folders:
            path = self._path(label)
            try:
                self._folders[label] = FrameFolderReader(path) if path is not None and path.is_dir() else None
            except DataError:  # a folder without a numbered frame
                self._folders[label] = None
        return self._folders[label]

    def _path(self, label: str) -> Path | None:
        if self._paths is not None:
            return self._paths.get(label)
        return self._root / label if self._root is not None else None
