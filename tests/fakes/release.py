"""Writes small synthetic folders in the layout of a LongTVQA+ release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

CLIPS = ("s01e01_seg01_clip_00", "s01e01_seg01_clip_01", "s01e01_seg02_clip_00", "s01e02_seg01_clip_00")
TEXTS = {
    CLIPS[0]: "Mira : The bakery is closed. Otto : Is it? Dr. Lund : It is.",
    CLIPS[1]: "Otto : Here is the red lantern.",
    CLIPS[2]: "Mira : We are late because the bus broke down.",
    CLIPS[3]: "Lena : Another day.",
}
DURATIONS = {CLIPS[0]: 60.0, CLIPS[1]: 50.0, CLIPS[2]: 65.5, CLIPS[3]: 61.0}


def question(number: int = 1, **changed: Any) -> dict[str, Any]:
    """One record of LongTVQA+; a value of None removes the field."""
    record: dict[str, Any] = {
        "qid": number,
        "q": "What does Otto hold ?",
        **{f"a{index}": text for index, text in enumerate(("A rope", "A lantern", "A saw", "A kite", "A book"))},
        "answer": "a1",
        "ts": [2.0, 5.5],
        "episode_name": "s01e01",
        "occur_clip": CLIPS[1],
        "bbox": {"7": [{"img_id": 7, "top": 1, "left": 2, "width": 3, "height": 4, "label": "Otto"}]},
    } | changed
    return {name: value for name, value in record.items() if value is not None}


def some_questions(count: int) -> list[dict[str, Any]]:
    """Questions over all clips, in an order that alternates between the episodes."""
    return [
        question(
            number,
            occur_clip=CLIPS[number % 4],
            episode_name=CLIPS[number % 4][:6],
            q=f"What does Otto hold in scene {number} ?",
        )
        for number in range(count)
    ]


def write_release(folder: Path, records: list[dict[str, Any]] | None = None, split: str = "val") -> Path:
    """A LongTVQA+ folder with these questions."""
    folder.mkdir(exist_ok=True)
    rows = [json.dumps(record) for record in (records if records is not None else [question()])]
    (folder / f"LongTVQA_plus_{split}.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(TEXTS))
    (folder / "clip_durations.json").write_text(json.dumps(DURATIONS))
    return folder


def write_slow_release(tmp_path: Path, count: int) -> Path:
    """A release with enough clips for each question that a run can be interrupted."""
    names = [f"s01e{number // 50 + 1:02}_seg01_clip_{number % 50:02}" for number in range(400)]
    records = [
        question(number, occur_clip=names[number % 400], episode_name=names[number % 400][:6], q=f"What of {number} ?")
        for number in range(count)
    ]
    release = write_release(tmp_path / "data", records)
    texts = {name: f"Mira : number {number}. Otto : A rope. Mira : A saw." for number, name in enumerate(names)}
    (release / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(texts))
    (release / "clip_durations.json").write_text(json.dumps(dict.fromkeys(names, 60.0)))
    return release


def write_frames(folder: Path, count: int = 6) -> None:
    """A few frames a clip, with another shade of grey for each clip."""
    for number, clip in enumerate(CLIPS):
        (folder / clip).mkdir(parents=True)
        for index in range(1, count + 1):
            Image.new("RGB", (64, 48), (40 + 50 * number,) * 3).save(folder / clip / f"{index:05}.jpg")
