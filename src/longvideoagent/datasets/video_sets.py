"""Other sets of questions about long videos, in their published annotation formats.

================  =========================================================  ================================
set               annotations                                                videos, subtitles
================  =========================================================  ================================
LongVideoBench    ``lvb_{split}.json``                                       ``videos/``, ``subtitles/*.json``
Video-MME         ``*.parquet`` or ``videomme.json``; long videos alone      ``data/{videoID}.*``, ``subtitle/*.srt``
MLVU              ``json/*.json``, one a task                                ``video/{task}/``
LVBench           ``video_info.meta.jsonl``                                  ``videos/{key}.*``
EgoSchema         ``questions.json``, ``subset_answers.json``                ``videos/{q_uid}.*``
NExT-QA, -GQA     ``{split}.csv``, ``gsub_{split}.json``,                    ``videos/``
                  ``map_vid_vidorID.json``
================  =========================================================  ================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.datasets.longtvqa.questions import read_span
from longvideoagent.datasets.records import Problem, Record, RecordFile, finite
from longvideoagent.datasets.timed_json import open_with_lines
from longvideoagent.errors import DataError
from longvideoagent.media.episode import Episode, open_episode
from longvideoagent.media.video import VIDEO_SUFFIXES
from longvideoagent.types import Question

LETTERS = "ABCDEFGHIJ"
_LETTERED = re.compile(r"^\s*\(?([A-J])[.):]\s*(.*)$", re.DOTALL)


@dataclass(frozen=True)
class VideoSet:
    """One such set. Videos are found by their stem in the folders that the set keeps them in."""

    name: str
    folder: Path
    samples: Sequence[Sample]
    problems: Sequence[Problem]
    starts_s: Mapping[str, float] = field(default_factory=dict)
    """Where a video begins on the axis of its JSON subtitles."""

    def episode(self, video: str) -> Episode:
        """The video, cut into clips. Raises DataError where its file is not at hand."""
        found = sorted(
            path
            for place in ("videos", "data", "video")
            for path in (self.folder / place).rglob(f"{_plain(video)}.*")
            if path.suffix.lower() in VIDEO_SUFFIXES
        )
        if not found:
            raise DataError(
                f"{self.folder}: no video {video!r} in videos/, data/ or video/; get it from its publishers"
            )
        beside = [self.folder / place / f"{found[0].stem}.srt" for place in ("subtitle", "subtitles")]
        timed = [self.folder / "subtitles" / f"{found[0].stem}{ending}.json" for ending in ("_en", "")]
        if subtitles := next((path for path in timed if path.exists()), None):
            return open_with_lines(found[0], subtitles, self.starts_s.get(video, 0.0))
        return open_episode(found[0], next((path for path in beside if path.exists()), None))


def _plain(video: str) -> str:
    """A video's name as a pattern of one file's name: never a path."""
    name = video.rpartition("/")[2]
    return re.sub(r"([*?\[])", r"[\1]", name) if name not in ("", ".", "..") else "[.]"


@dataclass
class _Draft:
    """What a record says of a question, before it is checked."""

    number: object
    text: object
    options: Sequence[object]
    right: int | None
    kind: object
    video: object
    span: tuple[float, float] | None = None
    fault: str = ""
    """What is wrong with its answer, where something is."""


Reader = Callable[[Record], Iterator[_Draft]]


def read_video_set(name: str, files: Sequence[RecordFile], reader: Reader, folder: Path) -> VideoSet:
    """Read records by a set's reader; what cannot be asked is a problem and no sample."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for file in files:
        for record in file.records():
            for draft in reader(record):
                told = _check(draft, seen)
                if told is not None:
                    problems.append(record.problem(*told))
                if told is None or told[0] == "answer":
                    samples.append(_sample(draft))
        problems += file.problems
    return VideoSet(name, folder, samples, problems)


def _check(draft: _Draft, seen: set[str]) -> tuple[str, str] | None:
    """The field that is wrong and why; None where all is well."""
    if not isinstance(draft.text, str) or not draft.text.strip():
        return "question", "no question; it is left out"
    if len(draft.options) < 2 or not all(isinstance(option, str) and option.strip() for option in draft.options):
        return "options", "an option is missing or empty; it is left out"
    if not isinstance(draft.video, str) or not draft.video.strip():
        return "video", "no video; it is left out"
    if draft.number is None or str(draft.number) in seen:
        return "id", f"{draft.number} is no id of its own; it is left out"
    seen.add(str(draft.number))
    return ("answer", draft.fault) if draft.fault else None


