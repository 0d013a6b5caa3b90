"""What the readers of all sets share: videos found by name, subtitles next to them, splits, side files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from longvideoagent.datasets.base import CheckReport, ClipCounts
from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.records import Problem, RecordFile
from longvideoagent.datasets.sets.json_subtitles import open_with_json_subtitles, read_json_subtitles
from longvideoagent.datasets.sets.raw_question import RecordReader, read_raw_questions
from longvideoagent.errors import DataError, as_data_error
from longvideoagent.index.open import open_video
from longvideoagent.media.readers.base import VIDEO_SUFFIXES
from longvideoagent.media.subtitles import SUFFIXES, SubtitleOptions, read_subtitles
from longvideoagent.media.video import Video

VIDEO_FOLDERS = ("videos", "data", "video", "NExTVideo", "all_videos")
SUBTITLE_FOLDERS = ("subtitle", "subtitles")
ONLY_SPLIT = "val"
"""The name of the split of a set that has only one."""


@dataclass(frozen=True)
class VideoDataset:
    """One split of such a set. Videos are found by their stem in ``VIDEO_FOLDERS``."""

    name: str
    folder: Path
    samples: Sequence[Sample]
    problems: Sequence[Problem]
    subtitle_offsets_s: Mapping[str, float] = field(default_factory=dict)
    """The start of each video on the axis of its JSON subtitles, in seconds."""
    subtitle_names: Mapping[str, str] = field(default_factory=dict)
    """The file of each video's subtitles in ``SUBTITLE_FOLDERS``, where its questions name it."""
    roots: Sequence[str] = (".",)
    """Where ``VIDEO_FOLDERS`` are searched, as folders inside ``folder``."""
    video_key: Callable[[Path], str | None] | None = None
    """Returns the name by which questions know a video file, where that is not its stem; None: its stem."""
    encoding: str | None = None
    """The encoding of subtitle files, as Python names it; None: recognised."""

    @cached_property
    def _video_files(self) -> Mapping[str, Path]:
        """Video files by stem, or by folder and stem where questions name a video with its folder."""
        files = (path for folder in self._folders(VIDEO_FOLDERS) for path in folder.rglob("*.*"))
        named_folders = {sample.video.rpartition("/")[0] for sample in self.samples}
        videos = [path for path in sorted(files, reverse=True) if path.suffix.lower() in VIDEO_SUFFIXES]
        by_name = {
            f"{path.parent.name}/{path.stem}" if path.parent.name in named_folders else path.stem: path
            for path in videos
        }
        if self.video_key is not None:
            by_name |= {key: path for path in videos if (key := self.video_key(path)) is not None}
        return by_name

    def _folders(self, names: Sequence[str]) -> Iterator[Path]:
        yield from (self.folder / root / name for root in self.roots for name in names)

    def video_file(self, video: str) -> Path | None:
        """The file of a video, or None."""
        return self._video_files.get(video) or self._video_files.get(video.rpartition("/")[2])

    def subtitle_file(self, video: str) -> Path | None:
        """The subtitle file of a video, or None."""
        stem = video.rpartition("/")[2]
        named = self.subtitle_names.get(video)
        named_files = [] if named is None else [self.folder / name / named for name in SUBTITLE_FOLDERS]
        json_files = [self.folder / "subtitles" / f"{stem}{ending}.json" for ending in ("_en", "")]
        srt_files = [self.folder / name / f"{stem}.srt" for name in SUBTITLE_FOLDERS]
        return next(filter(_is_file, (*named_files, *json_files, *srt_files)), None)

    def subtitle_files(self) -> Iterator[Path]:
        """All files with subtitles, in their own folders and next to the videos."""
        yield from self.folder.glob("*subtitle*")
        for name in SUBTITLE_FOLDERS:
            yield from (self.folder / name).rglob("*")
        for folder in self._folders(VIDEO_FOLDERS):
            yield from (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)

    def check(self) -> CheckReport:
        """See ``Dataset.check``. The videos are the publishers', so only their presence is checked."""
        videos = {sample.video for sample in self.samples}
        counts = {
            "questions": len(self.samples),
            "videos": len(videos),
            "questions without an answer": sum(sample.gold.option_index is None for sample in self.samples),
            "missing videos": sum(self.video_file(video) is None for video in videos),
        }
        if self.subtitle_names:
            named = [video for video in self.subtitle_names if video in videos]
            counts["missing subtitles"] = sum(self.subtitle_file(video) is None for video in named)
        return CheckReport(counts, (*self.problems, *self._subtitle_problems()))

    def count_clips(self, _videos: Collection[str]) -> ClipCounts:
        """Zeros: videos have frames everywhere, and clips only once they are open."""
        return ClipCounts(0, 0)

    @property
    def has_boxes(self) -> bool:
        """False: none of these sets publishes boxes."""
        return False

    def boxes(self, _sample: Sample) -> tuple[Box, ...]:
        """None of these sets publishes boxes."""
        return ()

    def _subtitle_problems(self) -> Iterator[Problem]:
        """The problems of all subtitle files that exist."""
        for video in dict.fromkeys(sample.video for sample in self.samples):
            if path := self.subtitle_file(video):
                try:
                    with as_data_error(path):
                        yield from _subtitle_file_problems(path, self.encoding)
                except DataError as error:
                    yield Problem(path, 0, "", str(error).removeprefix(str(path)).partition(": ")[2])

    def clip_labels(self, _video: str) -> None:
        """None: a video is split into clips when it is opened."""
        return

    def open_video(self, video: str) -> Video:
        """Open a video and split it into clips. Raises DataError if its file is missing."""
        path, subtitles = self.video_file(video), self.subtitle_file(video)
        if path is None:
            folders = ", ".join(f"{root}/{name}/".removeprefix("./") for root in self.roots for name in VIDEO_FOLDERS)
            raise DataError(f"{self.folder}: no video {video!r} in {folders}; get it from its publishers")
        with as_data_error(path if subtitles is None else f"{path}, {subtitles}"):
            if subtitles is not None and subtitles.suffix == ".json":
                return open_with_json_subtitles(path, subtitles, self.subtitle_offsets_s.get(video, 0.0))
            files = () if subtitles is None else (subtitles,)
            return open_video(path, SubtitleOptions(files, self.encoding))


def _subtitle_file_problems(path: Path, encoding: str | None) -> Sequence[Problem]:
    if path.suffix == ".json":
        return read_json_subtitles(path).problems
    return [Problem(path, 0, "", message) for message in read_subtitles(path, encoding)[1]]


def _is_file(path: Path) -> bool:
    """Whether a file exists. A name out of an annotation may be one that the system refuses."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_video_dataset(name: str, folder: Path, files: Sequence[RecordFile], reader: RecordReader) -> VideoDataset:
    """Read annotation files with the reader of a set."""
    return VideoDataset(name, folder, *read_raw_questions(files, reader))


def check_split(folder: Path, split: str, splits: Sequence[str]) -> None:
    """Raise DataError for a split that is not one of ``splits``."""
    if split not in splits:
        verb = "is" if len(splits) == 1 else "are"
        raise DataError(f"{folder}: no split {split!r}; there {verb} {', '.join(splits)}")


def read_members(path: Path, problems: list[Problem], *, required: bool = False) -> dict[str, Any]:
    """The members of a JSON object in a file, empty if the file is missing and not ``required``. Its problems are
    added to ``problems``. Raises DataError if it cannot be read."""
    if not required and not path.exists():
        return {}
    file = RecordFile.read(path)
    members = file.members()
    problems += file.problems
    return members
