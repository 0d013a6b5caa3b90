"""LVBench: ``video_info.meta.jsonl``, one line a video, with the options inside the question; ``videos/{key}.*``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from longvideoagent.core.types import TimeSpan
from longvideoagent.datasets.fields import as_list
from longvideoagent.datasets.records import Record, RecordFile
from longvideoagent.datasets.sets.base import ONLY_SPLIT, VideoDataset, check_split, read_video_dataset
from longvideoagent.datasets.sets.json_subtitles import parse_timestamp
from longvideoagent.datasets.sets.raw_question import RawQuestion, answer_by_letter, strip_letters

_BEFORE_OPTION = re.compile(r"\n(?=\s*\([A-J]\))")


def read_lvbench(folder: Path, split: str = ONLY_SPLIT) -> VideoDataset:
    """Read the questions of every video. Raises DataError for an unknown split."""
    check_split(folder, split, (ONLY_SPLIT,))

    def read_record(record: Record) -> Iterator[RawQuestion]:
        entries = record.values.get("qa")
        for entry in entries if isinstance(entries, list) else [{}]:
            yield _read_question(entry if isinstance(entry, dict) else {}, record.values.get("key"))

    return read_video_dataset("LVBench", folder, [RecordFile.read(folder / "video_info.meta.jsonl")], read_record)


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
