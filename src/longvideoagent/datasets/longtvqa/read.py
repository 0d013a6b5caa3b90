"""LongTVQA and LongTVQA+ in the layout of their releases (data set cards longvideoagent/LongTVQA and
LongTVQA_plus): one folder with questions, subtitles and, where they are at hand, durations and frames.

===============================  =====================================================================
``*_{split}.json`` or ``.jsonl``  questions: qid, q, a0..a4, answer, ts, episode_name, occur_clip, bbox
``*subtitle_clip_level*``         text of each clip, as one object, or one line or element a clip
``*subtitle_episode_level*``      the same by episode; read where there are none by clip
``clip_durations.json``           seconds of each clip; where it tells none a minute is taken
``clip_subtitles.json``           lines of each clip with times [start, end, text], as ``data build`` writes
``frames/{clip}/{00001}.jpg``     frames at 3 a second
``videos/{episode}.mp4``          films of whole episodes, where there are no frames
===============================  =====================================================================

TVQA's own field names (answer_idx, vid_name) are understood too. Times of a question are those within
its clip, and are moved to the episode's axis here.
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
from longvideoagent.datasets.records import Problem, Record, RecordFile, collector_paused
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import VIDEO_SUFFIXES, open_reader
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.readers.frame_folder import holds_frames
from longvideoagent.media.video import Video


@dataclass
class LongTVQA:
    """One split of a release. ``problems`` tells of every record and file that is not as it should be;
    what cannot be used at all is not among ``samples``."""

    folder: Path
    split: str
    questions: Path
    samples: Sequence[Sample]
    problems: Sequence[Problem]
    episodes: Episodes
    records: Mapping[str, Record] = field(repr=False)
    """What each question was read from, by its id."""
    texts: Mapping[str, Any] = field(repr=False)
    """Of each clip, as the folder holds it: one string, or lines [start, end, text]."""
    _timelines: dict[str, Timeline] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """LongTVQA, or LongTVQA_plus."""
        return set_name(self.questions)

    @property
    def videos(self) -> tuple[str, ...]:
        """The episodes that are asked about, in their order."""
        return tuple(dict.fromkeys(sample.video for sample in self.samples))

    @cached_property
    def frames(self) -> Path | None:
        """The folder of frame folders; None where there is none."""
        found = [path for path in sorted(self.folder.glob("*frames*")) if path.is_dir()]
        return found[0] if found else None

    def film(self, video: str) -> Path | None:
        """The film of an episode none of whose clips has frames; None where there is none."""
        if self.frames is not None and any(holds_frames(self.frames / clip) for clip in self.episodes.clips[video]):
            return None
        return self.films.get(video)

    @cached_property
    def films(self) -> Mapping[str, Path]:
        """Films of whole episodes by their names, whether or not frames come before them."""
        found = sorted((self.folder / "videos").glob("*.*"), reverse=True)
        return {path.stem: path for path in found if path.suffix.lower() in VIDEO_SUFFIXES}

    def boxes(self, sample: Sample) -> tuple[Box, ...] | None:
        """Gold boxes of a question, made when they are asked for: most runs never do. Empty where it has
        none, None where one cannot be used."""
        told = self.records[sample.question.id].values.get("bbox")
        clip = sample.gold.clip or ""
        return read_boxes(told, self.episodes.starts_s[clip], self.episodes.lengths_s[clip])

    def clips(self, video: str) -> Sequence[str]:
        """The labels of an episode's clips."""
        return self.episodes.clips.get(video, ())

    def timeline(self, video: str) -> Timeline:
        """An episode's clips and lines, laid out once. Raises DataError for an unknown episode."""
        if video not in self._timelines:
            if video not in self.episodes.clips:
                raise DataError(f"{self.folder}: no episode {video!r}; is its clips' text missing?")
            lengths_s = self.episodes.lengths_s
            names = self.episodes.clips[video]
            lines = {name: read_lines(self.texts.get(name), lengths_s[name]) for name in names}
            self._timelines[video] = self.episodes.lay_out(video, lines)
        return self._timelines[video]

    def episode(self, video: str) -> Video:
        """An episode made ready to be asked: its timeline, and its frames where they are at hand."""
        timeline = self.timeline(video)
        path = self.film(video)
        film = open_reader(path) if path is not None else ClipFoldersReader(self.frames, timeline)
        return Video(film, timeline, "the data set's subtitles", tuple(film.warnings))


@collector_paused()
def read_longtvqa(folder: Path, split: str = "val") -> LongTVQA:
    """Read one split. Raises DataError where the folder holds no such split or a file breaks off."""
    questions = find_questions(folder, split)
    problems: list[Problem] = []
    durations = folder / "clip_durations.json"
    known_durations_s = read_durations(durations, problems) if durations.exists() else {}
    texts = read_texts(folder, set_name(questions), problems)
    ends_s = {name: last_end_s(text) for name, text in texts.items() if name not in known_durations_s}
    episodes = Episodes.of({*texts, *known_durations_s}, known_durations_s, ends_s)
    problems += [
        Problem(folder, 0, name[:80], "is no clip's name; its text is left out")
        for name in texts
        if name not in episodes.starts_s
    ]
    read = list(read_questions(RecordFile.read(questions), episodes, problems))
    if not read and not problems:
        problems = [Problem(questions, 0, "", "holds no question; get it again")]
    records = {sample.question.id: record for sample, record in read}
    samples = tuple(sample for sample, _ in read)
    return LongTVQA(folder, split, questions, samples, tuple(problems), episodes, records, texts)


def set_name(questions: Path) -> str:
    """LongTVQA, or LongTVQA_plus, as the file of its questions tells."""
    return questions.stem.rpartition("_")[0]


def find_questions(folder: Path, split: str) -> Path:
    """The file of a split's questions. Raises DataError, naming the splits there are, and where two files
    hold the same split."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no folder; give the one that holds the questions and subtitles")
    named: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("LongTVQA*")):
        if path.suffix in (".json", ".jsonl") and "subtitle" not in path.name:
            named.setdefault(path.stem.rpartition("_")[2], []).append(path)
    if split not in named:
        there = f"there are {', '.join(named)}" if named else "give a folder with LongTVQA_plus_val.json or the like"
        raise DataError(f"{folder}: no split {split!r}; {there}")
    if len(named[split]) > 1:
        both = " and ".join(path.name for path in named[split])
        raise DataError(f"{folder}: {both} are of one split; keep each set in a folder of its own")
    return named[split][0]
