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

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from longvideoagent.datasets.gold import Box, Gold, Sample
from longvideoagent.datasets.longtvqa.clips import USUAL_CLIP_S, ClipName, clip_starts, in_order, lay_out
from longvideoagent.datasets.longtvqa.texts import read_durations, read_lines, read_texts
from longvideoagent.datasets.records import Problem, Record, RecordFile, finite
from longvideoagent.errors import DataError
from longvideoagent.media.clip_folders import ClipFolders
from longvideoagent.media.episode import Episode
from longvideoagent.media.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.media.video import open_video
from longvideoagent.types import Question, Timeline

OPTIONS = tuple(f"a{index}" for index in range(5))
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
KINDS = ("what", "who", "where", "when", "why", "how", "which")
_SPAN = re.compile(r"\s*([\d.]+|nan)\s*-\s*([\d.]+|nan)\s*", re.IGNORECASE)


@dataclass
class LongTVQA:
    """One split of a release. ``problems`` tells of every record and file that is not as it should be;
    what cannot be used at all is not among ``samples``."""

    folder: Path
    split: str
    questions: Path
    samples: Sequence[Sample]
    problems: Sequence[Problem]
    clips: Mapping[str, Sequence[str]]
    """Names of the clips of each episode, in order."""
    durations_s: Mapping[str, float]
    starts_s: Mapping[str, float] = field(repr=False)
    """The second at which each clip begins in its episode."""
    records: Mapping[str, Record] = field(repr=False)
    """What each question was read from, by its id."""
    _texts: Mapping[str, Any] = field(repr=False)
    _timelines: dict[str, Timeline] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """LongTVQA, or LongTVQA_plus."""
        return self.questions.stem.rpartition("_")[0]

    @property
    def videos(self) -> tuple[str, ...]:
        """The episodes that are asked about, in their order."""
        return tuple(dict.fromkeys(sample.video for sample in self.samples))

    @cached_property
    def frames(self) -> Path | None:
        """The folder of frame folders; None where there is none."""
        found = [path for path in sorted(self.folder.glob("*frames*")) if path.is_dir()]
        return found[0] if found else None

    def boxes(self, sample: Sample) -> tuple[Box, ...] | None:
        """Gold boxes of a question, made when they are asked for: most runs never do. Empty where it has
        none, None where one is not whole."""
        told = self.records[sample.question.id].values.get("bbox")
        return read_boxes(told, self.starts_s[sample.gold.clip or ""])

    def text_of(self, clip: str) -> Any:
        """A clip's text as the folder holds it: one string, or lines [start, end, text]."""
        return self._texts.get(clip, "")

    def timeline(self, video: str) -> Timeline:
        """An episode's clips and lines, laid out once. Raises DataError for an unknown episode."""
        if video not in self._timelines:
            if video not in self.clips:
                raise DataError(f"{self.folder}: no episode {video!r}; is its clips' text missing?")
            names = self.clips[video]
            lines = {
                name: read_lines(self._texts.get(name), self.durations_s.get(name, USUAL_CLIP_S)) for name in names
            }
            self._timelines[video] = lay_out(names, self.durations_s, lines)
        return self._timelines[video]

    def episode(self, video: str) -> Episode:
        """An episode made ready to be asked: its timeline, and its frames where they are at hand."""
        timeline = self.timeline(video)
        files = [path for path in sorted((self.folder / "videos").glob(f"{video}.*")) if path.suffix in VIDEO_SUFFIXES]
        film = open_video(files[0]) if files and self.frames is None else ClipFolders(self.frames, timeline)
        return Episode(film, timeline, "the data set's subtitles", tuple(film.warnings))


def read_longtvqa(folder: Path, split: str = "val") -> LongTVQA:
    """Read one split. Raises DataError where the folder holds no such split or a file breaks off."""
    questions = find_questions(folder, split)
    problems: list[Problem] = []
    durations_s = read_durations(folder / "clip_durations.json", problems)
    texts = read_texts(folder, problems)
    clips = in_order({*texts, *durations_s})
    starts_s = clip_starts(clips, durations_s)
    file = RecordFile.read(questions)
    read = list(_samples(file, starts_s, durations_s, problems))
    problems = [*file.problems, *problems]
    if not read and not problems:
        problems = [Problem(questions, 0, "", "holds no question; get it again")]
    records = {sample.question.id: record for sample, record in read}
    samples = tuple(sample for sample, _ in read)
    return LongTVQA(folder, split, questions, samples, tuple(problems), clips, durations_s, starts_s, records, texts)


