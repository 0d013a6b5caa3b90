"""NExT-QA and NExT-GQA: ``{split}.csv``, ``gsub_{split}.json`` (times of answers, GQA only) and
``map_vid_vidorID.json``; videos in ``videos/`` or ``NExTVideo/{folder}/``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from longvideoagent.core.types import TimeSpan
from longvideoagent.datasets.fields import read_span
from longvideoagent.datasets.records import Problem, Record, RecordFile
from longvideoagent.datasets.sets.base import VideoDataset, check_split, read_members, read_video_dataset
from longvideoagent.datasets.sets.raw_question import RawQuestion, answer_by_index, answer_by_text


class _GoldSpans(NamedTuple):
    spans: list[TimeSpan]
    error: str
    """What is wrong with them, or an empty text."""


def read_nextqa(folder: Path, split: str) -> VideoDataset:
    """Read NExT-QA, or NExT-GQA if the times of its answers are in the folder. Raises DataError for an unknown
    split."""
    splits = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    check_split(folder, split, list(splits))
    side_problems: list[Problem] = []
    groundings = read_members(folder / f"gsub_{split}.json", side_problems)
    video_paths = read_members(folder / "map_vid_vidorID.json", side_problems)

    def read_record(record: Record) -> Iterator[RawQuestion]:
        values = record.values
        options = [values.get(f"a{index}") for index in range(5)]
        parse_answer = answer_by_index if "video" in values else answer_by_text  # NExT-QA: an index, NExT-GQA: a text
        answer = parse_answer(values.get("answer"), options)
        video, number = str(values.get("video") or values.get("video_id") or ""), str(values.get("qid"))
        spans, span_error = _read_gold_spans(groundings.get(video), number)
        yield RawQuestion(
            f"{video}-{number}",
            values.get("question"),
            options,
            answer.option_index,
            values.get("type"),
            str(video_paths.get(video, video)),
            spans,
            {"answer": answer.error, f"gsub_{split}.json": span_error},
        )

    name = "NExT-GQA" if groundings else "NExT-QA"
    data = read_video_dataset(name, folder, [RecordFile.read_csv(splits[split])], read_record)
    return replace(data, problems=[*side_problems, *data.problems])


def _read_gold_spans(grounding: object, number: str) -> _GoldSpans:
    """The spans that NExT-GQA states for a question of a video."""
    if grounding is None:
        return _GoldSpans([], "")
    locations = grounding.get("location") if isinstance(grounding, dict) else None
    values = locations.get(number, []) if isinstance(locations, dict) else None
    if not isinstance(values, list):
        return _GoldSpans([], f"{str(values)[:40]} are not spans in seconds; the question has no times")
    spans = [read_span(value, clips_start=True) for value in values]
    valid = [span for span in spans if span is not None]
    invalid = [value for value, span in zip(values, spans, strict=True) if span is None]
    if not invalid:
        return _GoldSpans(valid, "")
    left = f"{len(valid)} others are used" if valid else "the question has no times"
    return _GoldSpans(valid, f"{len(invalid)} are not spans in seconds, {str(invalid[0])[:40]} first; {left}")
