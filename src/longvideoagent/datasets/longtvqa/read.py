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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Timeline
from longvideoagent.datasets.gold import Box, Sample
from longvideoagent.datasets.longtvqa.clips import Episodes
from longvideoagent.datasets.longtvqa.questions import read_boxes, read_questions
from longvideoagent.datasets.longtvqa.texts import last_end_s, read_durations, read_lines, read_texts
from longvideoagent.datasets.records import Problem, Record, RecordFile, gc_paused
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import VIDEO_SUFFIXES, open_reader
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.readers.frame_folder import has_frames
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
            self._timelines[video] = self.episodes.build_timeline(video, lines)
        return self._timelines[video]

    def open_video(self, video: str) -> Video:
        """An episode with its timeline and, if they exist, its frames."""
        timeline = self.timeline(video)
        path = self.episode_video(video)
        reader = open_reader(path) if path is not None else ClipFoldersReader(self.frames, timeline)
        return Video(reader, timeline, "the data set's subtitles", tuple(reader.warnings))


@gc_paused()
def read_longtvqa(folder: Path, split: str = "val") -> LongTVQA:
    """Read one split. Raises DataError if the folder has no such split or a file is cut short."""
    questions = find_questions(folder, split)
    problems: list[Problem] = []
    durations = folder / "clip_durations.json"
    known_durations_s = read_durations(durations, problems) if durations.exists() else {}
    texts = read_texts(folder, set_name(questions), problems)
    ends_s = {name: last_end_s(text) for name, text in texts.items() if name not in known_durations_s}
    episodes = Episodes.of({*texts, *known_durations_s}, known_durations_s, ends_s)
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
