"""Texts and lengths of clips in the files of a release."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.fields import as_finite, as_list, read_line
from longvideoagent.datasets.longtvqa.clips import ClipName, split_transcript
from longvideoagent.datasets.records import Problem, RecordFile

TIMED_LINES = "clip_subtitles.json"
"""The lines of each clip with their times, as ``lva data build`` writes them."""
_TAG = re.compile(r"<(/?)([^<>/\s]{1,80})>")


class NamedText(NamedTuple):
    """The text of a clip or of an episode."""

    name: str
    text: Any
    """A string, or a list of lines [start, end, text]."""


class _TaggedText(NamedTuple):
    clips: list[NamedText]
    words_outside: list[str]


def read_durations(path: Path, problems: list[Problem]) -> dict[str, float]:
    """Seconds of each clip. Raises DataError if the file is missing or not a JSON object."""
    members = _read_members(path, problems)
    valid = {
        name: seconds for name, value in members.items() if (seconds := as_finite(value)) is not None and seconds > 0
    }
    message = "not a length in seconds; it is not used"
    problems += [Problem(path, 0, name, message) for name in members if name not in valid]
    return valid


def read_texts(folder: Path, name: str, problems: list[Problem]) -> dict[str, Any]:
    """The text of each clip, or its lines with times if the folder has them. If the folder has texts of several
    sets, those of the set ``name``."""
    timed = folder / TIMED_LINES
    if timed.exists():
        return _read_members(timed, problems)
    return read_raw_texts(folder, name, problems)


def read_raw_texts(folder: Path, name: str, problems: list[Problem]) -> dict[str, str]:
    """The text of each clip exactly as the folder has it for the set ``name``; empty if there is no such file."""
    by_clip, by_episode = (f"subtitle_{level}_level*" for level in ("clip", "episode"))
    patterns = (f"{name}_{by_clip}", f"{name}_{by_episode}", f"*{by_clip}", f"*{by_episode}")
    path = next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)
    if path is None:
        problems.append(Problem(folder, 0, "", "no subtitle file; add *_subtitle_clip_level.json"))
        return {}
    entries = _read_named_texts(RecordFile.read(path), problems)
    if "episode_level" in path.name:
        entries = _split_by_clip(path, entries, problems)
    texts: dict[str, str] = {}
    for clip, text in entries:
        if clip in texts:
            problems.append(Problem(path, 0, clip, "duplicate clip; the first is used"))
        else:
            texts[clip] = text
    return texts


def _read_members(path: Path, problems: list[Problem]) -> dict[str, Any]:
    file = RecordFile.read(path)
    members = file.members()
    problems += file.problems
    return members


def _split_by_clip(path: Path, entries: Iterator[NamedText], problems: list[Problem]) -> Iterator[NamedText]:
    """The clips in the text of each episode, which are tagged as <clip>…</clip>."""
    for episode, text in entries:
        clips, outside = _find_tagged_clips(text)
        if outside and not clips:
            message = "no clip is tagged as <clip>…</clip>; its text is left out"
            problems.append(Problem(path, 0, episode[:80], message))
        elif outside:
            message = (
                f"{len(outside)} words are outside of <clip>…</clip>, {outside[0][:40]!r} first; they are left out"
            )
            problems.append(Problem(path, 0, episode[:80], message))
        yield from clips


def _find_tagged_clips(text: str) -> _TaggedText:
    """The tagged clips of a text, and the words outside of them. A clip ends at its end tag or, unread, where another
    begins, so that the search is linear in the number of tags."""
    clips: list[NamedText] = []
    outside: list[str] = []
    name, tag_start, text_start, read_to = "", 0, 0, 0
    for tag in _TAG.finditer(text):
        if not tag[1] and ClipName.parse(tag[2]) is not None:
            name, tag_start, text_start = tag[2], tag.start(), tag.end()
        elif tag[1] and tag[2] == name:
            clips.append(NamedText(name, text[text_start : tag.start()]))
            outside += text[read_to:tag_start].split()
            name, read_to = "", tag.end()
    return _TaggedText(clips, outside + text[read_to:].split())


def _read_named_texts(file: RecordFile, problems: list[Problem]) -> Iterator[NamedText]:
    """Names and texts in any form that subtitle files have: one object, or one line or item for each
    {clip, subtitle}, {clip: text} or {vid_name, sub}."""
    members = file.mapping()
    if members is not None and _named_text(members) is None:
        for name, text in members.items():
            if isinstance(text, str):
                yield NamedText(name, text)
            else:
                problems.append(Problem(file.path, 0, name, "not a text; fix it"))
        problems += file.problems
        return
    for record in file.records():
        named = _named_text(record.values)
        if named is None:
            problems.append(record.problem("", "neither {clip, subtitle} nor {name: text}; it is left out"))
        else:
            yield named
    problems += file.problems


def _named_text(values: Mapping[str, Any]) -> NamedText | None:
    for name in ("clip", "episode", "vid_name", "episode_name"):
        text = values.get("subtitle", values.get("sub"))
        if isinstance(values.get(name), str) and isinstance(text, str):
            return NamedText(values[name], text)
    if len(values) == 1:
        ((name, text),) = values.items()
        return NamedText(name, text) if isinstance(text, str) else None
    return None


def read_lines(text: Any, duration_s: float) -> list[Subtitle]:
    """The lines of a clip, timed from its start, from a transcript or from lines [start, end, text]. Lines without
    times or text are left out."""
    if isinstance(text, str):
        return split_transcript(text, duration_s)
    return [line for item in as_list(text) if (line := _parse_line(item)) is not None]


def _parse_line(item: object) -> Subtitle | None:
    return read_line(*item) if isinstance(item, list) and len(item) == 3 else None


def last_end_s(text: Any) -> float:
    """The latest end of a line of a clip, in seconds; 0 for text without times."""
    if not isinstance(text, list):
        return 0.0
    try:
        latest = _parse_line(max(text, key=itemgetter(1), default=None))
    except (TypeError, LookupError):  # some are not lines with numbers; to check that first is slower
        latest = None
    if latest is not None and not isinstance(text[0][1], str):
        return latest.end_s
    return max((line.end_s for item in text if (line := _parse_line(item)) is not None), default=0.0)
