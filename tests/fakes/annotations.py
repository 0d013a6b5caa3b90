"""Each other data set in its published annotation format, made up small: one question on the video ``talk``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

OPTIONS = ["red", "green", "blue", "grey", "pink"]
ASKED = {"question": "What colour?"}


def longvideobench(folder: Path, **changed: Any) -> None:
    place = {"video_id": "abc", "video_path": "talk.mp4", "subtitle_path": "talk_en.json", "duration_group": 600}
    record = {**ASKED, **place, "candidates": OPTIONS, "correct_choice": 2, "id": "abc_0", "question_category": "T2A"}
    (folder / "lvb_val.json").write_text(json.dumps([record | changed]))


def videomme(folder: Path, **changed: Any) -> None:
    place = {"video_id": "001", "duration": "long", "domain": "Life", "videoID": "talk", "question_id": "001-1"}
    options = [f"{letter}. {text}" for letter, text in zip("ABCD", OPTIONS, strict=False)]
    record = {**ASKED, **place, "task_type": "Counting", "answer": "C", "options": options}
    other = record | {"duration": "short", "question_id": "002-1"}
    (folder / "videomme").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist([record | changed, other]), folder / "videomme" / "test-00000-of-00001.parquet")


def mlvu(folder: Path, **changed: Any) -> None:
    record = {**ASKED, "video": "talk.mp4", "duration": 480.0, "candidates": OPTIONS[:4], "answer": "blue"}
    (folder / "json").mkdir(exist_ok=True)
    (folder / "json" / "1_plotQA.json").write_text(json.dumps([record | {"question_type": "plotQA"} | changed]))


def lvbench(folder: Path, **changed: Any) -> None:
    text = "What colour?\n(A) red\n(B) green\n(C) blue\n(D) grey"
    asked = {"uid": "0", "question": text, "answer": "C", "question_type": ["entity"], "time_reference": "00:15-01:19"}
    (folder / "video_info.meta.jsonl").write_text(json.dumps({"key": "talk", "type": "sport", "qa": [asked | changed]}))


def egoschema(folder: Path, **changed: Any) -> None:
    options = {f"option {index}": text for index, text in enumerate(OPTIONS)}
    record = {"q_uid": "talk", "google_drive_id": "x", **ASKED, **options}
    answers = {"talk": changed.pop("answer", 2)}
    (folder / "questions.json").write_text(json.dumps([record | changed, record | {"q_uid": "kept back"}]))
    (folder / "subset_answers.json").write_text(json.dumps(answers))


def nextqa(folder: Path, name: str = "video", **changed: Any) -> None:
    options = {f"a{index}": text for index, text in enumerate(OPTIONS)}
    row = {name: "123", "frame_count": 900, **ASKED, "answer": 2, "qid": 7, "type": "CW", **options} | changed
    with (folder / "val.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    (folder / "map_vid_vidorID.json").write_text(json.dumps({"123": "1164/talk"}))


def nextgqa(folder: Path, **changed: Any) -> None:
    nextqa(folder, name="video_id", **{"answer": "blue"} | changed)
    spans = {"123": {"duration": 30, "location": {"7": [[1.5, 4.0], [9, 10]]}}}
    (folder / "gsub_val.json").write_text(json.dumps(spans))
