"""LongTVQA and LongTVQA+ in the layout of their releases (data set cards longvideoagent/LongTVQA and
LongTVQA_plus): one folder with questions, subtitles and, if available, durations and frames.

===============================  =====================================================================
``*_{split}.json`` or ``.jsonl``  questions: qid, q, a0..a4, answer, ts, episode_name, occur_clip, bbox
``*subtitle_clip_level*``         text of each clip, as one object, or one line or item a clip
``*subtitle_episode_level*``      the same by episode; read if there is no file by clip
``clip_durations.json``           seconds of each clip; a minute is assumed for any other clip
``clip_subtitles.json``           lines of each clip with times [start, end, text], as ``data build`` writes
``frames/{clip}/{00001}.jpg``     frames at 3 a second
``videos/{episode}.mp4``          videos of whole episodes, used if there are no frames
===============================  =====================================================================

TVQA's own field names (answer_idx, vid_name) are accepted too. Times of a question are relative to its clip, and
are moved to the axis of the episode here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Timeline
from longvideoagent.datasets.base import CheckReport, ClipCounts
from longvideoagent.datasets.fields import lines_left_out
from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.longtvqa.check import (
    episode_video_problems,
    frame_folder_problems,
    missing_clip_problems,
    open_frames,
)
from longvideoagent.datasets.longtvqa.clips import Episodes
from longvideoagent.datasets.longtvqa.questions import INVALID_BOXES, read_boxes, read_questions
from longvideoagent.datasets.longtvqa.texts import (
    TIMED_LINES,
    last_end_s,
    read_durations,
    read_lines,
    read_raw_texts,
    read_texts,
)
from longvideoagent.datasets.records import Problem, Record, RecordFile, gc_paused
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import VIDEO_SUFFIXES, open_reader
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.readers.frame_folder import has_frames
from longvideoagent.media.subtitles import SUFFIXES
from longvideoagent.media.video import Video


@dataclass
class LongTVQA:
    """One split of a release. ``problems`` has every problem of its records and files; an unusable question is not
    among ``samples``."""

    folder: Path
    split: str
    questions_file: Path
    samples: Sequence[Sample]
    problems: Sequence[Problem]
    episodes: Episodes
    records: Mapping[str, Record] = field(repr=False)
    """The record of each question, by question id."""
    texts: Mapping[str, Any] = field(repr=False)
    """The text of each clip, as the folder has it: one string, or lines [start, end, text]."""
    _timelines: dict[str, Timeline] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """LongTVQA, or LongTVQA_plus."""
        return set_name(self.questions_file)

    @property
    def videos(self) -> tuple[str, ...]:
        """The episodes that have questions, in their order."""
        return tuple(dict.fromkeys(sample.video for sample in self.samples))

    @cached_property
    def raw_texts(self) -> Mapping[str, str]:
        """The published text of each clip. Next to lines with times it is in a file of its own, read on demand."""
        if (self.folder / TIMED_LINES).exists():
            return read_raw_texts(self.folder, self.name, [])
        return self.texts

    @cached_property
    def frames(self) -> Path | None:
        """The folder of the frame folders, or None."""
        folders = [path for path in sorted(self.folder.glob("*frames*")) if path.is_dir()]
        return folders[0] if folders else None

    def episode_video(self, video: str) -> Path | None:
        """The video file of an episode, or None. None also if one of its clips has frames, which take precedence."""
        if self.frames is not None and any(has_frames(self.frames / clip) for clip in self.episodes.clips[video]):
            return None
        return self.episode_videos.get(video)

    @cached_property
    def episode_videos(self) -> Mapping[str, Path]:
        """All video files of whole episodes by episode, whether or not frames take precedence."""
        files = sorted((self.folder / "videos").glob("*.*"), reverse=True)
        return {path.stem: path for path in files if path.suffix.lower() in VIDEO_SUFFIXES}

    @property
    def has_boxes(self) -> bool:
        """True, although only LongTVQA+ has any."""
        return True

    def boxes(self, sample: Sample) -> tuple[Box, ...] | None:
        """The gold boxes of a question, parsed on demand since most runs do not need them. Empty if it has none, None
        if one is invalid."""
        value = self.records[sample.question.id].values.get("bbox")
        clip = sample.gold.clip or ""
        return read_boxes(value, self.episodes.starts_s[clip], self.episodes.lengths_s[clip])

    def clip_labels(self, video: str) -> Sequence[str]:
        """The labels of an episode's clips."""
        return self.episodes.clips.get(video, ())

    def timeline(self, video: str) -> Timeline:
        """The timeline of an episode, built once. Raises DataError for an unknown episode."""
        if video not in self._timelines:
            if video not in self.episodes.clips:
                raise DataError(f"{self.folder}: no episode {video!r}; is the text of its clips missing?")
            lengths_s = self.episodes.lengths_s
            names = self.episodes.clips[video]
            lines = {name: read_lines(self.texts.get(name), lengths_s[name]) for name in names}
            self._timelines[video] = self.episodes.build_timeline(video, lines, self.raw_texts)
        return self._timelines[video]

    def open_video(self, video: str) -> Video:
        """An episode with its timeline and, if they exist, its frames."""
        timeline = self.timeline(video)
        path = self.episode_video(video)
        reader = open_reader(path) if path is not None else ClipFoldersReader(self.frames, timeline)
        return Video(reader, timeline, "the data set's subtitles", tuple(reader.warnings))

    def subtitle_files(self) -> Iterator[Path]:
        """The files of texts and lengths, and the subtitles next to the videos."""
        yield from self.folder.glob("*subtitle*")
        yield self.folder / "clip_durations.json"
        yield from (path for path in (self.folder / "videos").rglob("*") if path.suffix.lower() in SUFFIXES)

    def count_clips(self, videos: Collection[str]) -> ClipCounts:
        """Count the clips of these episodes, and those that have neither a folder of frames nor a video."""
        clips = [(video, clip) for video in videos for clip in self.timeline(video).clips]
        is_seen = {video: self.episode_video(video) is not None for video in videos}
        without_frames = sum(
            not is_seen[video] and (self.frames is None or not (self.frames / clip.label).is_dir())
            for video, clip in clips
        )
        return ClipCounts(without_frames, len(clips))

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
            "questions without an answer": sum(sample.gold.option_index is None for sample in self.samples),
            "questions without times": sum(sample.gold.start_s is None for sample in self.samples),
            "questions with an ambiguous answer": by_field["options"],
            "answers out of range": by_field["answer"] + by_field["answer_idx"],
            "invalid times": by_field["ts"],
            "missing or duplicate ids": by_field["qid"],
            "questions with boxes": sum(bool(self.boxes(sample)) for sample in self.samples),
            "clips without subtitles": by_field["subtitles"],
            "clips of unknown length": sum(clip not in self.episodes.known_durations_s for clip in clips),
            "clips without frames": sum(self._num_clips_without_frames(video) for video in self.videos),
            "unreadable frames": by_field["frame"],
        }
        return CheckReport(counts, tuple(problems))

    def _num_clips_without_frames(self, video: str) -> int:
        """The number of clips of an episode that have neither readable frames nor a video."""
        if self.episode_video(video) is not None:
            return 0
        return sum(
            self.frames is None or open_frames(self.frames / clip) is None for clip in self.episodes.clips[video]
        )

    def _box_problems(self) -> Iterator[Problem]:
        for sample in self.samples:
            if self.boxes(sample) is None:
                yield self.records[sample.question.id].problem("bbox", INVALID_BOXES)

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
                    message = (
                        f"{clip.label}: {late} lines begin after it ends ({length_s:.1f} s) and are moved to its end"
                    )
                    yield Problem(self.folder, 0, "lines", message)

    def _video_problems(self) -> Iterator[Problem]:
        for video in self.videos:
            if video in self.episode_videos:
                yield from episode_video_problems(self.episode_videos[video], self.timeline(video).duration_s)
            if self.episode_video(video) is None and self.frames is not None:
                for clip in self.episodes.clips[video]:
                    yield from frame_folder_problems(self.frames / clip, self.episodes.known_durations_s.get(clip, 0.0))