def _sample(draft: _Draft) -> Sample:
    options = tuple(str(option).strip() for option in draft.options)
    start_s, end_s = draft.span or (None, None)
    gold = Gold(draft.right, None, start_s, end_s)
    question = Question(str(draft.text).strip(), options, str(draft.number))
    return Sample(question, gold, str(draft.kind or "other"), str(draft.video))


def _by_index(told: object, options: Sequence[object]) -> tuple[int | None, str]:
    """The option of that number, from 0, and what is wrong where there is none."""
    number = finite(told)
    return _found(int(number) if number is not None and number == int(number) else None, told, options)


def _by_letter(told: object, options: Sequence[object]) -> tuple[int | None, str]:
    """The option of that letter, from A."""
    letter = str(told or "").strip().strip("().").upper()
    return _found(LETTERS.find(letter) if len(letter) == 1 else None, told, options)


def _by_text(told: object, options: Sequence[object]) -> tuple[int | None, str]:
    """The option that says just that."""
    return _found(options.index(told) if told in options else None, told, options)


def _found(index: int | None, told: object, options: Sequence[object]) -> tuple[int | None, str]:
    if told is None or told == "":
        return None, ""  # answers are kept back
    if index is not None and 0 <= index < len(options):
        return index, ""
    return None, f"{str(told)[:40]!r} names none of {len(options)} options; mend it"


def _unlettered(options: object) -> list[object]:
    """Options without the letters before them."""
    told = options if isinstance(options, list) else []
    return [found[2] if isinstance(each, str) and (found := _LETTERED.match(each)) else each for each in told]


# --- the sets ------------------------------------------------------------------------------------


def read_longvideobench(folder: Path, split: str) -> VideoSet:
    """LongVideoBench: candidates, correct_choice, video_path."""
    starts_s: dict[str, float] = {}

    def reader(record: Record) -> Iterator[_Draft]:
        values = record.values
        options = list(values.get("candidates") or [])
        right, fault = _by_index(values.get("correct_choice"), options)
        video = str(values.get("video_path") or values.get("video_id") or "").rpartition(".")[0] or values.get(
            "video_id"
        )
        kind = values.get("question_category")
        starts_s[str(video)] = finite(values.get("starting_timestamp_for_subtitles")) or 0.0
        yield _Draft(values.get("id"), values.get("question"), options, right, kind, video, fault=fault)

    read = read_video_set("LongVideoBench", [RecordFile.read(folder / f"lvb_{split}.json")], reader, folder)
    return replace(read, starts_s=starts_s)


def read_videomme(folder: Path, split: str = "long") -> VideoSet:
    """Video-MME; ``split`` is a group of durations: short, medium, long or all. Raises DataError for another."""
    _check_split(folder, split, ("short", "medium", "long", "all"))

    def reader(record: Record) -> Iterator[_Draft]:
        values = record.values
        if split not in ("all", values.get("duration")):
            return
        options = _unlettered(values.get("options"))
        right, fault = _by_letter(values.get("answer"), options)
        video = values.get("videoID") or values.get("video_id")
        number, kind = values.get("question_id"), values.get("task_type")
        yield _Draft(number, values.get("question"), options, right, kind, video, fault=fault)

    parquet = sorted(folder.rglob("*.parquet"))
    file = RecordFile.read_parquet(parquet[0]) if parquet else RecordFile.read(folder / "videomme.json")
    return read_video_set("Video-MME", [file], reader, folder)


def read_mlvu(folder: Path, split: str = "") -> VideoSet:  # noqa: ARG001 (it has one)
    """MLVU's multiple choice: candidates, answer as text, one file a task."""

    def reader(record: Record) -> Iterator[_Draft]:
        values = record.values
        options = list(values.get("candidates") or [])
        right, fault = _by_text(values.get("answer"), options)
        video, kind = str(values.get("video") or "").rpartition(".")[0], values.get("question_type")
        number = values.get("question_id") or f"{kind}-{record.index}"
        yield _Draft(number, values.get("question"), options, right, kind, video, fault=fault)

    files = [RecordFile.read(path) for path in sorted((folder / "json").glob("*.json"))]
    return read_video_set("MLVU", files, reader, folder)


