"""Build LongTVQA from TVQA, and LongTVQA+ from TVQA+: clips of about a minute become whole episodes.

All clips of an episode, ordered by segment and clip, make the episode. Questions keep their clip and their times
within it, and also get their times on the axis of the episode (data set cards: aggregation). The same inputs give the
same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.check import missing_clip_problems
from longvideoagent.datasets.longtvqa.clip_lines import read_clip_lines, subtitle_files
from longvideoagent.datasets.longtvqa.clips import Episodes
from longvideoagent.datasets.longtvqa.episode_videos import link_folder, write_episode_videos
from longvideoagent.datasets.longtvqa.frames import find_clip_folders, lengths_by_frames
from longvideoagent.datasets.longtvqa.questions import OPTIONS, read_boxes, read_questions
from longvideoagent.datasets.longtvqa.texts import read_durations
from longvideoagent.datasets.longtvqa.write import (
    ClipLines,
    join_records,
    read_json,
    to_json,
    write_json,
    write_subtitles,
    write_text,
)
from longvideoagent.datasets.records import Problem, Record, RecordFile
from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.text_encoding import check_encoding
from longvideoagent.progress import Progress, no_progress

MANIFEST = "manifest.json"
OUTPUT_PATTERNS = ("LongTVQA*", MANIFEST, "clip_durations.json", "clip_subtitles.json", "videos")
"""What a build writes; its frames are a link."""
VERSION = 1
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """The files that a set is built from."""

    questions: Mapping[str, Path]
    """By split."""
    subtitles: Path
    """A folder of {clip}.srt, .vtt, .ass or .ssa, or a JSON file of preprocessed subtitles."""
    durations: Path | None = None
    """Seconds by clip. A missing length is counted from the frames, else the reader assumes one."""
    frames: Path | None = None
    """A folder of {clip}/{00001}.jpg, or of such folders; linked into the set."""
    encoding: str | None = None
    """The encoding of the files in a folder of subtitles, as Python names it; None: recognised."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was written, and the problems of the inputs."""

    counts: dict[str, int]
    problems: tuple[Problem, ...]


class _Split(NamedTuple):
    records: list[str]
    """The questions as JSON text, which needs less memory than objects."""
    has_boxes: bool


def build_longtvqa(
    inputs: BuildInputs,
    out: Path,
    *,
    with_videos: bool = False,
    progress: Progress = no_progress,
) -> BuildReport:
    """Write the folder ``out`` in the layout of the releases. Files of questions with boxes make LongTVQA+ (a JSON
    list), others make LongTVQA (JSON lines). ``with_videos`` adds one mp4 an episode, encoded from the frames.

    Raises DataError if an input cannot be read, and UsageError if ``out`` holds files that were not built from these
    inputs.
    """
    problems: list[Problem] = []
    fingerprint = {"version": VERSION, "inputs_sha256": _digest_inputs(inputs)}
    if inputs.encoding is not None:
        fingerprint["encoding"] = check_encoding(inputs.encoding)
    _claim_folder(out, fingerprint)
    if inputs.frames is not None:
        link_folder(out / "frames", inputs.frames)
    lines = read_clip_lines(inputs.subtitles, problems, inputs.encoding)
    episodes = _group_clips(inputs, lines, problems)
    for episode in episodes.clips:
        problems += missing_clip_problems(inputs.subtitles, episodes, episode)
    counts = _count_clips(episodes, lines)
    name = ""
    for number, (split, path) in enumerate(sorted(inputs.questions.items()), 1):
        records, has_boxes = _read_split(path, episodes, problems)
        previous, name = name, "LongTVQA_plus" if has_boxes else "LongTVQA"
        if previous not in ("", name):
            raise UsageError(f"{path}: some files have boxes and some do not; build each in a folder of its own")
        suffix = "json" if has_boxes else "jsonl"
        write_text(out / f"{name}_{split}.{suffix}", join_records(records, as_list=has_boxes))
        counts[f"{split} questions"] = len(records)
        progress("building the data set", number / len(inputs.questions))
    write_subtitles(out, name, episodes.clips, lines)
    known_s = episodes.known_durations_s
    write_json(out / "clip_durations.json", {clip: known_s[clip] for clip in episodes.starts_s if clip in known_s})
    write_json(out / MANIFEST, fingerprint | {"counts": counts})
    if with_videos and inputs.frames is not None:
        written = write_episode_videos(out, inputs.frames, episodes, progress)
        counts["videos"] = written.num_videos
        problems += written.problems
    return BuildReport(counts, tuple(problems))


