"""Files of the release layout, each written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longvideoagent.types import Subtitle

Lines = dict[str, list[Subtitle]]
"""The lines of each clip, timed from its start."""


def write_subtitles(out: Path, name: str, clips: Mapping[str, Sequence[str]], lines: Lines) -> None:
    """Text by clip and by episode, as the releases have it, and the lines with their times."""
    texts = {clip: _text(lines.get(clip, ())) for names in clips.values() for clip in names}
    marked = {clip: f"<{clip}>{text}</{clip}>" for clip, text in texts.items()}
    whole = {episode: "\n".join(marked[clip] for clip in names) for episode, names in clips.items()}
    timed = {clip: [[line.start_s, line.end_s, line.text] for line in lines.get(clip, ())] for clip in texts}
    write_json(out / f"{name}_subtitle_clip_level.json", texts)
    write_json(out / f"{name}_subtitle_episode_level.json", whole)
    write_json(out / "clip_subtitles.json", timed)


def _text(lines: Sequence[Subtitle]) -> str:
    return " ".join(line.text.replace(": ", " : ", 1) for line in lines)


def listed(made: Sequence[Mapping[str, Any]], *, as_list: bool) -> str:
    """Records one a line, as a JSON list or as JSON lines."""
    rows = [json.dumps(each, ensure_ascii=False) for each in made]
    return "[\n" + ",\n".join(rows) + "\n]\n" if as_list else "".join(f"{row}\n" for row in rows)


def write_json(path: Path, told: object) -> None:
    """One value, a member a line."""
    write_text(path, json.dumps(told, ensure_ascii=False, indent=0) + "\n")


def write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
