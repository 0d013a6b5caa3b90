"""LVBench: ``video_info.meta.jsonl``, one line a video, with the options inside the question; ``videos/{key}.*``.

The hub has that file in the folder of the set. In the publisher's repository it is in ``data/``, and the script there
downloads the videos to ``scripts/videos/{shard}/{number}.mp4``, each with a JSON file that holds its address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from longvideoagent.core.types import TimeSpan
from longvideoagent.datasets.fields import as_list
from longvideoagent.datasets.records import Record, RecordFile
from longvideoagent.datasets.sets.base import ONLY_SPLIT, VideoDataset, check_split, read_video_dataset
from longvideoagent.datasets.sets.json_subtitles import parse_timestamp
from longvideoagent.datasets.sets.raw_question import RawQuestion, answer_by_letter, strip_letters

MARKERS = ("video_info.meta.jsonl", "data/video_info.meta.jsonl")
ROOTS = (".", "scripts", "script")
_YOUTUBE_KEY = re.compile(r"(?:[?&]v=|youtu\.be/|/(?:embed|shorts)/)([\w-]{6,20})")
_NUMBERED = re.compile(r"\d+")
_BEFORE_OPTION = re.compile(r"\n(?=\s*\([A-J]\))")


def read_lvbench(folder: Path, split: str = ONLY_SPLIT) -> VideoDataset:
    """Read the questions of every video. Raises DataError for an unknown split."""
    check_split(folder, split, (ONLY_SPLIT,))

    def read_record(record: Record) -> Iterator[RawQuestion]:
        entries = record.values.get("qa")
        for entry in entries if isinstance(entries, list) else [{}]:
            yield _read_question(entry if isinstance(entry, dict) else {}, record.values.get("key"))

    path = next((folder / marker for marker in MARKERS if (folder / marker).is_file()), folder / MARKERS[0])
    data = read_video_dataset("LVBench", folder, [RecordFile.read(path)], read_record)
    return replace(data, roots=ROOTS, video_key=_downloaded_key)


def _downloaded_key(video: Path) -> str | None:
    """The key of a video that the publisher's script has downloaded under a number, from the address in the JSON file
    next to it; None for any other file."""
    if _NUMBERED.fullmatch(video.stem) is None:
        return None
    try:
        metadata = json.loads(video.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    match = _YOUTUBE_KEY.search(str(metadata.get("url"))) if isinstance(metadata, dict) else None
    return match[1] if match else None


def _read_question(values: dict[str, object], video: object) -> RawQuestion:
    text, *lettered = _BEFORE_OPTION.split(str(values.get("question") or ""))
    options = strip_letters(lettered)
    answer = answer_by_letter(values.get("answer"), options)
    kind, *_ = as_list(values.get("question_type")) or [values.get("question_type")]
    times = values.get("time_reference")
    spans = read_time_reference(times)
    time_error = f"{str(times)[:40]!r} are not times; the question has none" if times and not spans else ""
    errors = {"answer": answer.error, "time_reference": time_error}
    return RawQuestion(values.get("uid"), text, options, answer.option_index, kind, video, spans, errors)


def read_time_reference(value: object) -> tuple[TimeSpan, ...]:
    """Spans in seconds from ``00:15-00:19``, ``01:02:03-01:02:09``, a moment such as ``00:15``, or several of them
    with commas between; empty if any part is invalid."""
    spans = [_parse_span(part) for part in re.split("[,;]", value)] if isinstance(value, str) else []
    valid = tuple(span for span in spans if span is not None)
    return valid if len(valid) == len(spans) else ()


def _parse_span(text: str) -> TimeSpan | None:
    ends = [parse_timestamp(end) for end in re.split("[-–~]", text)]
    start_s, end_s = ends[0], ends[-1]
    if len(ends) > 2 or start_s is None or end_s is None or start_s > end_s:
        return None
    return TimeSpan(start_s, end_s)
