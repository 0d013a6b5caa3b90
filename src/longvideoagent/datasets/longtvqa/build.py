"""LongTVQA from TVQA, and LongTVQA+ from TVQA+: clips of about a minute become whole episodes.

All clips of an episode, in the order of segments and clips, make the episode; questions keep their clip
and their times within it, and are told their times on the episode's axis beside (data set cards:
aggregation). The same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.clips import ClipName, Episodes, lead_with_speaker
from longvideoagent.datasets.longtvqa.episode_videos import lengths_by_frames, link_folder, write_films
from longvideoagent.datasets.longtvqa.questions import BROKEN_BOXES, OPTIONS, read_boxes, read_questions
from longvideoagent.datasets.longtvqa.texts import read_durations
from longvideoagent.datasets.longtvqa.write import (
    Lines,
    as_json,
    listed,
    read_json,
    write_json,
    write_subtitles,
    write_text,
)
from longvideoagent.datasets.records import Problem, Record, RecordFile, finite
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.subtitles import SUFFIXES, read_subtitles
from longvideoagent.progress import Progress, no_progress

MANIFEST = "manifest.json"
WRITTEN = ("LongTVQA*", MANIFEST, "clip_durations.json", "clip_subtitles.json", "videos")
"""What a folder that is built may hold afterwards; its frames are a link."""
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Source:
    """The files a set is built from."""

    questions: Mapping[str, Path]
    """By split."""
    subtitles: Path
    """A folder of {clip}.srt or .vtt, .ass, .ssa, or a JSON file of preprocessed subtitles."""
    durations: Path | None = None
    """Seconds by clip. Where it tells none they are counted from the frames, else guessed by the reader."""
    frames: Path | None = None
    """A folder of {clip}/{00001}.jpg, linked into the set."""


@dataclass(frozen=True, slots=True)
class Built:
    """What was written, and every record that is not as it should be."""

    counts: dict[str, int]
    problems: tuple[Problem, ...]


def build(source: Source, out: Path, *, films: bool = False, progress: Progress = no_progress) -> Built:
    """Write a release-layout folder ``out``; ``films`` adds one mp4 an episode, made from the frames. A file with
    boxes makes LongTVQA+ (a JSON list), others LongTVQA (JSON lines). Raises DataError where an input cannot be
    read, and UsageError where ``out`` holds what was not built of these."""
    problems: list[Problem] = []
    inputs = {"format": FORMAT, "inputs_sha256": _digests(source)}
    _claim(out, inputs)
    if source.frames is not None:
        link_folder(out / "frames", source.frames)
    lines = read_clip_lines(source.subtitles, problems)
    known_durations_s = read_durations(source.durations, problems) if source.durations is not None else {}
    ends_s = {clip: max(line.end_s for line in spoken) for clip, spoken in lines.items() if spoken}
    if source.frames is not None:
        counted_s = lengths_by_frames(source.frames, [clip for clip in lines if clip not in known_durations_s])
        known_durations_s |= {clip: max(length_s, ends_s.get(clip, 0.0)) for clip, length_s in counted_s.items()}
    episodes = Episodes.of(lines.keys() | known_durations_s.keys(), known_durations_s, ends_s)
    problems += _hole_problems(source.subtitles, episodes)
    untold = sum(clip not in known_durations_s for clip in episodes.starts_s)
    silent = sum(not lines.get(clip) for clip in episodes.starts_s)
    counts = {"episodes": len(episodes.clips), "clips": len(episodes.starts_s)}
    counts |= {"clips without a line": silent, "clips without a told duration": untold}
    name = ""
    for place, (split, path) in enumerate(sorted(source.questions.items()), 1):
        rows, is_plus = _read_rows(path, episodes, problems)
        before, name = name, "LongTVQA_plus" if is_plus else "LongTVQA"
        if before not in ("", name):
            raise UsageError(f"{path}: some files have boxes and some have none; build each in a folder of its own")
        write_text(out / f"{name}_{split}.{'json' if is_plus else 'jsonl'}", listed(rows, as_list=is_plus))
        counts[f"{split} questions"] = len(rows)
        progress("building the data set", place / len(source.questions))
    write_subtitles(out, name, episodes.clips, lines)
    write_json(
        out / "clip_durations.json",
        {clip: known_durations_s[clip] for clip in episodes.starts_s if clip in known_durations_s},
    )
    write_json(out / MANIFEST, inputs | {"counts": counts})
    if films and source.frames is not None:
        counts["films"], missing = write_films(out, source.frames, episodes, progress)
        problems += missing
    return Built(counts, tuple(problems))


def _read_rows(path: Path, episodes: Episodes, problems: list[Problem]) -> tuple[list[str], bool]:
    """The questions of a file, each as JSON already since that is smaller, and whether any has boxes."""
    rows, is_plus = [], False
    for sample, record in read_questions(RecordFile.read(path), episodes, problems):
        is_plus |= record.values.get("bbox") is not None
        row = _row(sample, record, episodes)
        if read_boxes(row.get("bbox"), 0.0, episodes.lengths_s[row["occur_clip"]]) is None:
            problems.append(record.problem("bbox", BROKEN_BOXES))
            del row["bbox"]
        rows.append(as_json(row))
    if not rows:
        problems.append(Problem(path, 0, "", "holds no question that can be used"))
    return rows, is_plus


def _row(sample: Sample, record: Record, episodes: Episodes) -> dict[str, Any]:
    """A question in the release's form."""
    values, gold = record.values, sample.gold
    row = {name: values[name] for name in ("qid", "q", *OPTIONS) if name in values}
    if gold.option_index is not None:
        row["answer"] = OPTIONS[gold.option_index]
    if gold.clip is not None and gold.start_s is not None and gold.end_s is not None:
        clip_start_s, span_s = episodes.starts_s[gold.clip], (gold.start_s, gold.end_s)
        row["ts"] = [round(time_s - clip_start_s, 3) for time_s in span_s]
        row["episode_ts"] = [round(time_s, 3) for time_s in span_s]
    row |= {"episode_name": sample.video, "occur_clip": gold.clip}
    return row | ({"bbox": values["bbox"]} if values.get("bbox") is not None else {})


