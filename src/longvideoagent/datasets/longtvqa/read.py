"""LongTVQA and LongTVQA+ in the layout of their releases (data set cards longvideoagent/LongTVQA and
LongTVQA_plus): one folder with questions, subtitles and, if available, durations and frames.

================================  =====================================================================
``*_{split}.json`` or ``.jsonl``  questions: qid, q, a0..a4, answer, ts, episode_name, occur_clip, bbox
``*subtitle*_clip_level*``        text of each clip, as one object, or one line or item a clip
``*subtitle*_episode_level*``     the same by episode; read if there is no file by clip
``clip_durations.json``           seconds of each clip; else by its frames, else assumed
``clip_subtitles.json``           lines of each clip with times [start, end, text], as ``data build`` writes
``*frames*/{clip}/{00001}.jpg``   frames at 3 a second, in any number of folders
``videos/{episode}.mp4``          videos of whole episodes, used if there are no frames
================================  =====================================================================

TVQA's own field names (answer_idx, vid_name) are accepted too. Times of a question are relative to its clip, and
are moved to the axis of the episode here. A clip without durations and frames is assumed to last 90 s.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.core.text import plural
from longvideoagent.core.types import Timeline
from longvideoagent.datasets.base import NO_OPTIONS, CheckReport, ClipCounts, DatasetOptions
from longvideoagent.datasets.fields import lines_left_out
from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.longtvqa.check import (
    clips_of_shows_without_frames,
    episode_video_problems,
    frame_folder_problems,
    missing_clip_problems,
    missing_show_problems,
)
from longvideoagent.datasets.longtvqa.clips import DEFAULT_CLIP_S, ClipName, Episodes
from longvideoagent.datasets.longtvqa.frames import FrameFolders, lengths_by_frames
from longvideoagent.datasets.longtvqa.questions import ParsedBoxes, asked_episodes, read_boxes, read_questions
from longvideoagent.datasets.longtvqa.texts import (
    last_end_s,
    read_durations,
    read_lines,
    read_raw_texts,
    read_texts,
)
from longvideoagent.datasets.records import Problem, Record, RecordFile, gc_paused
from longvideoagent.errors import DataError, as_data_error
from longvideoagent.media.readers.base import VIDEO_SUFFIXES, VideoReader, open_reader
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.readers.frame_folder import has_frames
from longvideoagent.media.subtitles import SUFFIXES
from longvideoagent.media.video import Video

_BOXES = re.compile(rb'"bbox"\s*:\s*[{[]\s*["{]')
"""The beginning of a question's boxes in its file. In a text, the quotes would be escaped."""


