"""A part of a data set, drawn by a seed: so many questions in all, or of each show or kind."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.longtvqa.episode_videos import link_folder
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.datasets.longtvqa.write import as_json, listed, write_json, write_text
from longvideoagent.datasets.records import RecordFile
from longvideoagent.errors import UsageError


class GroupBy(StrEnum):
    """The groups that a part is drawn from."""

    ALL = "all"
    SHOW = "show"
    KIND = "kind"
    VIDEO = "video"


def choose(samples: Sequence[Sample], count: int, seed: int, per: GroupBy = GroupBy.ALL) -> list[Sample]:
    """That many samples in all, or of each group; all of a group that has fewer. They keep their order, and
    the same seed draws the same."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        groups[_GROUP_OF[per](sample)].append(index)
    rng = random.Random(seed)
    drawn = [index for group in groups.values() for index in rng.sample(group, min(count, len(group)))]
    return [samples[index] for index in sorted(drawn)]


def _show(sample: Sample) -> str:
    clip = ClipName.parse(sample.gold.clip)
    return clip.show if clip else ""


_GROUP_OF: dict[GroupBy, Callable[[Sample], str]] = {
    GroupBy.ALL: lambda _: "",
    GroupBy.SHOW: _show,
    GroupBy.KIND: lambda sample: sample.kind,
    GroupBy.VIDEO: lambda sample: sample.video,
}


def write_subset(data: LongTVQA, samples: Sequence[Sample], out: Path) -> None:
    """Write a folder with these questions, as they stood, the texts of their episodes, and links to the frames and
    films. Another split of the same set may be there already. Raises UsageError where this split is, or another
    set, and where there is no question."""
    target = out / data.questions.name
    if target.exists():
        raise UsageError(f"{target}: is there already; choose another --out")
    if not samples:
        raise UsageError(f"{data.questions}: has no question to draw; lva data check tells why")
    videos = dict.fromkeys(sample.video for sample in samples)
    clips = [clip for video in videos for clip in data.episodes.clips[video]]
    texts = {clip: data.texts[clip] for clip in clips if clip in data.texts}
    is_plain = all(isinstance(text, str) for text in texts.values())
    known_durations_s = {
        clip: data.episodes.known_durations_s[clip] for clip in clips if clip in data.episodes.known_durations_s
    }
    written = {
        out / (f"{data.name}_subtitle_clip_level.json" if is_plain else "clip_subtitles.json"): texts,
        out / "clip_durations.json": known_durations_s,
    }
    joined = {path: _joined(path, told) for path, told in written.items()}
    for path, told in joined.items():
        write_json(path, told)
    for folder in (data.frames, data.folder / "videos"):
        if folder is not None and folder.is_dir():
            link_folder(out / folder.name, folder)
    rows = [as_json(data.records[sample.question.id].values) for sample in samples]
    write_text(target, listed(rows, as_list=target.suffix == ".json"))


def _joined(path: Path, told: Mapping[str, object]) -> dict[str, object]:
    """What the file of an earlier part holds, and this. Raises UsageError where they contradict each other."""
    there: dict[str, object] = RecordFile.read(path).members() if path.exists() else {}
    other = next((name for name in there if name in told and there[name] != told[name]), None)
    if other is not None:
        raise UsageError(f"{path}: tells something else of {other}, so it is of another set; choose another --out")
    return {**there, **told}
