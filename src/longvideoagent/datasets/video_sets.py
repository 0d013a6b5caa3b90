"""Other sets of questions about long videos, in their published annotation formats.

================  =========================================================  ================================
set               annotations                                                videos, subtitles
================  =========================================================  ================================
LongVideoBench    ``lvb_{split}.json``, ``lvb_{split}_wo_gt.json``           ``videos/``, ``subtitles/*.json``
Video-MME         Parquet with its columns, or ``videomme.json``             ``data/{videoID}.*``, ``subtitle/*.srt``
MLVU              ``json/*.json``, one a task; also under ``MLVU/``          ``video/{task}/``
LVBench           ``video_info.meta.jsonl``                                  ``videos/{key}.*``
EgoSchema         ``questions.json``, ``subset_answers.json``                ``videos/{q_uid}.*``
NExT-QA, -GQA     ``{split}.csv``, ``gsub_{split}.json``,                    ``videos/`` or ``NExTVideo/{folder}/``
                  ``map_vid_vidorID.json``
================  =========================================================  ================================
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from longvideoagent.datasets.gold import Sample, Span
from longvideoagent.datasets.longtvqa.questions import read_span
from longvideoagent.datasets.raw_question import (
    RawQuestion,
    Reader,
    by_index,
    by_letter,
    by_text,
    listed,
    read_drafts,
    unlettered,
)
from longvideoagent.datasets.records import Problem, Record, RecordFile, columns_of, finite
from longvideoagent.datasets.timed_json import open_with_lines, read_clock_spans, read_lines
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import VIDEO_SUFFIXES
from longvideoagent.media.subtitles import read_subtitles
from longvideoagent.media.video import Video, open_video

VIDEO_FOLDERS = ("videos", "data", "video", "NExTVideo")
VIDEOMME_COLUMNS = {"videoID", "question_id", "duration", "question", "options", "answer"}
VIDEOMME_GROUPS = ("short", "medium", "long")
ONLY_SPLIT = "val"
"""What the one split of a set that has no more is called."""


@dataclass(frozen=True)
class VideoSet:
    """One such set. Videos are found by their stem in the folders that the set keeps them in."""

    name: str
    folder: Path
    samples: Sequence[Sample]
    problems: Sequence[Problem]
    starts_s: Mapping[str, float] = field(default_factory=dict)
    """Where a video begins on the axis of its JSON subtitles."""

    @cached_property
    def _files(self) -> Mapping[str, Path]:
        """The videos at hand by the stems of their names, and by folder and stem in a folder that videos of the set
        are told to be in."""
        found = (path for place in VIDEO_FOLDERS for path in (self.folder / place).rglob("*.*"))
        own = {sample.video.rpartition("/")[0] for sample in self.samples}  # what lies in one is of that one alone
        return {
            f"{path.parent.name}/{path.stem}" if path.parent.name in own else path.stem: path
            for path in sorted(found, reverse=True)
            if path.suffix.lower() in VIDEO_SUFFIXES
        }

    def video_file(self, video: str) -> Path | None:
        """None where it is not at hand."""
        return self._files.get(video) or self._files.get(video.rpartition("/")[2])

    def subtitle_file(self, video: str) -> Path | None:
        """None where it has none beside."""
        stem = video.rpartition("/")[2]
        timed = [self.folder / "subtitles" / f"{stem}{ending}.json" for ending in ("_en", "")]
        beside = [self.folder / place / f"{stem}.srt" for place in ("subtitle", "subtitles")]
        return next((path for path in (*timed, *beside) if path.exists()), None)

    def subtitle_problems(self) -> Iterator[Problem]:
        """What is wrong with the subtitles at hand."""
        for video in dict.fromkeys(sample.video for sample in self.samples):
            if path := self.subtitle_file(video):
                try:
                    if path.suffix == ".json":
                        yield from read_lines(path)[1]
                    else:
                        yield from (Problem(path, 0, "", told) for told in read_subtitles(path)[1])
                except DataError as error:
                    yield Problem(path, 0, "", str(error).removeprefix(str(path)).partition(": ")[2])

    def clips(self, _video: str) -> None:
        """A video is cut into clips when it is opened."""
        return

    def episode(self, video: str) -> Video:
        """The video, cut into clips. Raises DataError where its file is not at hand."""
        found, subtitles = self.video_file(video), self.subtitle_file(video)
        if found is None:
            places = ", ".join(f"{place}/" for place in VIDEO_FOLDERS)
            raise DataError(f"{self.folder}: no video {video!r} in {places}; get it from its publishers")
        if subtitles is not None and subtitles.suffix == ".json":
            return open_with_lines(found, subtitles, self.starts_s.get(video, 0.0))
        return open_video(found, subtitles)


def _read(name: str, folder: Path, files: Sequence[RecordFile], reader: Reader) -> VideoSet:
    return VideoSet(name, folder, *read_drafts(files, reader))


def _check_split(folder: Path, split: str, there: Sequence[str]) -> None:
    if split not in there:
        raise DataError(f"{folder}: no split {split!r}; there {'is' if len(there) == 1 else 'are'} {', '.join(there)}")


# --- the sets ------------------------------------------------------------------------------------


def read_longvideobench(folder: Path, split: str) -> VideoSet:
    """LongVideoBench: candidates, correct_choice, video_path. Answers of a split ``wo_gt`` are kept back. Raises
    DataError for a split that is not there."""
    splits = {
        path.stem.removeprefix("lvb_").removesuffix("_wo_gt"): path
        for path in sorted(folder.glob("lvb_*.json"), reverse=True)
    }
    _check_split(folder, split, sorted(splits))
    starts_s: dict[str, float] = {}

    def reader(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        options = listed(values.get("candidates"))
        right, fault = by_index(values.get("correct_choice"), options)
        video = str(values.get("video_path") or "").rpartition(".")[0] or values.get("video_id")
        kind = values.get("question_category")
        starts_s[str(video)] = finite(values.get("starting_timestamp_for_subtitles")) or 0.0
        faults = {"correct_choice": fault}
        yield RawQuestion(values.get("id"), values.get("question"), options, right, kind, video, faults=faults)

    read = _read("LongVideoBench", folder, [RecordFile.read(splits[split])], reader)
    return replace(read, starts_s=starts_s)


def find_videomme(folder: Path) -> list[Path]:
    """Video-MME's files of questions, in their order; tables are known by their columns. Raises DataError for a
    table that cannot be read, and UsageError for one without the extra."""
    if (folder / "videomme.json").exists():
        return [folder / "videomme.json"]
    tables = sorted([*folder.glob("*.parquet"), *folder.glob("*/*.parquet")])
    return [path for path in tables if columns_of(path) >= VIDEOMME_COLUMNS]


def read_videomme(folder: Path, split: str = "long") -> VideoSet:
    """Video-MME; ``split`` is a group of durations: short, medium, long or all. Raises DataError for another."""
    _check_split(folder, split, (*VIDEOMME_GROUPS, "all"))
    ungrouped: list[Problem] = []

    def reader(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        group = values.get("duration")
        if group not in VIDEOMME_GROUPS:
            told = f"{str(group)[:40]!r} is none of {', '.join(VIDEOMME_GROUPS)}; the question is of split all alone"
            ungrouped.append(record.problem("duration", told))
        if split not in ("all", group):
            return
        options = unlettered(values.get("options"))
        right, fault = by_letter(values.get("answer"), options)
        video = values.get("videoID") or values.get("video_id")
        number, kind = values.get("question_id"), values.get("task_type")
        yield RawQuestion(number, values.get("question"), options, right, kind, video, faults={"answer": fault})

    read = {".json": RecordFile.read, ".parquet": RecordFile.read_parquet}
    made = _read("Video-MME", folder, [read[path.suffix](path) for path in find_videomme(folder)], reader)
    return replace(made, problems=[*ungrouped, *made.problems])


def read_mlvu(folder: Path, split: str = ONLY_SPLIT) -> VideoSet:
    """MLVU's multiple choice: candidates, answer as text, one file a task. Open tasks are told once a file. Raises
    DataError for another split than the one."""
    _check_split(folder, split, (ONLY_SPLIT,))
    root = folder / "MLVU" if (folder / "MLVU" / "json").is_dir() else folder
    without_options: Counter[Path] = Counter()

    def reader(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        if "candidates" not in values:
            without_options[record.file.path] += 1
            return
        options = listed(values["candidates"])
        right, fault = by_text(values.get("answer"), options)
        stem, kind = str(values.get("video") or "").rpartition(".")[0], values.get("question_type")
        video = stem and f"{record.file.path.stem}/{stem}"  # names of videos are a task's own
        number = values.get("question_id") or f"{kind}-{record.index}"
        yield RawQuestion(number, values.get("question"), options, right, kind, video, faults={"answer": fault})

    read = _read("MLVU", root, [RecordFile.read(path) for path in sorted((root / "json").glob("*.json"))], reader)
    told = "questions have no options, and only those with options are asked; they are left out"
    open_ended = [Problem(path, 0, "candidates", f"{count} {told}") for path, count in without_options.items()]
    return replace(read, problems=[*read.problems, *open_ended])


def read_lvbench(folder: Path, split: str = ONLY_SPLIT) -> VideoSet:
    """LVBench: one line a video, its questions with the options inside their text. Raises DataError for another
    split than the one."""
    _check_split(folder, split, (ONLY_SPLIT,))

    def reader(record: Record) -> Iterator[RawQuestion]:
        told = record.values.get("qa")
        for asked in told if isinstance(told, list) else [{}]:
            asked = asked if isinstance(asked, dict) else {}
            text, *options = re.split(r"\n(?=\s*\([A-J]\))", str(asked.get("question") or ""))
            plain = unlettered(options)
            right, fault = by_letter(asked.get("answer"), plain)
            kind, *_ = listed(asked.get("question_type")) or [asked.get("question_type")]
            times = asked.get("time_reference")
            spans = read_clock_spans(times)
            untimed = f"{str(times)[:40]!r} are no times; the question has none" if times and not spans else ""
            faults = {"answer": fault, "time_reference": untimed}
            yield RawQuestion(asked.get("uid"), text, plain, right, kind, record.values.get("key"), spans, faults)

    return _read("LVBench", folder, [RecordFile.read(folder / "video_info.meta.jsonl")], reader)


def read_egoschema(folder: Path, split: str = "subset") -> VideoSet:
    """EgoSchema; ``split`` is subset, the part whose answers are public, or all. Raises DataError for another."""
    _check_split(folder, split, ("subset", "all"))
    public = folder / "subset_answers.json"
    beside: list[Problem] = []
    answers = _members(public, beside, needed=split == "subset")

    def reader(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        number = values.get("q_uid")
        if split == "subset" and str(number) not in answers:
            return
        options = [values.get(f"option {index}") for index in range(5)]
        right, fault = by_index(answers.get(str(number)), options)
        yield RawQuestion(number, values.get("question"), options, right, "other", number, faults={"answer": fault})

    read = _read("EgoSchema", folder, [RecordFile.read(folder / "questions.json")], reader)
    return replace(read, problems=[*beside, *read.problems])


def read_nextqa(folder: Path, split: str) -> VideoSet:
    """NExT-QA, and NExT-GQA where the times of its answers lie beside. Raises DataError for a split that is not
    there."""
    splits = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    _check_split(folder, split, list(splits))
    beside: list[Problem] = []
    located = _members(folder / f"gsub_{split}.json", beside)
    places = _members(folder / "map_vid_vidorID.json", beside)

    def reader(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        options = [values.get(f"a{index}") for index in range(5)]
        answered = by_index if "video" in values else by_text  # a number in NExT-QA, a text in NExT-GQA
        right, fault = answered(values.get("answer"), options)
        video = str(values.get("video") or values.get("video_id") or "")
        spans, untimed = _gold_spans(located.get(video), str(values.get("qid")))
        number, file = f"{video}-{values.get('qid')}", str(places.get(video, video))
        faults = {"answer": fault, f"gsub_{split}.json": untimed}
        yield RawQuestion(number, values.get("question"), options, right, values.get("type"), file, spans, faults)

    read = _read("NExT-GQA" if located else "NExT-QA", folder, [RecordFile.read_csv(splits[split])], reader)
    return replace(read, problems=[*beside, *read.problems])


def _members(path: Path, problems: list[Problem], *, needed: bool = False) -> dict[str, Any]:
    """The members of a file, which may be missing where it is not ``needed``."""
    if not needed and not path.exists():
        return {}
    file = RecordFile.read(path)
    members = file.members()
    problems += file.problems
    return members


def _gold_spans(told: object, number: str) -> tuple[list[Span], str]:
    """The spans that NExT-GQA tells of a question of a video, and what is wrong with them where anything is."""
    if told is None:
        return [], ""
    located = told.get("location") if isinstance(told, dict) else None
    spans = located.get(number, []) if isinstance(located, dict) else None
    read = [read_span(span) for span in spans] if isinstance(spans, list) else [None]
    if None in read:
        return [], f"{str(spans)[:40]} are no spans of seconds; the question has no times"
    return [span for span in read if span is not None], ""
