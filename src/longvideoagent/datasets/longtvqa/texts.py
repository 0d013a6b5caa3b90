"""Texts and lengths of clips in the files of a release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.fields import MAX_TIME_S, as_finite, as_list, read_line
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.longtvqa.transcript import normalize_speaker, split_transcript
from longvideoagent.datasets.records import Problem, RecordFile

TIMED_LINES = "clip_subtitles.json"
"""The lines of each clip with their times, as ``lva data build`` writes them."""
MAX_NAMES_SHOWN = 3
"""Names of clips in one problem."""
_TAG = re.compile(r"<(/?)([^<>/\s]{0,70}clip_\d{1,3})>")


class NamedText(NamedTuple):
    """The text of a clip or of an episode."""

    name: str
    text: Any
    """A string, or a list of lines, each [start, end, text] or {start, end, text}."""


class _TaggedText(NamedTuple):
    clips: list[NamedText]
    words_outside: list[str]


def read_durations(path: Path, problems: list[Problem]) -> dict[str, float]:
    """Seconds of each clip. Raises DataError if the file is missing or not a JSON object."""
    members = _read_members(path, problems)
    valid = {
        name: seconds
        for name, value in members.items()
        if (seconds := as_finite(value)) is not None and 0 < seconds <= MAX_TIME_S
    }
    message = "not a length in seconds; it is not used"
    problems += [Problem(path, 0, name, message) for name in members if name not in valid]
    return valid


def read_texts(folder: Path, name: str, problems: list[Problem], subtitles: Path | None = None) -> dict[str, Any]:
    """The text of each clip, or its lines with times if the folder has them: from the file ``subtitles``, else from
    the folder. If the folder has texts of several sets, those of the set ``name``."""
    timed = folder / TIMED_LINES
    if subtitles is not None:
        return _read_subtitle_file(subtitles, problems)
    if timed.exists():
        return _read_members(timed, problems)
    return read_raw_texts(folder, name, problems)


def read_raw_texts(folder: Path, name: str, problems: list[Problem]) -> dict[str, Any]:
    """The text of each clip exactly as the folder has it for the set ``name``; empty if there is no such file."""
    by_clip, by_episode = (f"subtitle*_{level}_level*" for level in ("clip", "episode"))
    patterns = (f"{name}_{by_clip}", f"{name}_{by_episode}", f"*{by_clip}", f"*{by_episode}")
    by_pattern = ([path for path in sorted(folder.glob(each)) if path.name[0] != "."] for each in patterns)
    paths = next((paths for paths in by_pattern if paths), [])
    if not paths:
        # LongTVQA's files have the plural.
        stem = f"{name}_subtitles" if name == "LongTVQA" else f"{name}_subtitle"
        fix = f"add {stem}_clip_level.json or {stem}_episode_level.json, or name one with --subtitles"
        problems.append(Problem(folder, 0, "", f"no subtitle file; {fix}"))
        return {}
    message = f"is not read, because {paths[0].name} is there; delete one, or name one with --subtitles"
    problems += [Problem(path, 0, "", message) for path in paths[1:] if path.suffix in (".json", ".jsonl")]
    return _read_subtitle_file(paths[0], problems)


def _read_subtitle_file(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """The text of each clip in a file by clip or by episode."""
    texts: dict[str, Any] = {}
    duplicates: list[str] = []
    num_problems = len(problems)
    for name, text in _read_named_texts(RecordFile.read(path), problems):
        is_episode = isinstance(text, str) and ClipName.parse(f"{name}_seg01_clip_00") is not None
        for clip in _split_by_clip(path, NamedText(name, text), problems) if is_episode else (NamedText(name, text),):
            if clip.name in texts:
                duplicates.append(clip.name)
            else:
                texts[clip.name] = clip.text
    if duplicates:
        message = (
            f"{len(duplicates)} texts are of duplicate clips ({_first_names(duplicates)}); the first of each is used"
        )
        problems.append(Problem(path, 0, "", message))
    if not texts and len(problems) == num_problems:
        problems.append(Problem(path, 0, "", "has no text of a clip; download it again"))
    return texts


def _first_names(names: Iterable[str]) -> str:
    different = list(dict.fromkeys(names))
    shown = ", ".join(name[:80] for name in different[:MAX_NAMES_SHOWN])
    return f"{shown}, …" if len(different) > MAX_NAMES_SHOWN else shown


def _read_members(path: Path, problems: list[Problem]) -> dict[str, Any]:
    file = RecordFile.read(path)
    members = file.members()
    problems += file.problems
    return members


def _split_by_clip(path: Path, episode: NamedText, problems: list[Problem]) -> Sequence[NamedText]:
    """The clips in the text of an episode, which are tagged as <clip>…</clip> or begin with <clip>."""
    clips, outside = _find_tagged_clips(episode.name, episode.text)
    if outside:
        message = f"{len(outside)} words are outside of <clip>…</clip>, {outside[0][:40]!r} first; they are left out"
        if not clips:
            message = "no clip is tagged as <clip>…</clip>; its text is left out"
        problems.append(Problem(path, 0, episode.name, message))
    if foreign := [clip.name for clip in clips if not clip.name.startswith(f"{episode.name}_")]:
        message = f"{len(foreign)} tagged clips are of other episodes ({_first_names(foreign)}); they get its text"
        problems.append(Problem(path, 0, episode.name, message))
    return clips


def _find_tagged_clips(episode: str, text: str) -> _TaggedText:
    """The tagged clips of a text, and the words outside of them. A clip ends at its end tag or, unread, where another
    begins, so that the search is linear in the number of tags. In a text without end tags it ends where another
    begins."""
    tags = [(tag, label) for tag in _TAG.finditer(text) if (label := _clip_label(episode, tag[2])) is not None]
    has_ends = any(tag[1] for tag, _ in tags)
    if not has_ends:
        starts = [tag.start() for tag, _ in tags] + [len(text)]
        clips = [NamedText(label, text[tag.end() : end]) for (tag, label), end in zip(tags, starts[1:], strict=True)]
        return _TaggedText(clips, text[: starts[0]].split())
    clips, outside = list[NamedText](), list[str]()
    name, tag_start, text_start, read_to = "", 0, 0, 0
    for tag, label in tags:
        if not tag[1]:
            name, tag_start, text_start = label, tag.start(), tag.end()
        elif label == name:
            clips.append(NamedText(name, text[text_start : tag.start()]))
            outside += text[read_to:tag_start].split()
            name, read_to = "", tag.end()
    return _TaggedText(clips, outside + text[read_to:].split())


def _clip_label(episode: str, tag: str) -> str | None:
    """The label of the clip that a tag names, with or without its episode; None for another tag."""
    return next((name for name in (tag, f"{episode}_{tag}") if ClipName.parse(name) is not None), None)


def _read_named_texts(file: RecordFile, problems: list[Problem]) -> Iterator[NamedText]:
    """Names and texts, or lists of lines, in any form that subtitle files have: one object, or one line or item for
    each {clip, subtitle}, {clip: text} or {vid_name, sub}."""
    members = file.mapping()
    if members is not None and _named_text(members) is None:
        for name, text in members.items():
            if isinstance(text, str | list):
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
        if isinstance(values.get(name), str) and isinstance(text, str | list):
            return NamedText(values[name], text)
    if len(values) == 1:
        ((name, text),) = values.items()
        return NamedText(name, text) if isinstance(text, str | list) else None
    return None


def read_lines(text: Any, duration_s: float) -> list[Subtitle]:
    """The lines of a clip, timed from its start, from a transcript or from lines [start, end, text]. Lines without
    times or text are left out."""
    if isinstance(text, str):
        return split_transcript(text, duration_s)
    return [line for item in as_list(text) if (line := _parse_line(item)) is not None]


def _parse_line(item: object) -> Subtitle | None:
    """A line of [start, end, text], or of TVQA's {start, end, text}."""
    if isinstance(item, dict):
        line = read_line(item.get("start"), item.get("end"), item.get("text"))
        return line and replace(line, text=normalize_speaker(line.text))
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
