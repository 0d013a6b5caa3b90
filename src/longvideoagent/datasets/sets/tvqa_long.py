"""TVQA-Long: questions of TVQA over whole episodes, ``tvqa_val_edited.json`` and ``tvqa_preprocessed_subtitles.json``.

The questions are TVQA's own records, grouped as ``{show: {season: {episode: {questions, clips}}}}``; times are within
the clip. The subtitles are TVQA's, ``{vid_name, sub: [{start, end, text}]}``. Frames and ``clip_durations.json`` are
read as for LongTVQA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.datasets.longtvqa.clip_lines import read_clip_lines
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.longtvqa.read import LongTVQA, ReleaseFiles, assemble
from longvideoagent.datasets.longtvqa.texts import read_texts
from longvideoagent.datasets.records import Problem, RecordFile, gc_paused
from longvideoagent.datasets.sets.base import ONLY_SPLIT, check_split
from longvideoagent.errors import DataError

NAME = "TVQA-Long"
QUESTIONS, SUBTITLES = "tvqa_val_edited.json", "tvqa_preprocessed_subtitles.json"
MARKERS = (QUESTIONS, f"*/{QUESTIONS}")
_IS_VALID: Mapping[str, Callable[[Any], bool]] = {
    "questions": lambda item: isinstance(item, dict),
    "clips": lambda item: ClipName.parse(item) is not None,
}
"""By field of an episode, whether an item of its list is of the form that is read."""
LEVELS = 3
"""Of objects around an episode's fields: shows, seasons and episodes."""


@gc_paused()
def read_tvqa_long(folder: Path, split: str, options: DatasetOptions) -> LongTVQA:
    """Read the questions of split val, the only one. Raises DataError for another, and for files that are missing or
    broken."""
    check_split(folder, split, (ONLY_SPLIT,))
    path = _find(folder, QUESTIONS)
    if path is None:
        raise DataError(f"{folder}: has no {QUESTIONS}; lva data download tvqa-long gets it")
    file, problems = RecordFile.read(path), list[Problem]()
    rows, clips = list[dict[str, Any]](), set[str]()
    for name, episode in _episodes(path, file.members(), problems):
        rows += _valid_items(path, name, episode, "questions", problems)
        clips.update(_valid_items(path, name, episode, "clips", problems))
    problems += file.problems
    if options.subtitles is not None:
        texts = read_texts(folder, NAME, problems, options.subtitles)
    else:
        subtitles = _find(folder, SUBTITLES) or _find(folder, f"{SUBTITLES}l")
        if subtitles is None:
            raise DataError(f"{folder}: has no {SUBTITLES}; add it, or name one with --subtitles")
        lines = read_clip_lines(subtitles, problems)
        texts = {clip: [[line.start_s, line.end_s, line.text] for line in inside] for clip, inside in lines.items()}
    return assemble(folder, split, ReleaseFiles(NAME, RecordFile(path, "", rows=rows), texts, clips), options, problems)


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, *sorted(folder.glob(f"*/{name}"))) if path.is_file()), None)


def _episodes(
    path: Path, group: Any, problems: list[Problem], name: str = "", levels: int = LEVELS
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name and the fields of each episode; a group of another form becomes a problem."""
    if not isinstance(group, dict):
        problems.append(Problem(path, 0, name[:80], "not an object; it is left out"))
    elif levels:
        for key, inside in group.items():
            yield from _episodes(path, inside, problems, f"{name} {key}".strip(), levels - 1)
    else:
        yield name, group


def _valid_items(path: Path, name: str, episode: Mapping[str, Any], field: str, problems: list[Problem]) -> list[Any]:
    """The questions or clips of an episode; those of another form become a problem."""
    items, is_valid = episode.get(field), _IS_VALID[field]
    if not isinstance(items, list):
        problems.append(Problem(path, 0, name[:80], f"has no list of {field}"))
        return []
    if invalid := [item for item in items if not is_valid(item)]:
        message = f"{len(invalid)} of its {field} are not valid, {str(invalid[0])[:40]!r} first; they are left out"
        problems.append(Problem(path, 0, name[:80], message))
    return [item for item in items if is_valid(item)]
