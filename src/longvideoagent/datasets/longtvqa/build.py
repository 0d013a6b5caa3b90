"""LongTVQA from TVQA, and LongTVQA+ from TVQA+: clips of about a minute become whole episodes.

All clips of an episode, in the order of segments and clips, make the episode; questions keep their clip
and their times within it, and are told their times on the episode's axis beside (data set cards:
aggregation). The same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longvideoagent.datasets.longtvqa.clips import USUAL_CLIP_S, ClipName, clip_starts, in_order, lay_out
from longvideoagent.datasets.longtvqa.read import OPTIONS, read_span
from longvideoagent.datasets.longtvqa.write import Lines, as_json, listed, write_json, write_subtitles, write_text
from longvideoagent.datasets.records import Problem, Record, RecordFile, finite
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.clip_folders import ClipFolders
from longvideoagent.media.encode import encode_frames
from longvideoagent.media.subtitles import read_subtitles
from longvideoagent.types import Subtitle

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Built:
    """What was written, and every record that could not be used."""

    counts: dict[str, int]
    problems: tuple[Problem, ...]


def build(
    questions: Mapping[str, Path],
    subtitles: Path,
    out: Path,
    durations: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Built:
    """Write a release-layout folder ``out``. ``questions`` names a file for each split, ``subtitles`` is a
    folder of {clip}.srt or a JSON file of preprocessed subtitles, ``durations`` tells seconds by clip, else
    the last line's end is taken. A file with boxes makes LongTVQA+ (a JSON list), others LongTVQA (JSON
    lines). Raises DataError where an input cannot be read."""
    problems: list[Problem] = []
    lines = read_clip_lines(subtitles, problems)
    told_s = _told_durations(durations)
    durations_s = _ends(lines) | told_s
    clips = in_order(lines.keys() | durations_s.keys())
    starts_s = clip_starts(clips, durations_s)
    untold = sum(clip not in told_s for names in clips.values() for clip in names)
    counts = {"episodes": len(clips), "clips": sum(map(len, clips.values())), "clips without a told duration": untold}
    name = "LongTVQA"
    for place, (split, path) in enumerate(sorted(questions.items())):
        rows, is_plus = _read_rows(path, starts_s, problems)
        name = "LongTVQA_plus" if is_plus else "LongTVQA"
        _refuse_other(out, name)
        write_text(out / f"{name}_{split}.{'json' if is_plus else 'jsonl'}", listed(rows, as_list=is_plus))
        counts[f"{split} questions"] = len(rows)
        if progress is not None:
            progress((place + 1) / len(questions))
    write_subtitles(out, name, clips, lines)
    lengths = {clip: durations_s[clip] for names in clips.values() for clip in names}
    write_json(out / "clip_durations.json", lengths)
    inputs = {**questions, "subtitles": subtitles} | ({"durations": durations} if durations is not None else {})
    hashes = {what: _digest(path) for what, path in sorted(inputs.items())}
    write_json(out / MANIFEST, {"format": FORMAT, "inputs_sha256": hashes, "counts": counts})
    return Built(counts, tuple(problems))


def _read_rows(path: Path, starts_s: Mapping[str, float], problems: list[Problem]) -> tuple[list[str], bool]:
    """The questions of a file, each as JSON already since that is smaller, and whether any has boxes."""
    file = RecordFile.read(path)
    rows, is_plus = [], False
    for question in _questions(file, starts_s, problems):
        is_plus |= "bbox" in question
        rows.append(as_json(question))
    problems += file.problems
    if not rows:
        problems.append(Problem(path, 0, "", "holds no question that can be used"))
    return rows, is_plus


def _refuse_other(out: Path, name: str) -> None:
    """Raise UsageError where the folder holds the other set: their subtitles and lengths would mix."""
    there = [path.name for path in out.glob("LongTVQA*")]
    if any(each.startswith("LongTVQA_plus_") != (name == "LongTVQA_plus") for each in there):
        raise UsageError(f"{out}: holds another data set; choose another --out")


def split_names(questions: Sequence[Path]) -> dict[str, Path]:
    """Files by the split that their names tell: train, val or test. Raises UsageError where one tells none or
    two tell the same."""
    named: dict[str, Path] = {}
    for path in questions:
        told = [split for split in ("train", "val", "test") if split in path.stem]
        if len(told) != 1 or told[0] in named:
            raise UsageError(f"{path}: its name does not tell one split of its own; name it …_train, …_val or …_test")
        named[told[0]] = path
    return named


def write_videos(out: Path, frames: Path, progress: Callable[[float], None] | None = None) -> int:
    """One mp4 an episode, from frames in {clip}/{00001}.jpg at 3 a second, so that any video tool works on it.
    Clips without frames are black for as long as they are. Episodes already there are kept; returns how many
    were written."""
    durations_s = json.loads((out / "clip_durations.json").read_text(encoding="utf-8"))
    episodes = in_order(durations_s)
    missing = {name: clips for name, clips in episodes.items() if not (out / "videos" / f"{name}.mp4").exists()}
    (out / "videos").mkdir(exist_ok=True)
    for done, (name, clips) in enumerate(missing.items()):
        timeline = lay_out(clips, durations_s, {})
        encode_frames(ClipFolders(frames, timeline), timeline.duration_s, out / "videos" / f"{name}.mp4")
        if progress is not None:
            progress((done + 1) / len(missing))
    return len(missing)


def _questions(file: RecordFile, starts_s: Mapping[str, float], problems: list[Problem]) -> Iterator[dict[str, Any]]:
    seen: dict[str, int] = {}
    for record in file.records():
        told = _question(record, starts_s)
        if isinstance(told, Problem):
            problems.append(told)
        elif str(told["qid"]) in seen:
            first = file.place_of(seen[str(told["qid"])])
            problems.append(record.problem("qid", f"{told['qid']} stands at {first} already; it is left out"))
        else:
            seen[str(told["qid"])] = record.index
            yield told


def _question(record: Record, starts_s: Mapping[str, float]) -> dict[str, Any] | Problem:
    """A record in the release's form, or what is wrong with it."""
    values = record.values
    name = values.get("vid_name")
    clip = ClipName.parse(name)
    if clip is None or not isinstance(name, str):
        return record.problem("vid_name", f"{str(name)[:80]!r} is no clip's name; it is left out")
    if name not in starts_s:
        return record.problem("vid_name", f"{name} has neither subtitles nor a duration; it is left out")
    texts = {field: values.get(field) for field in ("q", *OPTIONS)}
    empty = [field for field, text in texts.items() if not isinstance(text, str) or not text.strip()]
    if empty or values.get("qid") is None:
        return record.problem(empty[0] if empty else "qid", "missing or empty; it is left out")
    made: dict[str, Any] = {"qid": values["qid"], **texts}
    answer = values.get("answer_idx")
    if answer not in (None, ""):
        index = finite(answer)
        if index is None or index not in range(len(OPTIONS)):
            return record.problem("answer_idx", f"{str(answer)[:40]!r} is none of 0 to 4; it is left out")
        made["answer"] = OPTIONS[int(index)]
    span = read_span(values.get("ts"))
    if span is not None:
        made["ts"] = list(span)
        made["episode_ts"] = [round(starts_s[name] + time_s, 3) for time_s in span]
    made |= {"episode_name": clip.episode_name, "occur_clip": name}
    if "bbox" in values:
        made["bbox"] = values["bbox"]
    return made


