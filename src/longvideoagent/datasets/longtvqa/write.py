"""Files of the release layout, each written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.longtvqa.clips import lead_with_speaker
from longvideoagent.fs import atomic_path

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
    return " ".join(lead_with_speaker(line.text, " :") for line in lines)


def listed(rows: Sequence[str], *, as_list: bool) -> Iterator[str]:
    """Records, each as JSON already, one a line: a JSON list or JSON lines."""
    if as_list:
        yield from _enclosed("[]", rows)
    else:
        yield from (f"{row}\n" for row in rows)


def as_json(value: object) -> str:
    """On one line."""
    return json.dumps(value, ensure_ascii=False)


def write_json(path: Path, told: Mapping[str, object]) -> None:
    """One JSON object, a member a line."""
    write_text(path, _enclosed("{}", (f"{as_json(name)}: {as_json(value)}" for name, value in told.items())))


def read_json(path: Path) -> object:
    """What a file of ours holds; None where it is missing or broken, and so to be made anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _enclosed(brackets: str, rows: Iterable[str]) -> Iterator[str]:
    yield brackets[0]
    for number, row in enumerate(rows):
        yield f",\n{row}" if number else f"\n{row}"
    yield f"\n{brackets[1]}\n"


def write_text(path: Path, parts: Iterable[str]) -> None:
    """Whole or not at all."""
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(parts)
