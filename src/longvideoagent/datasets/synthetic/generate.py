"""A data set of synthetic episodes in the layout of LongTVQA+, which needs no download.

The correct option is equally often at each index, and wrong options are right ones elsewhere, so neither their length
nor the words of the question reveal the answer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from longvideoagent.core.types import Clip, Subtitle, Timeline
from longvideoagent.datasets.gold import Gold, Sample
from longvideoagent.datasets.longtvqa.questions import OPTIONS, WHOLE_VIDEO_SCOPE
from longvideoagent.datasets.longtvqa.reference import reference_to_dict
from longvideoagent.datasets.longtvqa.write import (
    join_records,
    read_json,
    to_json,
    write_json,
    write_subtitles,
    write_text,
)
from longvideoagent.datasets.synthetic.episode import (
    KINDS,
    MOMENT_KINDS,
    QuestionPlan,
    write_episode,
    write_questions,
    write_whole_video_questions,
)
from longvideoagent.datasets.synthetic.scenario import SCENE_S, Scene, add_flashes, generate_scenes
from longvideoagent.datasets.synthetic.wordings import WHOLE_VIDEO_KINDS, WORDINGS, Wordings
from longvideoagent.errors import UsageError
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.readers.frame_folder import TVQA_FRAMES_PER_S
from longvideoagent.progress import Progress, no_progress, part_progress

DEFAULT_VAL_FRACTION = 0.2
CONFIG_FILE = "synthetic.json"
"""The config of the data set in a folder, so that an interrupted run resumes and another data set is refused."""
OLD_CONFIG_FILE = "made.json"
"""The earlier name of this file, which is still read."""
OLD_FIELDS = {"per_kind": "questions_per_kind", "val_share": "val_fraction"}
MAX_FRAME_SIDE_PX = 640
SEED_STRIDE = 100_000
"""An episode's seed is the data set's seed times this, plus its number, so that two seeds share no episode."""
Form = Literal["multiple-choice", "open-ended", "both"]
FORMS: tuple[Form, ...] = get_args(Form)
OPEN_SUFFIX = "-open"
"""Of the id of a question that is also asked with options."""


KIND_GROUPS = {"moment": MOMENT_KINDS, "whole-video": WHOLE_VIDEO_KINDS, "all": KINDS}
"""Names that stand for several kinds."""


def expand_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Kinds by their names and by those of groups, each once. Unknown names are kept, for ``SyntheticConfig`` to
    refuse."""
    spelled = (name if name in KIND_GROUPS else name.replace("-", "_") for name in names)
    return tuple(dict.fromkeys(kind for name in spelled for kind in KIND_GROUPS.get(name, (name,))))


@dataclass(frozen=True, slots=True)
class SyntheticConfig:
    """What a synthetic data set consists of. Raises UsageError for impossible values."""

    episodes: int
    minutes: int = 20
    """Length of an episode."""
    seed: int = 0
    kinds: tuple[str, ...] = MOMENT_KINDS
    """Kinds of questions."""
    questions_per_kind: int = 3
    """Questions of each kind about an episode; those about one moment are each about another minute."""
    val_fraction: float = DEFAULT_VAL_FRACTION
    form: Form = "multiple-choice"
    """Whether questions have options; with ``both`` each is asked with and without them."""
    wordings: Wordings = "all"
    """The wordings of questions about the whole video: all, or one part of their split."""

    def __post_init__(self) -> None:
        if not 1 <= self.episodes <= 1000 or not 5 <= self.minutes <= 25:  # five options need five scenes
            raise UsageError(f"{self.episodes} episodes of {self.minutes} minutes: give 1 to 1000 of 5 to 25")
        if not 1 <= self.questions_per_kind <= self.minutes:
            raise UsageError(
                f"{self.questions_per_kind} questions of a kind: give 1 to {self.minutes}, one for each minute"
            )
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise UsageError(f"kind {', '.join(unknown) or 'none'}: unknown; give {', '.join((*KIND_GROUPS, *KINDS))}")
        for name, value, values in (("form", self.form, FORMS), ("wordings", self.wordings, WORDINGS)):
            if value not in values:
                raise UsageError(f"{name} {value}: unknown; give {', '.join(values)}")
        if not 0 < self.val_fraction < 1:
            raise UsageError(f"a val fraction of {self.val_fraction}: give more than 0 and less than 1")

    @property
    def num_val_episodes(self) -> int:
        """How many episodes are split val: at least one if there are two."""
        num_rest = self.episodes - 1
        return min(num_rest, max(1, round(self.episodes * self.val_fraction))) if num_rest else 0