def _claim(out: Path, inputs: Mapping[str, object]) -> None:
    """Say what the folder is built of before anything else is written. Raises UsageError where it holds anything of
    what is written here that was not built of just this: no file that somebody has is written over."""
    told = read_json(out / MANIFEST)
    made_of = {name: told.get(name) for name in inputs} if isinstance(told, dict) else {}
    if made_of == inputs:
        return
    there = [path for pattern in WRITTEN for path in sorted(out.glob(pattern))]
    if made_of.get("format") == FORMAT:  # a manifest of ours, of a build that failed if nothing else is there
        there.remove(out / MANIFEST)
    if there:
        fault = "is there already and was not built of these files"
        raise UsageError(f"{there[0]}: {fault}; move it away or choose another --out")
    write_json(out / MANIFEST, inputs)


def _hole_problems(path: Path, episodes: Episodes) -> Iterator[Problem]:
    for episode in episodes.clips:
        if missing := episodes.missing_clips(episode):
            told = f"{len(missing)} of {episode} are missing ({missing[0]} first); what follows them is put too early"
            yield Problem(path, 0, "clips", told)


def split_names(questions: Sequence[Path]) -> dict[str, Path]:
    """Files by the split that their names tell: train, val or test. Raises UsageError where one is not there or
    tells none, or two tell the same."""
    named: dict[str, Path] = {}
    for path in questions:
        if not path.is_file():
            raise UsageError(f"{path}: no such file; check the path")
        told = [split for split in ("train", "val", "test") if split in path.stem]
        if len(told) != 1:
            raise UsageError(f"{path}: its name does not tell one split; name it …_train, …_val or …_test")
        if told[0] in named:
            raise UsageError(f"{path}: is of split {told[0]}, as {named[told[0]]} is; give one file of each split")
        named[told[0]] = path
    return named


def read_clip_lines(path: Path, problems: list[Problem]) -> Lines:
    """The lines of each clip, timed from its start: from a folder of {clip}.srt or the like, or from TVQA's
    preprocessed JSON, {vid_name, sub: [{start, end, text}]} as list or lines. Raises DataError where there are none."""
    told = _of_folder(path, problems) if path.is_dir() else _of_json(RecordFile.read(path), problems)
    lines = dict(told)
    if not lines:
        raise DataError(f"{path}: no subtitles of clips; give a folder of {{clip}}.srt or TVQA's preprocessed JSON")
    return lines


def _of_folder(folder: Path, problems: list[Problem]) -> Iterator[tuple[str, list[Subtitle]]]:
    seen: dict[str, Path] = {}
    for path in _subtitle_files(folder):
        if ClipName.parse(path.stem) is None:
            problems.append(Problem(path, 0, "", "its name is no clip's; it is left out"))
            continue
        if seen.setdefault(path.stem, path) != path:
            problems.append(Problem(path, 0, "", f"is of the clip of {seen[path.stem].name}, which is taken"))
            continue
        lines: list[Subtitle] = []
        if path.stat().st_size:  # clips without a word have empty files
            try:
                lines, repaired = read_subtitles(path)
                problems += (Problem(path, 0, "", told) for told in repaired)
            except DataError as error:
                told = str(error).removeprefix(f"{path}: ")
                problems.append(Problem(path, 0, "", f"{told} (the clip is taken to be without a word)"))
        yield path.stem, [Subtitle(line.start_s, line.end_s, lead_with_speaker(line.text)) for line in lines]


def _subtitle_files(folder: Path) -> list[Path]:
    """In the order of clips, and of several of one clip the likeliest first."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: (path.stem, SUFFIXES.index(path.suffix.lower()), path.name))


def _of_json(file: RecordFile, problems: list[Problem]) -> Iterator[tuple[str, list[Subtitle]]]:
    seen: set[str] = set()
    for record in file.records():
        name, told = record.values.get("vid_name"), record.values.get("sub")
        if not isinstance(name, str) or ClipName.parse(name) is None or not isinstance(told, list):
            problems.append(record.problem("vid_name", "no clip with a list of lines; it is left out"))
            continue
        if name in seen:
            problems.append(record.problem("vid_name", f"{name} stands twice; the first is taken"))
            continue
        seen.add(name)
        lines = [line for each in told if (line := _line(each)) is not None]
        if len(lines) < len(told):
            problems.append(record.problem("sub", f"{len(told) - len(lines)} lines without times or text; left out"))
        yield name, sorted(lines, key=lambda line: line.start_s)
    problems += file.problems


def _line(told: object) -> Subtitle | None:
    if not isinstance(told, dict) or not isinstance(told.get("text"), str) or not told["text"].strip():
        return None
    start_s, end_s = finite(told.get("start")), finite(told.get("end"))
    if start_s is None or end_s is None or not 0 <= start_s <= end_s:
        return None
    return Subtitle(start_s, end_s, lead_with_speaker(" ".join(told["text"].split())))


def _digests(source: Source) -> dict[str, str]:
    """SHA-256 of each file, and of all subtitles of a folder by name."""
    inputs = {**source.questions, "subtitles": source.subtitles}
    inputs |= {"durations": source.durations} if source.durations is not None else {}
    return {what: _digest(path) for what, path in sorted(inputs.items())}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in _subtitle_files(path) if path.is_dir() else [path]:
        try:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror}); check the path") from error
    return digest.hexdigest()