@dataclass
class LongTVQA:
    """One split of a release. ``problems`` has every problem of its records and files; an unusable question is not
    among ``samples``."""

    name: str
    """LongTVQA, LongTVQA_plus, or another set with clips of TVQA."""
    folder: Path
    split: str
    questions_file: Path
    samples: Sequence[Sample]
    problems: Sequence[Problem]
    episodes: Episodes
    records: Mapping[str, Record] = field(repr=False)
    """The record of each question, by question id."""
    texts: Mapping[str, Any] = field(repr=False)
    """The text of each clip, as the folder has it: one string, or a list of lines."""
    frames: FrameFolders = field(default_factory=FrameFolders, repr=False)
    options: DatasetOptions = field(default_factory=DatasetOptions)
    videos_by_episode: Mapping[str, Path] | None = None
    """The video files of episodes; None: those in the folder ``videos``, by their names."""
    _timelines: dict[str, Timeline] = field(default_factory=dict, repr=False)

    @property
    def videos(self) -> tuple[str, ...]:
        """The episodes that have questions, in their order."""
        return tuple(dict.fromkeys(sample.video for sample in self.samples))

    @cached_property
    def raw_texts(self) -> Mapping[str, str]:
        """The published text of each clip. Next to lines with times it is in a file of its own, read on demand."""
        if all(isinstance(text, str) for text in self.texts.values()):
            return self.texts
        texts = read_raw_texts(self.folder, self.name, [])
        return {clip: text for clip, text in texts.items() if isinstance(text, str)}

    def episode_video(self, video: str) -> Path | None:
        """The video file of an episode, or None. None also if one of its clips has frames, which take precedence."""
        folders = (self.frames.by_clip.get(clip) for clip in self.episodes.clips[video])
        if any(folder is not None and has_frames(folder) for folder in folders):
            return None
        return self.episode_videos.get(video)

    @cached_property
    def episode_videos(self) -> Mapping[str, Path]:
        """All video files of whole episodes by episode, whether or not frames take precedence."""
        if self.videos_by_episode is not None:
            return self.videos_by_episode
        files = sorted((self.folder / "videos").glob("*.*"), reverse=True)
        return {path.stem: path for path in files if path.suffix.lower() in VIDEO_SUFFIXES}

    @cached_property
    def has_boxes(self) -> bool:
        """Whether a question has gold boxes: those of LongTVQA+ do, those of LongTVQA do not."""
        return _holds_boxes(self.questions_file)

    def boxes(self, sample: Sample) -> tuple[Box, ...]:
        """The gold boxes of a question, without invalid ones, parsed on demand since most runs do not need them."""
        return self._parsed_boxes(sample).boxes

    def _parsed_boxes(self, sample: Sample) -> ParsedBoxes:
        value = self.records[sample.question.id].values.get("bbox")
        clip = sample.gold.clip
        if clip is None:
            return ParsedBoxes((), {})
        return read_boxes(value, self.episodes.starts_s[clip], self.episodes.max_length_s(clip))

    def clip_labels(self, video: str) -> Sequence[str]:
        """The labels of an episode's clips."""
        return self.episodes.clips.get(video, ())

    def timeline(self, video: str) -> Timeline:
        """The timeline of an episode, built once. Raises DataError for an unknown episode."""
        if video not in self._timelines:
            if video not in self.episodes.clips:
                raise DataError(f"{self.folder}: no episode {video[:80]!r}; is the text of its clips missing?")
            lengths_s = self.episodes.lengths_s
            names = self.episodes.clips[video]
            lines = {name: read_lines(self.texts.get(name), lengths_s[name]) for name in names}
            self._timelines[video] = self.episodes.build_timeline(video, lines, self.raw_texts)
        return self._timelines[video]

    def open_video(self, video: str) -> Video:
        """An episode with its timeline and, if they exist, its frames."""
        timeline = self.timeline(video)
        path = self.episode_video(video)
        if path is not None:
            with as_data_error(path):
                reader: VideoReader = open_reader(path)
        else:
            root = next(iter(self.frames.roots), None)
            reader = ClipFoldersReader(root, timeline, self.frames.by_clip)
        return Video(reader, timeline, "the data set's subtitles", tuple(reader.warnings))

    def subtitle_files(self) -> Iterator[Path]:
        """The files of texts and lengths, and the subtitles next to the videos."""
        yield from self.folder.glob("*subtitle*")
        yield self.folder / "clip_durations.json"
        if self.options.subtitles is not None:
            yield self.options.subtitles
        yield from (path for path in (self.folder / "videos").rglob("*") if path.suffix.lower() in SUFFIXES)

    def count_clips(self, videos: Collection[str]) -> ClipCounts:
        """Count the clips of these episodes, and those that have neither readable frames nor a video."""
        without_frames = sum(self._num_clips_without_frames(video) for video in videos)
        return ClipCounts(without_frames, sum(len(self.episodes.clips[video]) for video in videos))

    def check(self) -> CheckReport:
        """See ``Dataset.check``: broken records, invalid times, answers out of range, duplicate ids, clips without text
        or frames, unreadable frames, videos that are cut short."""
        problems = [*self.problems, *self._box_problems(), *self._text_problems(), *self._video_problems()]
        by_field = Counter(problem.field for problem in problems)
        clips = [clip for video in self.videos for clip in self.episodes.clips[video]]
        counts = {
            "questions": len(self.samples),
            "episodes": len(self.videos),
            "clips": len(clips),
            "questions without an answer": sum(not sample.gold.is_known for sample in self.samples),
            "questions without times": sum(sample.gold.start_s is None for sample in self.samples),
            "questions with an ambiguous answer": by_field["options"],
            "answers out of range": by_field["answer"] + by_field["answer_idx"],
            "invalid times": by_field["ts"],
            "missing or duplicate ids": by_field["qid"],
            "questions with boxes": sum(bool(self.boxes(sample)) for sample in self.samples),
            "clips without subtitles": by_field["subtitles"],
            "clips of unknown length": (unknown := sum(clip not in self.episodes.known_durations_s for clip in clips)),
            "seconds assumed for each of them": int(DEFAULT_CLIP_S) if unknown else 0,
            "clips without frames": self.count_clips(self.videos).without_frames,
            "unreadable frames": by_field["frame"],
        }
        return CheckReport(counts, tuple(problems))

    def _num_clips_without_frames(self, video: str) -> int:
        if self.episode_video(video) is not None:
            return 0
        folders = [self.frames.by_clip.get(clip) for clip in self.episodes.clips[video]]
        return sum(folder is None or not has_frames(folder) for folder in folders)

    def _box_problems(self) -> Iterator[Problem]:
        for sample in self.samples:
            boxes = self._parsed_boxes(sample)
            if boxes.num_invalid:
                yield self.records[sample.question.id].problem("bbox", boxes.message)

    def _text_problems(self) -> Iterator[Problem]:
        for video in self.videos:
            yield from missing_clip_problems(self.folder, self.episodes, video)
            for clip in self.timeline(video).clips:
                length_s, text = self.episodes.lengths_s[clip.label], self.texts.get(clip.label)
                if not clip.subtitles:
                    yield Problem(self.folder, 0, "subtitles", f"{clip.label} has no text")
                elif isinstance(text, list) and len(text) > len(clip.subtitles):
                    message = lines_left_out(len(text) - len(clip.subtitles))
                    yield Problem(self.folder, 0, "lines", f"{clip.label}: {message}")
                late = sum(line.start_s > length_s for line in read_lines(text, length_s))
                if late:
                    message = f"{late} {plural('line', late)} after its end ({length_s:.1f} s), moved to the end"
                    yield Problem(self.folder, 0, "lines", f"{clip.label}: {message}")

    def _video_problems(self) -> Iterator[Problem]:
        for video in self.videos:
            if video in self.episode_videos:
                yield from episode_video_problems(self.episode_videos[video], self.timeline(video).duration_s)
        if repeated := self.frames.repeated:
            message = f"{len(repeated)} clips are in several folders; {self.frames.path(repeated[0])} is the first used"
            yield Problem(self.folder, 0, "frames", message)
        without_video = [video for video in self.videos if self.episode_video(video) is None]
        clips = [clip for video in without_video for clip in self.episodes.clips[video]]
        if self.frames.roots:
            missing = clips_of_shows_without_frames(clips, self.frames.by_clip)
            yield from missing_show_problems(self.folder, missing)
            for clip in (clip for clip in clips if clip not in missing):
                duration_s = self.episodes.known_durations_s.get(clip, 0.0)
                yield from frame_folder_problems(self.frames.path(clip), duration_s)


