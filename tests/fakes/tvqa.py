"""Writes small synthetic files in the formats of TVQA and TVQA+, which LongTVQA is built from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fakes.release import CLIPS, DURATIONS, question

LINES = {
    CLIPS[0]: [(1.0, 2.5, "(Mira:)The bakery is closed."), (3.0, 4.0, "(Otto:)Is it?")],
    CLIPS[1]: [(0.5, 2.0, "Here is the red lantern.")],
    CLIPS[2]: [(10.0, 12.0, "We are late.")],
    CLIPS[3]: [],
}


def tvqa_record(number: int, clip: str = CLIPS[1], **changed: Any) -> dict[str, Any]:
    """A record as TVQA writes it."""
    record = question(number, **{"answer": None, "episode_name": None, "occur_clip": None, **changed})
    return {"answer_idx": 1, **record, "vid_name": clip}


def write_srts(folder: Path, clips: dict[str, Any] | None = None) -> Path:
    """Write ``{clip}.srt`` for each clip; lines are (start, end, text)."""
    folder.mkdir()
    for clip, lines in (clips or LINES).items():
        blocks = [
            f"{number}\n00:00:{start:06.3f} --> 00:00:{end:06.3f}\n{text}\n"
            for number, (start, end, text) in enumerate(lines, 1)
        ]
        (folder / f"{clip}.srt").write_text("\n".join(blocks))
    return folder


def write_preprocessed(path: Path, *, as_lines: bool) -> Path:
    """Write TVQA's preprocessed subtitles, as a list or as JSON lines."""
    rows = [
        {"vid_name": clip, "sub": [{"start": start, "end": end, "text": text} for start, end, text in lines]}
        for clip, lines in LINES.items()
    ]
    path.write_text("\n".join(map(json.dumps, rows)) if as_lines else json.dumps(rows))
    return path


def write_questions(path: Path, *records: dict[str, Any], as_lines: bool = False) -> Path:
    """Write a file of questions, as a list or as JSON lines."""
    path.write_text("\n".join(map(json.dumps, records)) if as_lines else json.dumps(list(records)))
    return path


def write_durations(path: Path) -> Path:
    """Write the lengths of all clips."""
    path.write_text(json.dumps(DURATIONS))
    return path
