"""A data set of made episodes in the layout of LongTVQA+, for whoever has nothing downloaded.

Options are mixed so that the right one stands equally often at each place; wrong options are right ones
elsewhere, so neither their length nor the words of the question tell them apart.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Clip, Subtitle, Timeline
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.longtvqa.questions import OPTIONS
from longvideoagent.datasets.longtvqa.write import as_json, listed, read_json, write_json, write_subtitles, write_text
from longvideoagent.datasets.synthetic.episode import KINDS, render, write_questions
from longvideoagent.datasets.synthetic.scenario import SCENE_S, Scene, write_script
from longvideoagent.errors import UsageError
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.progress import Progress, no_progress, part_progress

VAL_SHARE = 0.2
MADE = "made.json"
"""What a folder was made with, so that an interrupted making goes on and another one is refused."""
FRAME_SIDE_PX = 640
SEEDS_APART = 100_000
"""Episodes of one seed are numbered below this, so that two seeds share none."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a made set is made with. Raises UsageError for what cannot be made."""

    episodes: int
    minutes: int = 20
    seed: int = 0
    kinds: tuple[str, ...] = KINDS
    """Of questions."""
    per_kind: int = 3
    """Questions of each kind that are asked of an episode, each of another minute."""
    val_share: float = VAL_SHARE

    def __post_init__(self) -> None:
        if not 1 <= self.episodes <= 1000 or not 5 <= self.minutes <= 25:  # five options need five scenes
            raise UsageError(f"{self.episodes} episodes of {self.minutes} minutes: give 1 to 1000 of 5 to 25")
        if not 1 <= self.per_kind <= self.minutes:
            raise UsageError(f"{self.per_kind} questions of a kind: give 1 to {self.minutes}, one for each minute")
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise UsageError(f"kind {', '.join(unknown) or 'none'}: no such kind; give {', '.join(KINDS)}")
        if not 0 < self.val_share < 1:
            raise UsageError(f"a val share of {self.val_share}: give more than 0 and less than 1")

    @property
    def held_out(self) -> int:
        """How many episodes are split val: at least one where there are two."""
        most = self.episodes - 1
        return min(most, max(1, round(self.episodes * self.val_share))) if most else 0


def grow(out: Path, recipe: Recipe, progress: Progress = no_progress) -> dict[str, int]:
    """Make the episodes with their questions, the last of them as split val. What was rendered before is kept. Returns
    counts. Raises UsageError for a folder that holds something else."""
    asked_for = json.loads(json.dumps(asdict(recipe)))
    if out.is_dir() and any(out.iterdir()) and _made_with(out) != asked_for:
        raise UsageError(f"{out}: holds something else than this very set; choose another folder")
    write_json(out / MADE, asked_for)
    lines: dict[str, list[Subtitle]] = {}
    clips: dict[str, list[str]] = {}
    asked: dict[str, list[Sample]] = {}
    for number in range(recipe.episodes):
        name = f"s{number // 24 + 1:02}e{number % 24 + 1:02}"
        own_seed = recipe.seed * SEEDS_APART + number  # with one for all, a question's number would tell its clip
        scenes = write_script(own_seed, recipe.minutes)
        render(scenes, out / "videos" / f"{name}.mp4", part_progress(progress, number, recipe.episodes))
        timeline = scene_timeline(name, scenes)
        written = write_questions(scenes, timeline, own_seed, recipe.per_kind)
        asked[name] = [replace(each, video=name) for each in written if each.kind in recipe.kinds]
        clips[name] = [clip.label for clip in timeline.clips]
        lines |= {clip.label: _from_its_start(clip) for clip in timeline.clips}
    asked = balance(asked, recipe.seed)
    first_held_out = recipe.episodes - recipe.held_out
    splits = {"train": list(asked)[:first_held_out], "val": list(asked)[first_held_out:]}
    for split, names in splits.items():
        rows = [as_json(record(sample, number)) for name in names for number, sample in enumerate(asked[name])]
        write_text(out / f"LongTVQA_plus_{split}.json", listed(rows, as_list=True))
    write_subtitles(out, "LongTVQA_plus", clips, lines)
    write_json(out / "clip_durations.json", {clip: SCENE_S for names in clips.values() for clip in names})
    return {
        "episodes": recipe.episodes,
        **{f"{split} questions": sum(len(asked[n]) for n in splits[split]) for split in splits},
    }


