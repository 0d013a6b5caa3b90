"""Write the files of the release layout, each atomically."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.longtvqa.transcript import normalize_speaker
from longvideoagent.fs import atomic_path

ClipLines = dict[str, list[Subtitle]]
"""The subtitle lines of each clip, timed from its start."""


def write_subtitles(out: Path, name: str, clips: Mapping[str, Sequence[str]], lines: ClipLines) -> None:
    """Write the texts by clip and by episode, as the releases do, and the lines with their times."""
    clip_texts = {clip: _join_lines(lines.get(clip, ())) for names in clips.values() for clip in names}
    tagged = {clip: f"<{clip}>{text}</{clip}>" for clip, text in clip_texts.items()}
    episode_texts = {episode: "\n".join(tagged[clip] for clip in names) for episode, names in clips.items()}
    timed = {clip: [[line.start_s, line.end_s, line.text] for line in lines.get(clip, ())] for clip in clip_texts}
    write_json(out / f"{name}_subtitle_clip_level.json", clip_texts)
    write_json(out / f"{name}_subtitle_episode_level.json", episode_texts)
    write_json(out / "clip_subtitles.json", timed)


def _join_lines(lines: Sequence[Subtitle]) -> str:
    return " ".join(normalize_speaker(line.text, " :") for line in lines)


def join_records(records: Sequence[str], *, as_list: bool) -> Iterator[str]:
    """The text of a JSON list (``as_list``) or of JSON lines; each record is JSON text already and gets a line."""
    if as_list:
        yield from _join_members("[]", records)
    else:
        yield from (f"{record}\n" for record in records)


def to_json(value: object) -> str:
    """The value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def write_json(path: Path, members: Mapping[str, object]) -> None:
    """Write one JSON object, one line a member."""
    write_text(path, _join_members("{}", (f"{to_json(name)}: {to_json(value)}" for name, value in members.items())))


def read_json(path: Path) -> object:
    """The content of a file that this package writes; None if it is missing or broken and has to be written again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _join_members(brackets: str, members: Iterable[str]) -> Iterator[str]:
    yield brackets[0]
    for index, member in enumerate(members):
        yield f",\n{member}" if index else f"\n{member}"
    yield f"\n{brackets[1]}\n"


def write_text(path: Path, parts: Iterable[str]) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(parts)
