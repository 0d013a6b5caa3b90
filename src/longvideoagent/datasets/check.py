"""Is a data set whole? Counts, and every problem by file and line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longvideoagent.datasets.dataset import DataSet
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.datasets.records import Problem


@dataclass(frozen=True, slots=True)
class Findings:
    """What ``lva data check`` tells."""

    counts: dict[str, int]
    problems: tuple[Problem, ...]


def check(data: DataSet) -> Findings:
    """Count what is there and collect what is wrong: broken records, bad times, answers out of range,
    duplicate ids, clips without text or frames, unreadable frames. Of other sets than LongTVQA, whose videos
    are their publishers', the records alone are checked."""
    if not isinstance(data, LongTVQA):
        counts = {
            "questions": len(data.samples),
            "videos": len({sample.video for sample in data.samples}),
            "questions without an answer": sum(sample.gold.option_index is None for sample in data.samples),
        }
        return Findings(counts, tuple(data.problems))
    problems = [*data.problems, *_box_problems(data), *_bare_clips(data), *_frame_problems(data)]
    by_field = Counter(problem.field for problem in problems)
    has_videos = (data.folder / "videos").is_dir()
    clips = [clip for video in data.videos for clip in data.clips[video]]
    counts = {
        "questions": len(data.samples),
        "episodes": len(data.videos),
        "clips": len(clips),
        "questions without an answer": sum(sample.gold.option_index is None for sample in data.samples),
        "questions without times": sum(sample.gold.start_s is None for sample in data.samples),
        "answers out of range": by_field["answer"],
        "bad times": by_field["ts"],
        "duplicate ids": sum("already" in problem.told for problem in problems if problem.field == "qid"),
        "questions with boxes": sum(bool(data.boxes(sample)) for sample in data.samples),
        "clips without subtitles": by_field["subtitles"],
        "clips without a told duration": sum(clip not in data.durations_s for clip in clips),
        "clips without frames": by_field["frames"] if data.frames is not None or has_videos else len(clips),
        "unreadable frames": by_field["frame"],
    }
    return Findings(counts, tuple(problems))


def _box_problems(data: LongTVQA) -> Iterator[Problem]:
    for sample in data.samples:
        if data.boxes(sample) is None:
            told = "a box is without img_id, left, top, width, height or label; none of its boxes is used"
            yield data.records[sample.question.id].problem("bbox", told)


def _bare_clips(data: LongTVQA) -> Iterator[Problem]:
    for video in data.videos:
        for clip in data.timeline(video).clips:
            if not clip.subtitles:
                yield Problem(data.folder, 0, "subtitles", f"{clip.label} has no text")


def _frame_problems(data: LongTVQA) -> Iterator[Problem]:
    if data.frames is None:
        return
    for video in data.videos:
        for clip in data.clips[video]:
            folder = data.frames / clip
            if folder.is_dir():
                yield from _folder_problems(folder)
            else:
                yield Problem(folder, 0, "frames", "no folder of frames for this clip; get it, or look without it")


def _folder_problems(folder: Path) -> Iterator[Problem]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    numbers = {int(path.stem) for path in files if path.stem.isdecimal()}
    odd = [path.name for path in files if not path.stem.isdecimal()]
    if odd:
        yield Problem(folder, 0, "frames", f"{len(odd)} names are no numbers ({odd[0]} first); name them 00001.jpg, …")
    missing = sorted(set(range(1, max(numbers, default=0) + 1)) - numbers)
    if missing:
        yield Problem(folder, 0, "frames", f"{len(missing)} frames are missing ({missing[0]:05}.jpg first)")
    elif not numbers:
        yield Problem(folder, 0, "frames", "no numbered frame in it")
    for path in files:
        if not _is_whole(path):
            yield Problem(path, 0, "frame", "no whole JPEG; extract it again")


def _is_whole(path: Path) -> bool:
    """Whether a file begins and ends as a JPEG does, which a cut one does not."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begins = file.read(2)
        if file.seek(0, 2) < 4:
            return False
        file.seek(-2, 2)
        return begins == b"\xff\xd8" and file.read(2) == b"\xff\xd9"
