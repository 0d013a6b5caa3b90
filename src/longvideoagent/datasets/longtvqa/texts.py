"""Texts and lengths of clips as the files of a release hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.longtvqa.clips import ClipName, split_transcript
from longvideoagent.datasets.records import Problem, RecordFile, finite

_MARK = re.compile(r"<(/?)([^<>/\s]{1,80})>")


def read_durations(path: Path, problems: list[Problem]) -> dict[str, float]:
    """Seconds of each clip. Raises DataError where the file is missing or no JSON object."""
    told = _members(path, problems)
    kept = {name: seconds for name, value in told.items() if (seconds := finite(value)) is not None and seconds > 0}
    problems += [Problem(path, 0, name, "no length in seconds; it is not used") for name in told if name not in kept]
    return kept


def read_texts(folder: Path, name: str, problems: list[Problem]) -> dict[str, Any]:
    """The text of each clip, or its lines with times where the folder has them; those of the set of that name where
    texts of several lie in the folder."""
    timed = folder / "clip_subtitles.json"
    by_clip, by_episode = (f"subtitle_{level}_level*" for level in ("clip", "episode"))
    patterns = (timed.name, f"{name}_{by_clip}", f"{name}_{by_episode}", f"*{by_clip}", f"*{by_episode}")
    path = next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)
    if path is None:
        problems.append(Problem(folder, 0, "", "no subtitle file; give *_subtitle_clip_level.json"))
        return {}
    if path == timed:
        told: Iterator[tuple[str, Any]] = iter(_members(timed, problems).items())
    else:
        told = _texts_of(RecordFile.read(path), problems)
    if "episode_level" in path.name:
        told = _by_clip(path, told, problems)
    texts: dict[str, Any] = {}
    for name, text in told:
        if name in texts:
            problems.append(Problem(path, 0, name, "stands twice; the first is taken"))
        else:
            texts[name] = text
    return texts


def _members(path: Path, problems: list[Problem]) -> dict[str, Any]:
    file = RecordFile.read(path)
    members = file.members()
    problems += file.problems
    return members


def _by_clip(path: Path, told: Iterator[tuple[str, str]], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """The clips that the text of each episode marks as <clip>…</clip>."""
    for episode, text in told:
        found, outside = _marked(text)
        if outside and not found:
            problems.append(Problem(path, 0, episode[:80], "marks no clip as <clip>…</clip>; its text is left out"))
        elif outside:
            lost = f"{len(outside)} words stand outside of <clip>…</clip>, {outside[0][:40]!r} first; they are left out"
            problems.append(Problem(path, 0, episode[:80], lost))
        yield from found


def _marked(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The clips that a text marks, and the words outside of them. A clip ends with its own mark or, unread, where
    another begins, so that every mark is looked at once."""
    found: list[tuple[str, str]] = []
    outside: list[str] = []
    name, begins, start, kept = "", 0, 0, 0
    for mark in _MARK.finditer(text):
        if not mark[1] and ClipName.parse(mark[2]) is not None:
            name, begins, start = mark[2], mark.start(), mark.end()
        elif mark[1] and mark[2] == name:
            found.append((name, text[start : mark.start()]))
            outside += text[kept:begins].split()
            name, kept = "", mark.end()
    return found, outside + text[kept:].split()


def _texts_of(file: RecordFile, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """Names and texts in any of the shapes subtitle files come in: one object, or a line or element for each
    {clip, subtitle}, {clip: text} or {vid_name, sub}."""
    whole = file.mapping()
    if whole is not None and _named_text(whole) is None:
        for name, text in whole.items():
            if isinstance(text, str):
                yield name, text
            else:
                problems.append(Problem(file.path, 0, name, "no text; mend it"))
        problems += file.problems
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
    """Lines of a clip, timed from its start; those without times or text are left out."""
    if isinstance(told, str):
        return split_transcript(told, duration_s)
    return [line for each in (told if isinstance(told, list) else []) if (line := _line(each)) is not None]


def _line(told: object) -> Subtitle | None:
    if not isinstance(told, list) or len(told) != 3 or not isinstance(told[2], str):
        return None
    start_s, end_s = finite(told[0]), finite(told[1])
    if start_s is None or end_s is None or not 0 <= start_s <= end_s:
        return None
    return Subtitle(start_s, end_s, told[2])


def last_end_s(told: Any) -> float:
    """Where the line of a clip ends that ends last; 0 for text without times."""
    if not isinstance(told, list):
        return 0.0
    try:
        latest = _line(max(told, key=itemgetter(1), default=None))
    except (TypeError, LookupError):  # not all are lines with numbers, which is slower to see beforehand
        latest = None
    if latest is not None and not isinstance(told[0][1], str):
        return latest.end_s
    return max((line.end_s for each in told if (line := _line(each)) is not None), default=0.0)
