"""A synthetic episode made from a seed: a video, its subtitles, and questions with known answers.

Four kinds of questions about one moment, by what it takes to answer them: ``dialogue`` (lines of one scene), ``pixels``
(frames of one scene), ``both`` (a line names the moment or person, a frame shows the answer) and ``before_after`` (a
frame before or after a line). Wrong options are right answers to the same question elsewhere in the episode.
``whole_video`` has the kinds about a whole video.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Question, Timeline, TimeSpan
from longvideoagent.datasets.gold import Box, Gold, Reference, Sample
from longvideoagent.datasets.longtvqa.write import read_json
from longvideoagent.datasets.synthetic.question_draft import QuestionDraft, wrong_options
from longvideoagent.datasets.synthetic.render import (
    PROP_CROSSING_S,
    prop_box,
    render_video,
    shirt_box,
    sign_box,
)
from longvideoagent.datasets.synthetic.scenario import (
    COLOUR_RGB,
    NAMES,
    REASONS,
    SCENE_S,
    SIGNS,
    WORDS,
    Figure,
    Scene,
    generate_scenes,
)
from longvideoagent.datasets.synthetic.whole_video import draft_questions
from longvideoagent.datasets.synthetic.wordings import WHOLE_VIDEO_KINDS, Wordings
from longvideoagent.fs import atomic_path
from longvideoagent.index.open import open_video
from longvideoagent.media.subtitles import subtitle_text
from longvideoagent.progress import Progress, no_progress

MOMENT_KINDS = ("dialogue", "pixels", "both", "before_after")
"""Kinds of questions about one moment."""
KINDS = (*MOMENT_KINDS, *WHOLE_VIDEO_KINDS)
NUM_OPTIONS = 5


@dataclass(frozen=True, slots=True)
class SyntheticEpisode:
    """The files of a synthetic episode, and its questions."""

    video: Path
    subtitles: Path
    samples: tuple[Sample, ...]


def generate_episode(
    folder: Path,
    seed: int,
    minutes: int = 20,
    questions_per_kind: int = 3,
    progress: Progress = no_progress,
) -> SyntheticEpisode:
    """Generate the episode of a seed in ``folder`` as ``sample-SEED.mp4``, ``.srt`` and ``.json``; one scene a
    minute, at most 25."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = generate_scenes(seed, minutes)
    video = folder / f"sample-{seed}.mp4"
    write_episode(scenes, video, progress)
    subtitles = video.with_suffix(".srt")
    samples = write_questions(scenes, open_video(video, subtitles).timeline, seed, questions_per_kind)
    metadata_file = video.with_suffix(".json")
    metadata = json.loads(metadata_file.read_text(encoding="utf-8")) | {"samples": [*map(asdict, samples)]}
    metadata_file.write_text(json.dumps(metadata, indent=1, ensure_ascii=False), encoding="utf-8")
    return SyntheticEpisode(video, subtitles, samples)


def write_episode(scenes: Sequence[Scene], video: Path, progress: Progress = no_progress) -> None:
    """Render scenes as ``video``, with subtitles and metadata next to it as ``.srt`` and ``.json``. A video that
    shows these scenes already is kept; an interrupted run leaves no incomplete video under that name."""
    subtitles, metadata_file = video.with_suffix(".srt"), video.with_suffix(".json")
    fields = json.loads(json.dumps([_scene_fields(scene) for scene in scenes]))
    if video.is_file() and subtitles.is_file() and _read_scenes(metadata_file) == fields:
        return
    metadata_file.unlink(missing_ok=True)  # from here until it is written again the episode is incomplete
    with atomic_path(video) as partial:
        render_video(scenes, partial, progress)
    lines = [line for scene in scenes for line in scene.subtitles]
    subtitles.write_text(subtitle_text(lines, "srt"), encoding="utf-8")
    metadata_file.write_text(json.dumps({"scenes": fields}, indent=1, ensure_ascii=False), encoding="utf-8")