@gc_paused()
def read_longtvqa(folder: Path, split: str = "val") -> LongTVQA:
    """Read one split. Raises DataError if the folder has no such split or a file is cut short."""
    questions = find_questions(folder, split)
    problems: list[Problem] = []
    durations = folder / "clip_durations.json"
    known_durations_s = read_durations(durations, problems) if durations.exists() else {}
    texts = read_texts(folder, set_name(questions), problems)
    ends_s = {name: last_end_s(text) for name, text in texts.items() if name not in known_durations_s}
    episodes = Episodes.from_clip_names({*texts, *known_durations_s}, known_durations_s, ends_s)
    problems += [
        Problem(folder, 0, name[:80], "is not the name of a clip; its text is left out")
        for name in texts
        if name not in episodes.starts_s
    ]
    sourced = list(read_questions(RecordFile.read(questions), episodes, problems))
    if not sourced and not problems:
        problems = [Problem(questions, 0, "", "has no question; download it again")]
    records = {sample.question.id: record for sample, record in sourced}
    samples = tuple(sample for sample, _ in sourced)
    return LongTVQA(folder, split, questions, samples, tuple(problems), episodes, records, texts)


def set_name(questions: Path) -> str:
    """LongTVQA or LongTVQA_plus, from the name of the file of questions."""
    return questions.stem.rpartition("_")[0]


def find_questions(folder: Path, split: str) -> Path:
    """The file of a split's questions. Raises DataError for an unknown split, and if two files have the same
    split."""
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; give the one that holds the questions and subtitles")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("LongTVQA*")):
        if path.suffix in (".json", ".jsonl") and "subtitle" not in path.name:
            files.setdefault(path.stem.rpartition("_")[2], []).append(path)
    if split not in files:
        hint = f"there are {', '.join(files)}" if files else "give a folder with LongTVQA_plus_val.json or the like"
        raise DataError(f"{folder}: no split {split!r}; {hint}")
    if len(files[split]) > 1:
        names = " and ".join(path.name for path in files[split])
        raise DataError(f"{folder}: {names} are the same split; keep each set in a folder of its own")
    return files[split][0]