def find_questions(folder: Path, split: str) -> Path:
    """The file of a split's questions. Raises DataError, naming the splits there are."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no folder; give the one that holds the questions and subtitles")
    named = {
        path.stem.rpartition("_")[2]: path
        for path in sorted(folder.iterdir())
        if path.suffix in (".json", ".jsonl") and "subtitle" not in path.name and path.stem.startswith("LongTVQA")
    }
    if split not in named:
        there = f"there are {', '.join(named)}" if named else "give a folder with LongTVQA_plus_val.json or the like"
        raise DataError(f"{folder}: no split {split!r}; {there}")
    return named[split]


def _samples(
    file: RecordFile, starts_s: Mapping[str, float], durations_s: Mapping[str, float], problems: list[Problem]
) -> Iterator[tuple[Sample, Record]]:
    seen: dict[str, int] = {}
    for record in file.records():
        reader = _Reader(record, starts_s, durations_s, problems)
        sample = reader.sample()
        if sample is None:
            continue
        if sample.question.id in seen:
            first = file.place_of(seen[sample.question.id])
            reader.complain("qid", f"{sample.question.id} stands at {first} already; the record is left out")
            continue
        seen[sample.question.id] = record.index
        yield sample, record


class _UnusableError(Exception):
    """A record that cannot be asked: the field, and what is wrong with it."""


@dataclass
class _Reader:
    """Reads one record, and tells what is wrong with it."""

    record: Record
    starts_s: Mapping[str, float]
    durations_s: Mapping[str, float]
    problems: list[Problem]

    def complain(self, name: str, told: str) -> None:
        self.problems.append(self.record.problem(name, told))

    def sample(self) -> Sample | None:
        """The question and its gold; None where it cannot be asked."""
        try:
            question, clip = self.question(), self.clip()
        except _UnusableError as error:
            self.complain(error.args[0], f"{error.args[1]}; the record is left out")
            return None
        first = question.text.split()[0].lower().strip("'\"")
        told = self.record.values.get("kind")
        kind = told if isinstance(told, str) and told else first if first in KINDS else "other"
        return Sample(question, self.gold(len(question.options)), kind, clip.episode_name)

    def question(self) -> Question:
        values = self.record.values
        text, number = values.get("q"), values.get("qid")
        told = [name for name in OPTIONS if name in values]
        options = [option.strip() for name in told if isinstance(option := values[name], str)]
        if not isinstance(text, str) or not text.strip():
            raise _UnusableError("q", "no question")
        is_gapless = tuple(told) == OPTIONS[: len(told)]  # else the answer would name another option
        if not is_gapless or len(options) < max(2, len(told)) or not all(options):
            raise _UnusableError("a0..a4", "an option is missing or empty")
        if number is None or isinstance(number, dict | list):
            raise _UnusableError("qid", "no id")
        return Question(text.strip(), tuple(options), str(number))

    @property
    def clip_name(self) -> object:
        return self.record.values.get("occur_clip", self.record.values.get("vid_name"))

    def clip(self) -> ClipName:
        clip = ClipName.parse(self.clip_name)
        if clip is None:
            raise _UnusableError("occur_clip", f"{str(self.clip_name)[:80]!r} is no clip's name")
        if self.clip_name not in self.starts_s:
            raise _UnusableError("occur_clip", f"{self.clip_name} has no subtitles here")
        return clip

    def gold(self, option_count: int) -> Gold:
        name = str(self.clip_name)
        span = self.span()
        if span is None:
            return Gold(self.answer(option_count), name)
        clip_start_s = self.starts_s[name]
        return Gold(self.answer(option_count), name, clip_start_s + span[0], clip_start_s + span[1])

    def answer(self, option_count: int) -> int | None:
        """The right option's index; None in a split whose answers are kept back."""
        values = self.record.values
        told = values.get("answer", values.get("answer_idx"))
        if told in OPTIONS[:option_count]:
            return OPTIONS.index(told)
        number = re.fullmatch(r"a?(\d{1,3})", str(told).strip(), re.IGNORECASE)
        if number is not None and int(number[1]) < option_count:
            return int(number[1])
        if told not in (None, ""):
            self.complain("answer", f"{str(told)[:40]!r} is none of a0 to a{option_count - 1}; mend it")
        return None

    def span(self) -> tuple[float, float] | None:
        """Seconds within the clip; None where there are none."""
        told = self.record.values.get("ts")
        span = read_span(told)
        if span is None and told is not None:
            self.complain("ts", f"{str(told)[:40]} is no span of seconds; the question has no times")
        length_s = self.durations_s.get(str(self.clip_name))
        if span is not None and length_s is not None and span[0] > length_s:
            self.complain("ts", f"{str(told)[:40]} begins after the clip ends ({length_s:.1f} s); it has no times")
            return None
        return span


def read_span(told: object) -> tuple[float, float] | None:
    """Two seconds, as ``[48.6, 60.0]`` or ``"48.62-60.02"``; None where there are no such, as in "NaN-NaN"."""
    if isinstance(told, str) and (found := _SPAN.fullmatch(told)):
        told = [found[1], found[2]]
    if not isinstance(told, list) or len(told) != 2:
        return None
    start_s, end_s = finite(told[0]), finite(told[1])
    return (start_s, end_s) if start_s is not None and end_s is not None and 0 <= start_s <= end_s else None


def read_boxes(told: object, clip_start_s: float) -> tuple[Box, ...] | None:
    """The boxes of a record, on the episode's axis; None where one of them is not whole."""
    if told is None:
        return ()
    if not isinstance(told, dict) or not all(isinstance(boxes, list) for boxes in told.values()):
        return None
    made = [_box(box, clip_start_s) for boxes in told.values() for box in boxes]
    whole = tuple(box for box in made if box is not None)
    return whole if len(whole) == len(made) else None


def _box(told: object, clip_start_s: float) -> Box | None:
    if not isinstance(told, dict):
        return None
    numbers = [finite(told.get(name)) for name in ("img_id", "left", "top", "width", "height")]
    kept = [int(number) for number in numbers if number is not None]
    if len(kept) < len(numbers) or not isinstance(told.get("label"), str):
        return None
    frame, left, top, width, height = kept
    return Box(clip_start_s + (frame - 1) / TVQA_FRAMES_PER_S, left, top, width, height, told["label"])
