"""Check a data set: counts, and every problem by file and line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.longtvqa.episode_videos import frame_problems
from longvideoagent.datasets.longtvqa.questions import INVALID_BOXES
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.datasets.longtvqa.texts import read_lines
from longvideoagent.datasets.records import Problem
from longvideoagent.datasets.sets.base import VideoDataset
from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader

MISSING_VIDEO_S = 2.0
"""A video that ends so much before the clips of its episode is cut short, or is of another episode."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    counts: dict[str, int]
    problems: tuple[Problem, ...]


def check_dataset(data: Dataset) -> CheckReport:
    """Count the parts of a data set and collect its problems: broken records, invalid times, answers out of range,
    duplicate ids, clips without text or frames, unreadable frames, videos that are cut short. Other sets than LongTVQA
    have their publishers' videos, so only their records and subtitles are checked."""
    return _check_longtvqa(data) if isinstance(data, LongTVQA) else _check_other(data)


def _check_other(data: Dataset) -> CheckReport:
    videos = {sample.video for sample in data.samples}
    counts = {
        "questions": len(data.samples),
        "videos": len(videos),
        "questions without an answer": sum(sample.gold.option_index is None for sample in data.samples),
    }
    if not isinstance(data, VideoDataset):
        return CheckReport(counts, tuple(data.problems))
    counts["missing videos"] = sum(data.video_file(video) is None for video in videos)
    return CheckReport(counts, (*data.problems, *data.subtitle_problems()))


def _check_longtvqa(data: LongTVQA) -> CheckReport:
    problems = [*data.problems, *_box_problems(data), *_text_problems(data), *_video_problems(data)]
    by_field = Counter(problem.field for problem in problems)
    clips = [clip for video in data.videos for clip in data.episodes.clips[video]]
    counts = {
        "questions": len(data.samples),
        "episodes": len(data.videos),
        "clips": len(clips),
        "questions without an answer": sum(sample.gold.option_index is None for sample in data.samples),
        "questions without times": sum(sample.gold.start_s is None for sample in data.samples),
        "questions with an ambiguous answer": by_field["options"],
        "answers out of range": by_field["answer"] + by_field["answer_idx"],
        "invalid times": by_field["ts"],
        "missing or duplicate ids": by_field["qid"],
        "questions with boxes": sum(bool(data.boxes(sample)) for sample in data.samples),
        "clips without subtitles": by_field["subtitles"],
        "clips of unknown length": sum(clip not in data.episodes.known_durations_s for clip in clips),
        "clips without frames": sum(_count_unseen_clips(data, video) for video in data.videos),
        "unreadable frames": by_field["frame"],
    }
    return CheckReport(counts, tuple(problems))


def _count_unseen_clips(data: LongTVQA, video: str) -> int:
    """The number of clips of an episode that have neither frames nor a video."""
    clips = data.episodes.clips[video]
    if data.episode_video(video) is not None:
        return 0
    return sum(data.frames is None or _open_frames(data.frames / clip) is None for clip in clips)


def _open_frames(folder: Path) -> FrameFolderReader | None:
    try:
        return FrameFolderReader(folder)
    except DataError:
        return None


def _box_problems(data: LongTVQA) -> Iterator[Problem]:
    for sample in data.samples:
        if data.boxes(sample) is None:
            yield data.records[sample.question.id].problem("bbox", INVALID_BOXES)


def _text_problems(data: LongTVQA) -> Iterator[Problem]:
    for video in data.videos:
        if missing := data.episodes.missing_clips(video):
            message = f"{len(missing)} of {video} are missing ({missing[0]} first); later clips begin too early"
            yield Problem(data.folder, 0, "clips", message)
        for clip in data.timeline(video).clips:
            length_s, text = data.episodes.lengths_s[clip.label], data.texts.get(clip.label)
            if not clip.subtitles:
                yield Problem(data.folder, 0, "subtitles", f"{clip.label} has no text")
            elif isinstance(text, list) and len(text) > len(clip.subtitles):
                count = len(text) - len(clip.subtitles)
                message = f"{clip.label}: {count} lines have no times or no text; they are left out"
                yield Problem(data.folder, 0, "lines", message)
            late = sum(line.start_s > length_s for line in read_lines(text, length_s))
            if late:
                message = f"{clip.label}: {late} lines begin after it ends ({length_s:.1f} s) and are moved to its end"
                yield Problem(data.folder, 0, "lines", message)


def _video_problems(data: LongTVQA) -> Iterator[Problem]:
    for video in data.videos:
        if video in data.episode_videos:
            yield from _episode_video_problems(data.episode_videos[video], data.timeline(video).duration_s)
        if data.episode_video(video) is None and data.frames is not None:
            for clip in data.episodes.clips[video]:
                yield from _frame_folder_problems(data.frames / clip, data.episodes.known_durations_s.get(clip, 0.0))


def _episode_video_problems(path: Path, duration_s: float) -> Iterator[Problem]:
    try:
        video_s = open_reader(path).duration_s
    except DataError as error:
        yield Problem(path, 0, "video", str(error).removeprefix(f"{path}: "))
        return
    if video_s < duration_s - MISSING_VIDEO_S:
        message = f"lasts {video_s:.1f} s of {duration_s:.1f} s; is it cut short? get it again"
        yield Problem(path, 0, "video", message)


def _frame_folder_problems(path: Path, known_duration_s: float) -> Iterator[Problem]:
    folder = _open_frames(path)
    if folder is None:
        yield Problem(path, 0, "frames", "no folder of numbered frames for this clip; add it to see the clip")
    else:
        yield from frame_problems(folder, known_duration_s)