def _scene_fields(scene: Scene) -> dict[str, Any]:
    """A scene as plain values. Scenes without a flash have no field for it, as those of earlier versions."""
    fields = asdict(scene)
    return fields if scene.flash else {name: value for name, value in fields.items() if name != "flash"}


def _read_scenes(metadata_file: Path) -> object:
    """The scenes of a metadata file, or None. Their earlier name was ``script``."""
    metadata = read_json(metadata_file)
    return metadata.get("scenes", metadata.get("script")) if isinstance(metadata, dict) else None


def write_questions(
    scenes: Sequence[Scene], timeline: Timeline, seed: int, questions_per_kind: int
) -> tuple[Sample, ...]:
    """``questions_per_kind`` questions of each kind about one moment, each about another scene."""
    rng = random.Random(seed + 1_000_003)
    samples = []
    for kind in MOMENT_KINDS:
        templates = _TEMPLATES[kind]
        for number, scene in enumerate(rng.sample(list(scenes), min(questions_per_kind, len(scenes)))):
            draft = templates[number % len(templates)](scene, scenes, rng)
            samples.append(_to_sample(draft, kind, timeline, f"s{seed}-{kind}-{number}", rng))
    return tuple(samples)


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """Which questions about a whole video are asked, and how."""

    kinds: Collection[str] = WHOLE_VIDEO_KINDS
    questions_per_kind: int = 3
    wordings: Wordings = "all"


def write_whole_video_questions(
    scenes: Sequence[Scene], timeline: Timeline, seed: int, plan: QuestionPlan
) -> tuple[Sample, ...]:
    """The questions of a plan about a whole video."""
    samples = []
    for kind in (kind for kind in WHOLE_VIDEO_KINDS if kind in plan.kinds):
        rng = random.Random(f"{seed}-{kind}")
        drafts = draft_questions(scenes, kind, plan.questions_per_kind, rng, plan.wordings)
        for number, draft in enumerate(drafts):
            samples.append(_to_sample(draft, kind, timeline, f"s{seed}-{kind}-{number}", rng))
    return tuple(samples)


def _to_sample(draft: QuestionDraft, kind: str, timeline: Timeline, question_id: str, rng: random.Random) -> Sample:
    every = [option for option in dict.fromkeys(draft.wrong) if option != draft.correct_option]
    options = [draft.correct_option, *every[: NUM_OPTIONS - 1]]
    rng.shuffle(options)
    question = Question(draft.text, tuple(options), question_id)
    clip = timeline.clip_at(sum(draft.span) / 2).label if draft.span else None
    start_s, end_s = draft.span or (None, None)
    values = (draft.correct_option, draft.correct_option.removeprefix("because "))
    wrong = tuple(each.removeprefix("because ") for each in every)
    reference = draft.reference or Reference("exact_match", tuple(dict.fromkeys(values)), wrong)
    correct = options.index(draft.correct_option)
    gold = Gold(correct, clip, start_s, end_s, draft.boxes, draft.correct_option, reference=reference)
    return Sample(question, gold, kind)


Template = Callable[[Scene, Sequence[Scene], random.Random], QuestionDraft]
"""Writes a question about a scene; the other scenes supply wrong options."""


# --- dialogue: a line gives the answer -----------------------------------------------------------