def _made_with(out: Path) -> dict[str, Any]:
    """The recipe of the set in a folder, with what older sets do not tell as it was then; empty where there is none."""
    told = read_json(out / MADE)
    usual = {"kinds": list(KINDS), "per_kind": 3, "val_share": VAL_SHARE}
    return usual | told if isinstance(told, dict) else {}


def scene_timeline(name: str, scenes: Sequence[Scene]) -> Timeline:
    """One clip a scene, named as TVQA names clips."""
    clips = []
    for scene in scenes:
        lines = tuple(Subtitle(line.start_s, line.end_s, f"{line.speaker}: {line.text}") for line in scene.lines)
        clips.append(Clip(f"{name}_seg01_clip_{scene.index:02}", scene.start_s, scene.end_s, lines))
    return Timeline(tuple(clips))


def balance(asked: dict[str, list[Sample]], seed: int) -> dict[str, list[Sample]]:
    """The questions with their right options moved so that each place comes equally often."""
    rng = random.Random(seed)
    places = _places(rng)
    return {name: [_moved(sample, next(places)) for sample in samples] for name, samples in asked.items()}


def _places(rng: random.Random) -> Iterator[int]:
    while True:
        yield from rng.sample(range(len(OPTIONS)), len(OPTIONS))


def _moved(sample: Sample, place: int) -> Sample:
    options, index = list(sample.question.options), sample.gold.option_index or 0
    options[index], options[place] = options[place], options[index]
    question = replace(sample.question, options=tuple(options))
    return replace(sample, question=question, gold=replace(sample.gold, option_index=place))


def record(sample: Sample, number: int) -> dict[str, Any]:
    """A question as the release writes it: times within the clip, boxes by frame."""
    gold = sample.gold
    clip_start_s = int((gold.clip or "").rpartition("_")[2]) * SCENE_S
    span = [round((time_s or 0.0) - clip_start_s, 3) for time_s in (gold.start_s, gold.end_s)]
    boxes: dict[str, list[dict[str, Any]]] = {}
    for box in gold.boxes:
        frame = int((box.time_s - clip_start_s) * TVQA_FRAMES_PER_S) + 1
        place = {"left": box.left, "top": box.top, "width": box.width, "height": box.height, "label": box.label}
        boxes.setdefault(str(frame), []).append({"img_id": frame, **place})
    return {
        "qid": f"{sample.video}-{number}",
        "q": sample.question.text,
        **dict(zip(OPTIONS, sample.question.options, strict=True)),
        "answer": OPTIONS[gold.option_index or 0],
        "ts": span,
        "episode_name": sample.video,
        "occur_clip": gold.clip,
        "kind": sample.kind,
        "bbox": boxes,
    }


def extract_frames(out: Path, progress: Progress = no_progress) -> int:
    """Write the frames of every episode, at 3 a second, as ``frames/{clip}/{00001}.jpg``; clips already there
    are kept. Returns how many clips were written."""
    durations = json.loads((out / "clip_durations.json").read_text(encoding="utf-8"))
    missing = [clip for clip in durations if not (out / "frames" / clip).is_dir()]
    for done, clip in enumerate(missing):
        video = VideoFileReader(out / "videos" / f"{clip.partition('_')[0]}.mp4")
        start_s = int(clip.rpartition("_")[2]) * SCENE_S
        times_s = [start_s + index / TVQA_FRAMES_PER_S for index in range(int(durations[clip] * TVQA_FRAMES_PER_S))]
        partial = out / "frames" / f"{clip}.partial"
        partial.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(video.frames(times_s, FRAME_SIDE_PX), 1):
            (partial / f"{number:05}.jpg").write_bytes(frame.jpeg())
        partial.rename(out / "frames" / clip)
        progress("writing frames", (done + 1) / len(missing))
    return len(missing)


def _from_its_start(clip: Clip) -> list[Subtitle]:
    return [
        replace(line, start_s=line.start_s - clip.start_s, end_s=line.end_s - clip.start_s) for line in clip.subtitles
    ]