class ReleaseFiles(NamedTuple):
    """The content of the files of a set with clips of TVQA."""

    name: str
    questions: RecordFile
    texts: Mapping[str, Any]
    """As in ``LongTVQA``."""
    clips: Collection[str] = ()
    """Clips of its episodes that may have no text."""
    videos_by_episode: Mapping[str, Path] | None = None


SYNTHETIC_CONFIG_FILES = ("synthetic.json", "made.json")
"""A file of one of these names says that ``lva data synth`` generated the set in its folder."""
SYNTHETIC_NAME = "synthetic"


@gc_paused()
def read_longtvqa(folder: Path, split: str = "val", options: DatasetOptions = NO_OPTIONS) -> LongTVQA:
    """Read one split. Raises DataError if the folder has no such split or a file is cut short."""
    questions = find_questions(folder, split, options)
    name, problems = set_name(questions), list[Problem]()
    texts = read_texts(folder, name, problems, options.subtitles)
    if any((folder / file).is_file() for file in SYNTHETIC_CONFIG_FILES):
        name = SYNTHETIC_NAME  # the layout of its files is that of LongTVQA+, and nothing else of it
    return assemble(folder, split, ReleaseFiles(name, RecordFile.read(questions), texts), options, problems)


def assemble(
    folder: Path, split: str, files: ReleaseFiles, options: DatasetOptions, problems: list[Problem]
) -> LongTVQA:
    """The data set of these files and of the durations and frames in its folder. ``problems`` are those of the files
    so far. Raises DataError if a file is cut short."""
    frames = FrameFolders.find(folder)
    records = list(files.questions.records())
    episodes = _read_episodes(folder, files, frames, problems)
    problems += [
        Problem(folder, 0, name[:80], "is not the name of a clip; its text is left out")
        for name in files.texts
        if name not in episodes.starts_s
    ]
    problems += _foreign_text_problems(options.subtitles or folder, files, records)
    sourced = list(read_questions(files.questions, episodes, problems, records))
    if not sourced and not problems:
        problems = [Problem(files.questions.path, 0, "", "has no question; download it again")]
    return LongTVQA(
        files.name,
        folder,
        split,
        files.questions.path,
        tuple(sample for sample, _ in sourced),
        tuple(problems),
        episodes,
        {sample.question.id: record for sample, record in sourced},
        files.texts,
        frames,
        options,
        files.videos_by_episode,
    )


