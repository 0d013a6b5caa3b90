"""TVQA-Long: questions of TVQA over whole episodes, ``tvqa_val_edited.json`` and ``tvqa_preprocessed_subtitles.json``.

The questions are TVQA's own records, grouped as ``{show: {season: {episode: {questions, clips}}}}``; times are within
the clip. The subtitles are TVQA's, ``{vid_name, sub: [{start, end, text}]}``. Frames and ``clip_durations.json`` are
read as for LongTVQA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.datasets.longtvqa.clip_lines import read_clip_lines
from longvideoagent.datasets.longtvqa.read import LongTVQA, ReleaseFiles, assemble
from longvideoagent.datasets.longtvqa.texts import read_texts
from longvideoagent.datasets.records import Problem, RecordFile, gc_paused
from longvideoagent.datasets.sets.base import ONLY_SPLIT, check_split
from longvideoagent.errors import DataError

NAME = "TVQA-Long"
QUESTIONS, SUBTITLES = "*tvqa_val_edited.json", "*tvqa_preprocessed_subtitles.json*"
MARKERS = (QUESTIONS, f"*/{QUESTIONS}")


@gc_paused()
def read_tvqa_long(folder: Path, split: str, options: DatasetOptions) -> LongTVQA:
    """Read the questions of split val, the only one. Raises DataError for another, and for files that are missing or
    broken."""
    check_split(folder, split, (ONLY_SPLIT,))
    path = _find(folder, QUESTIONS)
    file, problems = RecordFile.read(path), list[Problem]()
    episodes = list(_episodes(path, file.members(), problems))
    problems += file.problems
    rows = [row for episode in episodes for row in episode.get("questions", ()) if isinstance(row, dict)]
    clips = {clip for episode in episodes for clip in episode.get("clips", ()) if isinstance(clip, str)}
    if options.subtitles is not None:
        texts = read_texts(folder, NAME, problems, options.subtitles)
    else:
        lines = read_clip_lines(_find(folder, SUBTITLES), problems)
        texts = {clip: [[line.start_s, line.end_s, line.text] for line in inside] for clip, inside in lines.items()}
    return assemble(folder, split, ReleaseFiles(NAME, RecordFile(path, "", rows=rows), texts, clips), options, problems)


def _find(folder: Path, pattern: str) -> Path:
    path = next((path for each in (pattern, f"*/{pattern}") for path in sorted(folder.glob(each))), None)
    if path is None:
        raise DataError(f"{folder}: has no {pattern.strip('*')}; download it with the questions, or give --subtitles")
    return path


def _episodes(path: Path, shows: Mapping[str, Any], problems: list[Problem]) -> Iterator[Mapping[str, Any]]:
    """The episodes of all shows; a group of another form becomes a problem."""
    for show, seasons in shows.items():
        for season, episodes in seasons.items() if isinstance(seasons, dict) else ():
            for name, episode in episodes.items() if isinstance(episodes, dict) else ():
                if isinstance(episode, dict) and all(isinstance(value, list) for value in episode.values()):
                    yield episode
                else:
                    message = "not lists of questions and clips; it is left out"
                    problems.append(Problem(path, 0, f"{show} {season} {name}"[:80], message))