def read_clip_lines(path: Path, problems: list[Problem]) -> Lines:
    """The lines of each clip, timed from its start: from a folder of {clip}.srt, or from TVQA's preprocessed
    JSON, {vid_name, sub: [{start, end, text}]} as list or lines. Raises DataError where there are none."""
    told = _of_folder(path, problems) if path.is_dir() else _of_json(RecordFile.read(path), problems)
    lines = dict(told)
    if not lines:
        raise DataError(f"{path}: no subtitles of clips; give a folder of {{clip}}.srt or TVQA's preprocessed JSON")
    return lines


def _of_folder(folder: Path, problems: list[Problem]) -> Iterator[tuple[str, list[Subtitle]]]:
    for path in sorted(folder.glob("*.srt")):
        if ClipName.parse(path.stem) is None:
            problems.append(Problem(path, 0, "", "its name is no clip's; it is left out"))
            continue
        try:
            yield path.stem, read_subtitles(path)[0]
        except DataError:  # clips without a word have empty files
            yield path.stem, []


def _of_json(file: RecordFile, problems: list[Problem]) -> Iterator[tuple[str, list[Subtitle]]]:
    for record in file.records():
        name, told = record.values.get("vid_name"), record.values.get("sub")
        if ClipName.parse(name) is None or not isinstance(told, list):
            problems.append(record.problem("vid_name", "no clip with a list of lines; it is left out"))
            continue
        lines = [line for each in told if (line := _line(each)) is not None]
        if len(lines) < len(told):
            problems.append(record.problem("sub", f"{len(told) - len(lines)} lines without times or text; left out"))
        yield str(name), lines
    problems += file.problems


def _line(told: object) -> Subtitle | None:
    if not isinstance(told, dict) or not isinstance(told.get("text"), str) or not told["text"].strip():
        return None
    start_s, end_s = finite(told.get("start")), finite(told.get("end"))
    if start_s is None or end_s is None or not 0 <= start_s <= end_s:
        return None
    return Subtitle(start_s, end_s, " ".join(told["text"].split()))


def _told_durations(path: Path | None) -> dict[str, float]:
    told = (RecordFile.read(path).mapping() or {}) if path is not None else {}
    return {name: seconds for name, value in told.items() if (seconds := finite(value)) and ClipName.parse(name)}


def _ends(lines: Lines) -> dict[str, float]:
    """Where no length of a clip is told: the end of its last line, or the usual minute."""
    return {name: max((line.end_s for line in spoken), default=USUAL_CLIP_S) for name, spoken in lines.items()}


def _digest(path: Path) -> str:
    """Of a file, or of all subtitles of a folder by name."""
    digest = hashlib.sha256()
    for file in sorted(path.glob("*.srt")) if path.is_dir() else [path]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