def _foreign_text_problems(path: Path, files: ReleaseFiles, records: Sequence[Record]) -> Iterator[Problem]:
    """The problem of subtitles that are of other episodes than all questions."""
    asked = asked_episodes(records)
    names = [name for clip in files.texts if (name := ClipName.parse(clip)) is not None]
    if asked and names and not any(name.episode_name in asked for name in names):
        message = f"the subtitles fit no episode of the questions; give those of {files.name} with --subtitles"
        yield Problem(path, 0, "", message)


def _read_episodes(folder: Path, files: ReleaseFiles, frames: FrameFolders, problems: list[Problem]) -> Episodes:
    """The episodes, with the length of each clip by the durations, else by its frames, else assumed."""
    durations = folder / "clip_durations.json"
    duration_problems: list[Problem] = []
    known_s = read_durations(durations, duration_problems) if durations.exists() else {}
    problems[:0] = duration_problems
    ends_s = {name: last_end_s(text) for name, text in files.texts.items() if name not in known_s}
    names = {*files.texts, *known_s, *files.clips}
    if frames.by_clip:
        counted_s = lengths_by_frames(frames.by_clip, [name for name in names if name not in known_s])
        known_s |= {name: max(length_s, ends_s.get(name, 0.0)) for name, length_s in counted_s.items()}
    return Episodes.from_clip_names(names, known_s, ends_s)


def set_name(questions: Path) -> str:
    """LongTVQA or LongTVQA_plus, from the name of the file of questions."""
    return questions.stem.rpartition("_")[0]


def find_question_files(folder: Path) -> list[Path]:
    """The files of questions of all sets and splits."""
    paths = sorted(folder.glob("LongTVQA*"))
    return [path for path in paths if path.suffix in (".json", ".jsonl") and "subtitle" not in path.name]


def has_gold_boxes(folder: Path, split: str, options: DatasetOptions = NO_OPTIONS) -> bool:
    """Whether a question of the split has gold boxes, without reading the set. Raises DataError as ``find_questions``
    does."""
    return _holds_boxes(find_questions(folder, split, options))


def _holds_boxes(questions: Path) -> bool:
    return _BOXES.search(questions.read_bytes()) is not None


def find_questions(folder: Path, split: str, options: DatasetOptions = NO_OPTIONS) -> Path:
    """The file of a split's questions. Raises DataError for an unknown split or set, and if two sets have the
    split."""
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; give the one that holds the questions and subtitles")
    paths = find_question_files(folder)
    files: dict[str, list[Path]] = {}
    for path in paths:
        if options.selects(set_name(path)):
            files.setdefault(path.stem.rpartition("_")[2], []).append(path)
    if paths and not files:
        sets = ", ".join(dict.fromkeys(map(set_name, paths)))
        raise DataError(f"{folder}: no set {options.data_set!r}; there are {sets}")
    if split not in files:
        hint = f"there are {', '.join(files)}" if files else "give a folder with LongTVQA_plus_val.json or the like"
        raise DataError(f"{folder}: no split {split!r}; {hint}")
    if len(files[split]) > 1:
        names = " and ".join(path.name for path in files[split])
        of_split = dict.fromkeys(map(set_name, files[split]))
        spellings = (name.lower().replace("_", "-") for name in of_split)
        fix = f"name the set with --data-set {' or '.join(spellings)}" if len(of_split) > 1 else "delete one of them"
        raise DataError(f"{folder}: {names} are the same split; {fix}")
    return files[split][0]