def make_config(**values: Any) -> SyntheticConfig:
    """A configuration from values that may be of other types, such as those of a command line. Raises UsageError for
    impossible ones."""
    return SyntheticConfig(**values)


def generate_dataset(out: Path, config: SyntheticConfig, progress: Progress = no_progress) -> dict[str, int]:
    """Generate the episodes with their questions; the last ones are split val. Finished videos are kept. Returns
    counts. Raises UsageError if the folder holds anything else."""
    fields = json.loads(json.dumps(asdict(config)))
    if out.is_dir() and any(out.iterdir()) and _read_config(out) != fields:
        raise UsageError(f"{out}: holds another data set or other files; choose another folder")
    write_json(out / CONFIG_FILE, fields)
    lines: dict[str, list[Subtitle]] = {}
    clips: dict[str, list[str]] = {}
    samples: dict[str, list[Sample]] = {}
    for number in range(config.episodes):
        name = f"s{number // 24 + 1:02}e{number % 24 + 1:02}"
        seed = config.seed * SEED_STRIDE + number  # with one seed for all, a question's number would reveal its clip
        scenes = generate_scenes(seed, config.minutes)
        if "fast_event" in config.kinds:
            scenes = add_flashes(scenes, seed)
        write_episode(scenes, out / "videos" / f"{name}.mp4", part_progress(progress, number, config.episodes))
        timeline = scene_timeline(name, scenes)
        plan = QuestionPlan(config.kinds, config.questions_per_kind, config.wordings)
        questions = write_questions(scenes, timeline, seed, config.questions_per_kind)
        questions += write_whole_video_questions(scenes, timeline, seed, plan)
        samples[name] = [replace(sample, video=name) for sample in questions if sample.kind in config.kinds]
        clips[name] = [clip.label for clip in timeline.clips]
        lines |= {clip.label: _relative_lines(clip) for clip in timeline.clips}
    samples = balance_answers(samples, config.seed)
    num_train = config.episodes - config.num_val_episodes
    splits = {"train": list(samples)[:num_train], "val": list(samples)[num_train:]}
    counts = {"episodes": config.episodes}
    for split, names in splits.items():
        records = [
            record
            for name in names
            for number, sample in enumerate(samples[name])
            for record in _in_form(to_release_record(sample, number), config.form)
        ]
        write_text(out / f"LongTVQA_plus_{split}.json", join_records([*map(to_json, records)], as_list=True))
        counts[f"{split} questions"] = len(records)
    write_subtitles(out, "LongTVQA_plus", clips, lines)
    write_json(out / "clip_durations.json", {clip: SCENE_S for names in clips.values() for clip in names})
    return counts


def _read_config(out: Path) -> dict[str, Any]:
    """The config of the data set in a folder, with the defaults of fields that older versions did not write; empty if
    there is none."""
    fields = read_json(out / CONFIG_FILE)
    if fields is None:
        fields = read_json(out / OLD_CONFIG_FILE)
    if not isinstance(fields, dict):
        return {}
    defaults: dict[str, Any] = {
        "kinds": list(MOMENT_KINDS),
        "questions_per_kind": 3,
        "val_fraction": DEFAULT_VAL_FRACTION,
        "form": "multiple-choice",
        "wordings": "all",
    }
    return defaults | {OLD_FIELDS.get(str(name), str(name)): value for name, value in fields.items()}


def scene_timeline(name: str, scenes: Sequence[Scene]) -> Timeline:
    """One clip a scene, with TVQA's names of clips."""
    return Timeline(
        tuple(
            Clip(f"{name}_seg01_clip_{scene.index:02}", scene.start_s, scene.end_s, scene.subtitles) for scene in scenes
        )
    )


def balance_answers(samples: dict[str, list[Sample]], seed: int) -> dict[str, list[Sample]]:
    """Move the correct options so that each index is equally often the right one."""
    indices = _balanced_indices(random.Random(seed))
    return {name: [_move_answer(sample, next(indices)) for sample in group] for name, group in samples.items()}


