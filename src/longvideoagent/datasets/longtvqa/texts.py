"""Texts and lengths of clips as the files of a release hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from longvideoagent.datasets.longtvqa.clips import split_transcript
from longvideoagent.datasets.records import Problem, RecordFile, finite
from longvideoagent.types import Subtitle

_EPISODE_CLIP = re.compile(r"<([^<>/\s]{1,80})>(.*?)</\1>", re.DOTALL)


def read_durations(path: Path, problems: list[Problem]) -> dict[str, float]:
    """Seconds of each clip; empty where there is no such file."""
    if not path.exists():
        return {}
    file = RecordFile.read(path)
    told = file.mapping() or {}
    kept = {name: seconds for name, value in told.items() if (seconds := finite(value)) is not None and seconds > 0}
    problems += [Problem(path, 0, name, "no length in seconds; a minute is taken") for name in told if name not in kept]
    return kept


def read_texts(folder: Path, problems: list[Problem]) -> dict[str, Any]:
    """The text of each clip, or its lines with times where the folder has them."""
    timed = folder / "clip_subtitles.json"
    if timed.exists():
        return RecordFile.read(timed).mapping() or {}
    by_clip, by_episode = (_first(folder, f"*subtitle_{level}_level*") for level in ("clip", "episode"))
    if by_clip is not None:
        return dict(_texts_of(RecordFile.read(by_clip), problems))
    if by_episode is None:
        problems.append(Problem(folder, 0, "", "no subtitle file; give *_subtitle_clip_level.json"))
        return {}
    whole = dict(_texts_of(RecordFile.read(by_episode), problems))
    return {clip: text for told in whole.values() for clip, text in _EPISODE_CLIP.findall(told)}


def _first(folder: Path, pattern: str) -> Path | None:
    return next(iter(sorted(folder.glob(pattern))), None)


def _texts_of(file: RecordFile, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """Names and texts in any of the shapes subtitle files come in: one object, or a line or element for each
    {clip, subtitle}, {clip: text} or {vid_name, sub}."""
    whole = file.mapping()
    if whole is not None and len(whole) != 1 and not {"clip", "subtitle"} & whole.keys():
        for name, text in whole.items():
            if isinstance(text, str):
                yield name, text
            else:
                problems.append(Problem(file.path, 0, name, "no text; mend it"))
        return
    for record in file.records():
        named = _named_text(record.values)
        if named is None:
            problems.append(record.problem("", "neither {clip, subtitle} nor {name: text}; it is left out"))
        else:
            yield named
    problems += file.problems


def _named_text(values: Mapping[str, Any]) -> tuple[str, str] | None:
    for name in ("clip", "episode", "vid_name", "episode_name"):
        text = values.get("subtitle", values.get("sub"))
        if isinstance(values.get(name), str) and isinstance(text, str):
            return values[name], text
    if len(values) == 1:
        ((name, text),) = values.items()
        return (name, text) if isinstance(text, str) else None
    return None


def read_lines(told: Any, duration_s: float) -> list[Subtitle]:
    """Lines of a clip, timed from its start."""
    if isinstance(told, str):
        return split_transcript(told, duration_s)
    lines = []
    for each in told if isinstance(told, list) else []:
        if isinstance(each, list) and len(each) == 3 and isinstance(each[2], str):
            start_s, end_s = finite(each[0]), finite(each[1])
            if start_s is not None and end_s is not None and 0 <= start_s <= end_s:
                lines.append(Subtitle(start_s, end_s, each[2]))
    return lines
