"""A synthetic episode made from a seed: a video, its subtitles, and questions with known answers.

Four kinds of questions, by what it takes to answer them: ``dialogue`` (lines of one scene), ``pixels`` (frames of one
scene), ``both`` (a line names the moment or person, a frame shows the answer) and ``before_after`` (a frame before or
after a line). Wrong options are right answers to the same question elsewhere in the episode.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from longvideoagent.core.types import Question, Timeline
from longvideoagent.datasets.gold import Box, Gold, Sample
from longvideoagent.datasets.longtvqa.write import read_json
from longvideoagent.datasets.synthetic.render import (
    PROP_CROSSING_S,
    BoxPx,
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
    Scene,
    generate_scenes,
)
from longvideoagent.fs import atomic_path
from longvideoagent.index.open import open_video
from longvideoagent.media.subtitles import subtitle_text
from longvideoagent.progress import Progress, no_progress

KINDS = ("dialogue", "pixels", "both", "before_after")
NUM_OPTIONS = 5


@dataclass(frozen=True, slots=True)
class SyntheticEpisode:
    """The files of a synthetic episode, and its questions."""

    video: Path
    subtitles: Path
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class _QuestionDraft:
    """A question before its options are shuffled and its clip is known."""

    kind: str
    text: str
    correct_option: str
    wrong: Sequence[str]
    start_s: float
    end_s: float
    boxes: tuple[Box, ...] = ()


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
    fields = json.loads(json.dumps([asdict(scene) for scene in scenes]))
    if video.is_file() and subtitles.is_file() and _read_scenes(metadata_file) == fields:
        return
    metadata_file.unlink(missing_ok=True)  # from here until it is written again the episode is incomplete
    with atomic_path(video) as partial:
        render_video(scenes, partial, progress)
    lines = [line for scene in scenes for line in scene.subtitles]
    subtitles.write_text(subtitle_text(lines, "srt"), encoding="utf-8")
    metadata_file.write_text(json.dumps({"scenes": fields}, indent=1, ensure_ascii=False), encoding="utf-8")


def _read_scenes(metadata_file: Path) -> object:
    """The scenes of a metadata file, or None. Their earlier name was ``script``."""
    metadata = read_json(metadata_file)
    return metadata.get("scenes", metadata.get("script")) if isinstance(metadata, dict) else None


def write_questions(
    scenes: Sequence[Scene], timeline: Timeline, seed: int, questions_per_kind: int
) -> tuple[Sample, ...]:
    """``questions_per_kind`` questions of each kind, each about another scene."""
    rng = random.Random(seed + 1_000_003)
    samples = []
    for kind in KINDS:
        templates = _TEMPLATES[kind]
        for number, scene in enumerate(rng.sample(list(scenes), min(questions_per_kind, len(scenes)))):
            draft = templates[number % len(templates)](scene, scenes, rng)
            samples.append(_to_sample(draft, timeline, f"s{seed}-{kind}-{number}", rng))
    return tuple(samples)


def _to_sample(draft: _QuestionDraft, timeline: Timeline, question_id: str, rng: random.Random) -> Sample:
    wrong = [option for option in dict.fromkeys(draft.wrong) if option != draft.correct_option][: NUM_OPTIONS - 1]
    options = [draft.correct_option, *wrong]
    rng.shuffle(options)
    question = Question(draft.text, tuple(options), question_id)
    clip = timeline.clip_at((draft.start_s + draft.end_s) / 2).label
    gold = Gold(
        options.index(draft.correct_option), clip, draft.start_s, draft.end_s, draft.boxes, draft.correct_option
    )
    return Sample(question, gold, draft.kind)


Template = Callable[[Scene, Sequence[Scene], random.Random], _QuestionDraft]
"""Writes a question about a scene; the other scenes supply wrong options."""


def _box(time_s: float, box: BoxPx, label: str) -> tuple[Box, ...]:
    return (Box(time_s, *box, label),)


def _wrong_options(rng: random.Random, own: Sequence[str], pool: Sequence[str]) -> list[str]:
    """Wrong options: first those of the scene itself, then others in random order."""
    others = [option for option in dict.fromkeys(pool) if option not in own]
    return [*own, *rng.sample(others, len(others))]


def _requested_item(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:
    line = scene.line("ask")
    return _QuestionDraft(
        "dialogue",
        f"At the {scene.place}, what does somebody ask to be brought?",
        f"the {scene.item}",
        _wrong_options(rng, [], [f"the {other.item}" for other in scenes]),
        line.start_s,
        line.end_s,
    )


def _late_reason(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:
    line = scene.line("late")
    reasons = [other.reason for other in scenes] + list(REASONS)
    return _QuestionDraft(
        "dialogue",
        f"At the {scene.place}, why is {line.speaker} late?",
        "because the {} {}".format(*scene.reason),
        _wrong_options(rng, [], ["because the {} {}".format(*reason) for reason in reasons]),
        line.start_s,
        line.end_s,
    )


def _late_person(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:  # noqa: ARG001 (a Template)
    line = scene.line("late")
    own = [figure.name for figure in scene.figures]
    return _QuestionDraft(
        "dialogue",
        f"At the {scene.place}, who is late?",
        line.speaker,
        _wrong_options(rng, own, NAMES),
        line.start_s,
        line.end_s,
    )


def _shirt_word(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:
    figure = rng.choice(scene.figures)
    return _QuestionDraft(
        "pixels",
        f"At the {scene.place}, what word is on {figure.name}'s shirt?",
        figure.word,
        _shirt_words(scene, scenes, rng),
        scene.start_s,
        scene.end_s,
        _box(scene.start_s + SCENE_S / 2, shirt_box(figure), f"{figure.name}'s shirt"),
    )


def _shirt_colour(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:  # noqa: ARG001 (a Template)
    figure = rng.choice(scene.figures)
    own = [other.colour for other in scene.figures]
    return _QuestionDraft(
        "pixels",
        f"At the {scene.place}, what colour is {figure.name}'s shirt?",
        figure.colour,
        _wrong_options(rng, own, sorted(COLOUR_RGB)),
        scene.start_s,
        scene.end_s,
        _box(scene.start_s + SCENE_S / 2, shirt_box(figure), f"{figure.name}'s shirt"),
    )


def _speakers_shirt(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:
    line = scene.line("state")
    figure = scene.figure(line.speaker)
    return _QuestionDraft(
        "both",
        f"What word is on the shirt of the person who says that the {scene.thing} is {scene.state}?",
        figure.word,
        _shirt_words(scene, scenes, rng),
        line.start_s,
        line.end_s,
        _box(line.start_s, shirt_box(figure), f"{figure.name}'s shirt"),
    )


def _shirt_words(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> list[str]:
    own = [figure.word for figure in scene.figures]
    return _wrong_options(rng, own, [figure.word for other in scenes for figure in other.figures] + list(WORDS))


def _sign(kind: str, relation: str) -> Template:
    """A question about the sign when, before or after somebody says something."""

    def draft(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:
        line = scene.line("state")
        shown = scene.signs[1] if relation == "after" else scene.signs[0]
        span = (scene.sign_change_s, scene.end_s) if relation == "after" else (scene.start_s, scene.sign_change_s)
        signs = [sign for other in scenes for sign in other.signs] + list(SIGNS)
        return _QuestionDraft(
            kind,
            f"What does the sign say {relation} {line.speaker} says that the {scene.thing} is {scene.state}?",
            shown,
            _wrong_options(rng, list(scene.signs), signs),
            *((line.start_s, line.end_s) if relation == "when" else span),
            _box((span[0] + span[1]) / 2, sign_box(), "sign"),
        )

    return draft


def _moving_box(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _QuestionDraft:  # noqa: ARG001 (a Template)
    line = scene.line("warn")
    hazard = line.text.rstrip("!").split()[-1]
    middle_s = scene.prop_start_s + PROP_CROSSING_S / 2
    own = [figure.colour for figure in scene.figures]
    return _QuestionDraft(
        "before_after",
        f"At the {scene.place}, what colour is the box that moves right after {line.speaker} "
        f"says to mind the {hazard}?",
        scene.prop_colour,
        _wrong_options(rng, own, sorted(COLOUR_RGB)),
        scene.prop_start_s,
        scene.prop_start_s + PROP_CROSSING_S,
        _box(middle_s, prop_box(scene, middle_s), "box"),
    )


_TEMPLATES: dict[str, tuple[Template, ...]] = {
    "dialogue": (_requested_item, _late_reason, _late_person),
    "pixels": (_shirt_word, _shirt_colour),
    "both": (_speakers_shirt, _sign("both", "when")),
    "before_after": (_sign("before_after", "after"), _moving_box, _sign("before_after", "before")),
}