def _group_clips(inputs: BuildInputs, lines: ClipLines, problems: list[Problem]) -> Episodes:
    """The episodes, with lengths of clips from the durations, else from the frames."""
    known_durations_s = read_durations(inputs.durations, problems) if inputs.durations is not None else {}
    ends_s = {clip: max(line.end_s for line in clip_lines) for clip, clip_lines in lines.items() if clip_lines}
    if inputs.frames is not None:
        unknown = [clip for clip in lines if clip not in known_durations_s]
        counted_s = lengths_by_frames(find_clip_folders(inputs.frames), unknown)
        known_durations_s |= {clip: max(length_s, ends_s.get(clip, 0.0)) for clip, length_s in counted_s.items()}
    return Episodes.from_clip_names(lines.keys() | known_durations_s.keys(), known_durations_s, ends_s)


def _count_clips(episodes: Episodes, lines: ClipLines) -> dict[str, int]:
    return {
        "episodes": len(episodes.clips),
        "clips": len(episodes.starts_s),
        "clips without subtitles": sum(not lines.get(clip) for clip in episodes.starts_s),
        "clips of unknown length": sum(clip not in episodes.known_durations_s for clip in episodes.starts_s),
    }


def _read_split(path: Path, episodes: Episodes, problems: list[Problem]) -> _Split:
    records: list[str] = []
    has_boxes = False
    for sample, record in read_questions(RecordFile.read(path), episodes, problems):
        has_boxes |= record.values.get("bbox") is not None
        row = _to_release_record(sample, record, episodes)
        boxes = read_boxes(row.get("bbox"), 0.0, episodes.max_length_s(row["occur_clip"]))
        if boxes.num_invalid:
            problems.append(record.problem("bbox", boxes.message))
            row["bbox"] = boxes.valid_records
        records.append(to_json(row))
    if not records:
        problems.append(Problem(path, 0, "", "has no usable question"))
    return _Split(records, has_boxes)


def _to_release_record(sample: Sample, record: Record, episodes: Episodes) -> dict[str, Any]:
    """A question with the fields of the release."""
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


def _claim_folder(out: Path, fingerprint: Mapping[str, object]) -> None:
    """Write the fingerprint of the inputs before anything else. Raises UsageError if the folder holds any output that
    was not built from these inputs, so that nobody's files are overwritten."""
    manifest = read_json(out / MANIFEST)
    if not isinstance(manifest, dict):
        manifest = {}
    elif "format" in manifest:  # the name of the version in development builds before 0.1.0
        manifest = {"version": manifest["format"], **manifest}
    existing = {name: manifest.get(name) for name in fingerprint}
    if existing == fingerprint:
        return
    outputs = [path for pattern in OUTPUT_PATTERNS for path in sorted(out.glob(pattern))]
    if existing["version"] == VERSION:  # our own manifest; if nothing else is there, that build failed
        outputs.remove(out / MANIFEST)
    if outputs:
        message = "exists already and was not built from these files"
        raise UsageError(f"{outputs[0]}: {message}; move it away or choose another --out")
    write_json(out / MANIFEST, fingerprint)


def files_by_split(questions: Sequence[Path]) -> dict[str, Path]:
    """Files by the split in their names: train, val or test. Raises UsageError for a missing file, a name without
    one split, and two files of one split."""
    files: dict[str, Path] = {}
    for path in questions:
        if not path.is_file():
            raise UsageError(f"{path}: no such file; check the path")
        splits = [split for split in SPLITS if split in path.stem]
        if len(splits) != 1:
            raise UsageError(f"{path}: its name does not contain one split; name it …_train, …_val or …_test")
        if splits[0] in files:
            raise UsageError(f"{path}: is split {splits[0]}, as {files[splits[0]]} is; give one file of each split")
        files[splits[0]] = path
    return files


def _digest_inputs(inputs: BuildInputs) -> dict[str, str]:
    """SHA-256 of each file, and of all subtitles of a folder in order of their names."""
    paths = {**inputs.questions, "subtitles": inputs.subtitles}
    paths |= {"durations": inputs.durations} if inputs.durations is not None else {}
    return {name: _digest(path) for name, path in sorted(paths.items())}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in subtitle_files(path) if path.is_dir() else [path]:
        try:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror}); check the path") from error
    return digest.hexdigest()
