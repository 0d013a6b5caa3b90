"""Is a data set whole? Counts, and every problem by file and line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.longtvqa.episode_videos import frame_problems
from longvideoagent.datasets.longtvqa.questions import BROKEN_BOXES
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.datasets.longtvqa.texts import read_lines
from longvideoagent.datasets.records import Problem
from longvideoagent.datasets.video_sets import VideoSet
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader

CUT_FILM_S = 2.0
"""A film that ends so much before the clips of its episode was cut, or is another."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What ``lva data check`` tells."""

    counts: dict[str, int]
    problems: tuple[Problem, ...]


def check(data: DataSet) -> Findings:
    """Count what is there and collect what is wrong: broken records, bad times, answers out of range,
    duplicate ids, clips without text or frames, unreadable frames, films that are cut. Of other sets than
    LongTVQA, whose videos are their publishers', the records and subtitles alone are checked."""
    if not isinstance(data, LongTVQA):
        videos = {sample.video for sample in data.samples}
        counts = {
            "questions": len(data.samples),
            "videos": len(videos),
            "questions without an answer": sum(sample.gold.option_index is None for sample in data.samples),
        }
        if isinstance(data, VideoSet):
            counts["videos not at hand"] = sum(data.video_file(video) is None for video in videos)
        subtitles = data.subtitle_problems() if isinstance(data, VideoSet) else ()
        return Findings(counts, (*data.problems, *subtitles))
    problems = [*data.problems, *_box_problems(data), *_text_problems(data), *_picture_problems(data)]
    by_field = Counter(problem.field for problem in problems)
    clips = [clip for video in data.videos for clip in data.episodes.clips[video]]
    counts = {
        "questions": len(data.samples),
        "episodes": len(data.videos),
        "clips": len(clips),
        "questions without an answer": sum(sample.gold.option_index is None for sample in data.samples),
        "questions without times": sum(sample.gold.start_s is None for sample in data.samples),
        "questions whose right option stands twice": by_field["options"],
        "answers out of range": by_field["answer"] + by_field["answer_idx"],
        "bad times": by_field["ts"],
        "missing or duplicate ids": by_field["qid"],
        "questions with boxes": sum(bool(data.boxes(sample)) for sample in data.samples),
        "clips without subtitles": by_field["subtitles"],
        "clips without a told duration": sum(clip not in data.episodes.known_durations_s for clip in clips),
        "clips without frames": sum(_bare_clips(data, video) for video in data.videos),
        "unreadable frames": by_field["frame"],
    }
    return Findings(counts, tuple(problems))


def _bare_clips(data: LongTVQA, video: str) -> int:
    """How many clips of an episode can not be looked at."""
    clips = data.episodes.clips[video]
    if data.film(video) is not None:
        return 0
    return sum(data.frames is None or _open(data.frames / clip) is None for clip in clips)


def _open(folder: Path) -> FrameFolderReader | None:
    try:
        return FrameFolderReader(folder)
    except DataError:
        return None


def _box_problems(data: LongTVQA) -> Iterator[Problem]:
    for sample in data.samples:
        if data.boxes(sample) is None:
            yield data.records[sample.question.id].problem("bbox", BROKEN_BOXES)


def _text_problems(data: LongTVQA) -> Iterator[Problem]:
    for video in data.videos:
        if missing := data.episodes.missing_clips(video):
            hole = f"{len(missing)} of {video} are missing ({missing[0]} first); what follows them stands too early"
            yield Problem(data.folder, 0, "clips", hole)
        for clip in data.timeline(video).clips:
            length_s, told = data.episodes.lengths_s[clip.label], data.texts.get(clip.label)
            if not clip.subtitles:
                yield Problem(data.folder, 0, "subtitles", f"{clip.label} has no text")
            elif isinstance(told, list) and len(told) > len(clip.subtitles):
                lost = len(told) - len(clip.subtitles)
                yield Problem(data.folder, 0, "lines", f"{clip.label}: {lost} lines without times or text; left out")
            late = sum(line.start_s > length_s for line in read_lines(told, length_s))
            if late:
                told = f"{clip.label}: {late} lines begin after it ends ({length_s:.1f} s) and are put at its end"
                yield Problem(data.folder, 0, "lines", told)


def _picture_problems(data: LongTVQA) -> Iterator[Problem]:
    for video in data.videos:
        if video in data.films:
            yield from _film_problems(data.films[video], data.timeline(video).duration_s)
        if data.film(video) is None and data.frames is not None:
            for clip in data.episodes.clips[video]:
                yield from _folder_problems(data.frames / clip, data.episodes.known_durations_s.get(clip, 0.0))


def _film_problems(film: Path, duration_s: float) -> Iterator[Problem]:
    try:
        there_s = open_reader(film).duration_s
    except DataError as error:
        yield Problem(film, 0, "video", str(error).removeprefix(f"{film}: "))
        return
    if there_s < duration_s - CUT_FILM_S:
        yield Problem(film, 0, "video", f"lasts {there_s:.1f} s of {duration_s:.1f} s; was it cut short? get it again")


def _folder_problems(path: Path, known_durations_s: float) -> Iterator[Problem]:
    folder = _open(path)
    if folder is None:
        yield Problem(path, 0, "frames", "no folder of numbered frames for this clip; get it, or look without it")
    else:
        yield from frame_problems(folder, known_durations_s)
