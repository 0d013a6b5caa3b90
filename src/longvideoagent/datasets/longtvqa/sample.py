"""A part of a data set, drawn by a seed: so many questions in all, or of each show or kind."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.clips import ClipName
from longvideoagent.datasets.longtvqa.read import LongTVQA
from longvideoagent.datasets.longtvqa.write import as_json, listed, write_json, write_text
from longvideoagent.errors import UsageError


class Per(StrEnum):
    """The groups that a part is drawn from."""

    ALL = "all"
    SHOW = "show"
    KIND = "kind"
    VIDEO = "video"


def choose(samples: Sequence[Sample], count: int, seed: int, per: Per = Per.ALL) -> list[Sample]:
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


_GROUP_OF: dict[Per, Callable[[Sample], str]] = {
    Per.ALL: lambda _: "",
    Per.SHOW: _show,
    Per.KIND: lambda sample: sample.kind,
    Per.VIDEO: lambda sample: sample.video,
}


def write_part(data: LongTVQA, samples: Sequence[Sample], out: Path) -> None:
    """Write a folder with these questions, as they stood, and the texts of their episodes. Raises UsageError
    where the folder holds this split already."""
    target = out / data.questions.name
    if target.exists():
        raise UsageError(f"{target}: is there already; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    clips = [clip for video in dict.fromkeys(sample.video for sample in samples) for clip in data.clips[video]]
    texts = {clip: data.text_of(clip) for clip in clips}
    is_plain = all(isinstance(text, str) for text in texts.values())
    write_json(out / (f"{data.name}_subtitle_clip_level.json" if is_plain else "clip_subtitles.json"), texts)
    known = {clip: data.durations_s[clip] for clip in clips if clip in data.durations_s}
    write_json(out / "clip_durations.json", known)
    rows = [as_json(data.records[sample.question.id].values) for sample in samples]
    write_text(target, listed(rows, as_list=target.suffix == ".json"))