def _requested_item(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:
    text = f"At the {scene.place}, what does somebody ask to be brought?"
    wrong = wrong_options(rng, [], [f"the {other.item}" for other in scenes])
    return QuestionDraft(text, f"the {scene.item}", wrong, scene.line("ask").span)


def _late_reason(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:
    line = scene.line("late")
    text = f"At the {scene.place}, why is {line.speaker} late?"
    reasons = [other.reason for other in scenes] + list(REASONS)
    wrong = wrong_options(rng, [], ["because the {} {}".format(*reason) for reason in reasons])
    return QuestionDraft(text, "because the {} {}".format(*scene.reason), wrong, line.span)


def _late_person(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:  # noqa: ARG001 (a Template)
    line = scene.line("late")
    wrong = wrong_options(rng, [figure.name for figure in scene.figures], NAMES)
    return QuestionDraft(f"At the {scene.place}, who is late?", line.speaker, wrong, line.span)


# --- pixels and both: a frame gives the answer ---------------------------------------------------


def _shirt_word(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:
    figure = rng.choice(scene.figures)
    text = f"At the {scene.place}, what word is on {figure.name}'s shirt?"
    wrong = _wrong_words(scene, scenes, rng)
    return QuestionDraft(text, figure.word, wrong, scene.span, _shirt(figure, scene.start_s + SCENE_S / 2))


def _shirt_colour(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:  # noqa: ARG001 (a Template)
    figure = rng.choice(scene.figures)
    text = f"At the {scene.place}, what colour is {figure.name}'s shirt?"
    wrong = _wrong_colours(scene, rng)
    return QuestionDraft(text, figure.colour, wrong, scene.span, _shirt(figure, scene.start_s + SCENE_S / 2))


def _speakers_shirt(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:
    line = scene.line("state")
    figure = scene.figure(line.speaker)
    text = f"What word is on the shirt of the person who says that the {scene.thing} is {scene.state}?"
    wrong = _wrong_words(scene, scenes, rng)
    return QuestionDraft(text, figure.word, wrong, line.span, _shirt(figure, line.start_s))


def _shirt(figure: Figure, time_s: float) -> tuple[Box, ...]:
    return (Box(time_s, *shirt_box(figure), f"{figure.name}'s shirt"),)


def _wrong_words(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> list[str]:
    own = [figure.word for figure in scene.figures]
    return wrong_options(rng, own, [figure.word for other in scenes for figure in other.figures] + list(WORDS))


def _wrong_colours(scene: Scene, rng: random.Random) -> list[str]:
    return wrong_options(rng, [figure.colour for figure in scene.figures], sorted(COLOUR_RGB))


# --- both and before_after: a line gives the moment, a frame the answer --------------------------


def _sign(relation: str) -> Template:
    """A question about the sign when, before or after somebody says something."""

    def draft(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:
        line = scene.line("state")
        text = f"What does the sign say {relation} {line.speaker} says that the {scene.thing} is {scene.state}?"
        shown = scene.signs[1] if relation == "after" else scene.signs[0]
        wrong = wrong_options(rng, list(scene.signs), [sign for other in scenes for sign in other.signs] + list(SIGNS))
        before, after = TimeSpan(scene.start_s, scene.sign_change_s), TimeSpan(scene.sign_change_s, scene.end_s)
        shown_span = after if relation == "after" else before
        boxes = (Box(sum(shown_span) / 2, *sign_box(), "sign"),)
        return QuestionDraft(text, shown, wrong, line.span if relation == "when" else shown_span, boxes)

    return draft


def _moving_box(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> QuestionDraft:  # noqa: ARG001 (a Template)
    line = scene.line("warn")
    hazard = line.text.rstrip("!").split()[-1]
    text = (
        f"At the {scene.place}, what colour is the box that moves right after {line.speaker} says to mind the {hazard}?"
    )
    middle_s = scene.prop_start_s + PROP_CROSSING_S / 2
    span = TimeSpan(scene.prop_start_s, scene.prop_start_s + PROP_CROSSING_S)
    boxes = (Box(middle_s, *prop_box(scene, middle_s), "box"),)
    return QuestionDraft(text, scene.prop_colour, _wrong_colours(scene, rng), span, boxes)


_TEMPLATES: dict[str, tuple[Template, ...]] = {
    "dialogue": (_requested_item, _late_reason, _late_person),
    "pixels": (_shirt_word, _shirt_colour),
    "both": (_speakers_shirt, _sign("when")),
    "before_after": (_sign("after"), _moving_box, _sign("before")),
}