def _balanced_indices(rng: random.Random) -> Iterator[int]:
    while True:
        yield from rng.sample(range(len(OPTIONS)), len(OPTIONS))


def _move_answer(sample: Sample, new_index: int) -> Sample:
    options, index = list(sample.question.options), sample.gold.option_index or 0
    options[index], options[new_index] = options[new_index], options[index]
    question = replace(sample.question, options=tuple(options))
    return replace(sample, question=question, gold=replace(sample.gold, option_index=new_index))


def to_release_record(sample: Sample, number: int) -> dict[str, Any]:
    """A question with the fields of the release: times within the clip, boxes by frame. Two fields are not of the
    release: ``reference``, by which an open-ended answer is scored, and ``scope``, which is ``video`` for a question
    that is not about one clip; its ``occur_clip`` only names the episode."""
    gold = sample.gold
    record: dict[str, Any] = {
        "qid": f"{sample.video}-{number}",
        "q": sample.question.text,
        **dict(zip(OPTIONS, sample.question.options, strict=True)),
        "answer": OPTIONS[gold.option_index or 0],
        "episode_name": sample.video,
        "kind": sample.kind,
    }
    if gold.reference is not None:
        record["reference"] = reference_to_dict(gold.reference)
    if gold.clip is None:
        return record | {"occur_clip": f"{sample.video}_seg01_clip_00", "scope": WHOLE_VIDEO_SCOPE}
    return record | {"occur_clip": gold.clip, **_moment_fields(gold, gold.clip)}


def _moment_fields(gold: Gold, clip: str) -> dict[str, Any]:
    """The fields ``ts`` and ``bbox`` of a question about one clip."""
    clip_start_s = int(clip.rpartition("_")[2]) * SCENE_S
    span = [round((time_s or 0.0) - clip_start_s, 3) for time_s in (gold.start_s, gold.end_s)]
    boxes: dict[str, list[dict[str, Any]]] = {}
    for box in gold.boxes:
        frame = int((box.time_s - clip_start_s) * TVQA_FRAMES_PER_S) + 1
        region = {"left": box.left, "top": box.top, "width": box.width, "height": box.height, "label": box.label}
        boxes.setdefault(str(frame), []).append({"img_id": frame, **region})
    return {"ts": span, "bbox": boxes}


def _in_form(record: dict[str, Any], form: Form) -> list[dict[str, Any]]:
    """A record with its options, without them but with its reference, or both."""
    open_record = {name: value for name, value in record.items() if name not in (*OPTIONS, "answer")}
    record = {name: value for name, value in record.items() if name != "reference"}
    if form == "open-ended":
        return [open_record]
    return [record] if form == "multiple-choice" else [record, open_record | {"qid": f"{record['qid']}{OPEN_SUFFIX}"}]


def extract_frames(out: Path, progress: Progress = no_progress) -> int:
    """Write the frames of every clip, at 3 a second, as ``frames/{clip}/{00001}.jpg``; clips that have frames are
    kept. Returns how many clips were written."""
    durations = json.loads((out / "clip_durations.json").read_text(encoding="utf-8"))
    missing = [clip for clip in durations if not (out / "frames" / clip).is_dir()]
    for done, clip in enumerate(missing, 1):
        reader = VideoFileReader(out / "videos" / f"{clip.partition('_')[0]}.mp4")
        start_s = int(clip.rpartition("_")[2]) * SCENE_S
        times_s = [start_s + index / TVQA_FRAMES_PER_S for index in range(int(durations[clip] * TVQA_FRAMES_PER_S))]
        partial = out / "frames" / f"{clip}.partial"
        partial.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(reader.frames(times_s, MAX_FRAME_SIDE_PX), 1):
            (partial / f"{number:05}.jpg").write_bytes(frame.jpeg())
        partial.rename(out / "frames" / clip)
        progress("writing frames", done / len(missing))
    return len(missing)


def _relative_lines(clip: Clip) -> list[Subtitle]:
    """The lines of a clip, timed from its start."""
    return [
        replace(line, start_s=line.start_s - clip.start_s, end_s=line.end_s - clip.start_s) for line in clip.subtitles
    ]
