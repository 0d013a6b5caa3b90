"""Subtitle lines of TVQA's clips: a folder of subtitle files, or its preprocessed JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from longvideoagent.core.types import Subtitle
from longvideoagent.datasets.fields import read_line, valid_lines
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.longtvqa.transcript import normalize_speaker
from longvideoagent.datasets.longtvqa.write import ClipLines
from longvideoagent.datasets.records import Problem, RecordFile
from longvideoagent.errors import DataError
from longvideoagent.media.subtitles import SUFFIXES, read_subtitles


def read_clip_lines(path: Path, problems: list[Problem], encoding: str | None = None) -> ClipLines:
    """The lines of each clip, timed from its start: from a folder of {clip}.srt or the like, or from TVQA's
    preprocessed JSON, {vid_name, sub: [{start, end, text}]} as a list or as lines. ``encoding`` is that of
    the files of a folder, as Python names it; None: recognised. Raises DataError if there are no lines."""
    entries = _from_folder(path, problems, encoding) if path.is_dir() else _from_json(RecordFile.read(path), problems)
    lines = dict(entries)
    if not lines:
        raise DataError(f"{path}: no subtitles of clips; give a folder of {{clip}}.srt or TVQA's preprocessed JSON")
    return lines


def _from_folder(folder: Path, problems: list[Problem], encoding: str | None) -> Iterator[tuple[str, list[Subtitle]]]:
    files: dict[str, Path] = {}
    for path in subtitle_files(folder):
        if ClipName.parse(path.stem) is None:
            problems.append(Problem(path, 0, "", "not the name of a clip; it is left out"))
            continue
        if files.setdefault(path.stem, path) != path:
            problems.append(Problem(path, 0, "", f"is of the same clip as {files[path.stem].name}, which is used"))
            continue
        lines: list[Subtitle] = []
        if path.stat().st_size:  # clips without speech have empty files
            try:
                lines, repairs = read_subtitles(path, encoding)
                problems += (Problem(path, 0, "", message) for message in repairs)
            except DataError as error:
                message = str(error).removeprefix(f"{path}: ")
                problems.append(Problem(path, 0, "", f"{message} (the clip gets no subtitles)"))
        yield path.stem, [Subtitle(line.start_s, line.end_s, normalize_speaker(line.text)) for line in lines]


def subtitle_files(folder: Path) -> list[Path]:
    """The subtitle files of a folder by clip; of several files of one clip, the preferred format first."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    return sorted(files, key=lambda path: (path.stem, SUFFIXES.index(path.suffix.lower()), path.name))


def _from_json(file: RecordFile, problems: list[Problem]) -> Iterator[tuple[str, list[Subtitle]]]:
    names: set[str] = set()
    for record in file.records():
        name, items = record.values.get("vid_name"), record.values.get("sub")
        if not isinstance(name, str) or ClipName.parse(name) is None or not isinstance(items, list):
            problems.append(record.problem("vid_name", "not a clip with a list of lines; it is left out"))
            continue
        if name in names:
            problems.append(record.problem("vid_name", f"duplicate clip {name}; the first is used"))
            continue
        names.add(name)
        lines, problem = valid_lines(map(_parse_line, items))
        if problem:
            problems.append(record.problem("sub", problem))
        yield name, sorted(lines, key=lambda line: line.start_s)
    problems += file.problems


def _parse_line(item: object) -> Subtitle | None:
    line = read_line(item.get("start"), item.get("end"), item.get("text")) if isinstance(item, dict) else None
    return line and replace(line, text=normalize_speaker(line.text))