def read_lvbench(folder: Path, split: str = "") -> VideoSet:  # noqa: ARG001 (it has one)
    """LVBench: one line a video, its questions with the options inside their text."""

    def reader(record: Record) -> Iterator[_Draft]:
        told = record.values.get("qa")
        for asked in told if isinstance(told, list) else [{}]:
            asked = asked if isinstance(asked, dict) else {}
            text, *options = re.split(r"\n(?=\s*\([A-J]\))", str(asked.get("question") or ""))
            plain = _unlettered(options)
            right, fault = _by_letter(asked.get("answer"), plain)
            kinds = asked.get("question_type") or ["other"]
            span = read_clock_span(asked.get("time_reference"))
            yield _Draft(asked.get("uid"), text, plain, right, kinds[0], record.values.get("key"), span, fault)

    return read_video_set("LVBench", [RecordFile.read(folder / "video_info.meta.jsonl")], reader, folder)


def read_egoschema(folder: Path, split: str = "subset") -> VideoSet:
    """EgoSchema; ``split`` is subset, the part whose answers are public, or all. Raises DataError for another."""
    _check_split(folder, split, ("subset", "all"))
    public = folder / "subset_answers.json"
    answers = _mapping(public) if split == "all" else RecordFile.read(public).mapping() or {}

    def reader(record: Record) -> Iterator[_Draft]:
        values = record.values
        number = values.get("q_uid")
        if split == "subset" and number not in answers:
            return
        options = [values[name] for name in (f"option {index}" for index in range(5)) if name in values]
        right, fault = _by_index(answers.get(str(number)), options)
        yield _Draft(number, values.get("question"), options, right, "other", number, fault=fault)

    return read_video_set("EgoSchema", [RecordFile.read(folder / "questions.json")], reader, folder)


def read_nextqa(folder: Path, split: str) -> VideoSet:
    """NExT-QA, and NExT-GQA where the times of its answers lie beside."""
    spans = _mapping(folder / f"gsub_{split}.json")
    places = _mapping(folder / "map_vid_vidorID.json")

    def reader(record: Record) -> Iterator[_Draft]:
        values = record.values
        options = [values.get(f"a{index}") for index in range(5)]
        told = values.get("answer")  # a number in NExT-QA, a text in NExT-GQA
        right, fault = (_by_text if told in options else _by_index if finite(told) is not None else _by_text)(
            told, options
        )
        video = str(values.get("video") or values.get("video_id") or "")
        span = _first_span(spans.get(video), str(values.get("qid")))
        file = str(places.get(video, video))
        number, text = f"{video}-{values.get('qid')}", values.get("question")
        yield _Draft(number, text, options, right, values.get("type"), file, span, fault)

    return read_video_set(
        "NExT-GQA" if spans else "NExT-QA", [RecordFile.read_csv(folder / f"{split}.csv")], reader, folder
    )


def _check_split(folder: Path, split: str, there: Sequence[str]) -> None:
    if split not in there:
        raise DataError(f"{folder}: no split {split!r}; there are {', '.join(there)}")


def _mapping(path: Path) -> dict[str, Any]:
    return (RecordFile.read(path).mapping() or {}) if path.exists() else {}


def _first_span(told: object, number: str) -> tuple[float, float] | None:
    """The first of the spans that NExT-GQA tells of a question; None where it tells none that is one."""
    located = told.get("location") if isinstance(told, dict) else None
    spans = located.get(number) if isinstance(located, dict) else None
    return read_span(spans[0]) if isinstance(spans, list) and spans else None


def read_clock_span(told: object) -> tuple[float, float] | None:
    """Seconds of ``00:15-00:19`` or ``01:02:03-01:02:09``; None for anything else."""
    ends = [re.fullmatch(r"\s*(?:(\d+):)?(\d+):(\d+)\s*", end) for end in str(told or "").split("-")]
    if len(ends) != 2 or None in ends:
        return None
    start_s, end_s = (3600.0 * int(end[1] or 0) + 60.0 * int(end[2]) + float(end[3]) for end in ends if end is not None)
    return (start_s, end_s) if start_s <= end_s else None
