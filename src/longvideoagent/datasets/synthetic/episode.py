"""A sample episode made from a seed: a film, its subtitles, and questions whose answers are known.

Four kinds of questions, by what it takes to answer them: ``dialogue`` (lines of one scene),
``pixels`` (a picture of one scene), ``both`` (a line names the moment or person, a picture holds the
answer) and ``before_after`` (a picture before or after a line). Wrong options are right answers to
the same question elsewhere in the episode.
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
    PROP_CROSSES_S,
    BoxPx,
    film,
    prop_box,
    shirt_box,
    sign_box,
    write_srt,
)
from longvideoagent.datasets.synthetic.scenario import (
    COLOUR_RGB,
    NAMES,
    REASONS,
    SCENE_S,
    SIGNS,
    WORDS,
    Scene,
    write_script,
)
from longvideoagent.fs import atomic_path
from longvideoagent.media.video import open_video
from longvideoagent.progress import Progress, no_progress

KINDS = ("dialogue", "pixels", "both", "before_after")
OPTION_COUNT = 5


@dataclass(frozen=True, slots=True)
class SampleEpisode:
    """Where a made episode lies, and its questions."""

    video: Path
    subtitles: Path
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A question before its options are mixed and its clip is known."""

    kind: str
    text: str
    right: str
    wrong: Sequence[str]
    start_s: float
    end_s: float
    boxes: tuple[Box, ...] = ()


def make_episode(
    folder: Path,
    seed: int,
    minutes: int = 20,
    questions_per_kind: int = 3,
    progress: Progress = no_progress,
) -> SampleEpisode:
    """Render the episode of that seed into ``folder`` as ``sample-SEED.mp4``, ``.srt`` and ``.json``; one
    scene a minute, at most 25."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = write_script(seed, minutes)
    video = folder / f"sample-{seed}.mp4"
    render(scenes, video, progress)
    subtitles = video.with_suffix(".srt")
    samples = write_questions(scenes, open_video(video, subtitles).timeline, seed, questions_per_kind)
    listing = video.with_suffix(".json")
    told = json.loads(listing.read_text(encoding="utf-8")) | {"samples": [asdict(sample) for sample in samples]}
    listing.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    return SampleEpisode(video, subtitles, samples)


def render(scenes: Sequence[Scene], video: Path, progress: Progress = no_progress) -> None:
    """Film a script as ``video``, with its subtitles and its script beside it as ``.srt`` and ``.json``. A
    video that already shows this very script is kept; an interrupted run leaves none under that name."""
    subtitles, listing = video.with_suffix(".srt"), video.with_suffix(".json")
    script = json.loads(json.dumps([asdict(scene) for scene in scenes]))
    if video.is_file() and subtitles.is_file() and _read_script(listing) == script:
        return
    listing.unlink(missing_ok=True)  # from here to its rewriting the set is not whole
    with atomic_path(video) as partial:
        film(scenes, partial, progress)
    write_srt(scenes, subtitles)
    listing.write_text(json.dumps({"script": script}, indent=1, ensure_ascii=False), encoding="utf-8")


def _read_script(listing: Path) -> object:
    """The script that a listing was written for; None where there is no readable listing."""
    told = read_json(listing)
    return told.get("script") if isinstance(told, dict) else None


def write_questions(
    scenes: Sequence[Scene], timeline: Timeline, seed: int, questions_per_kind: int
) -> tuple[Sample, ...]:
    """``questions_per_kind`` questions of each kind, each kind about different scenes."""
    rng = random.Random(seed + 1_000_003)
    samples = []
    for kind in KINDS:
        for number, scene in enumerate(rng.sample(list(scenes), min(questions_per_kind, len(scenes)))):
            draft = _DRAFTERS[kind][number % len(_DRAFTERS[kind])](scene, scenes, rng)
            samples.append(_finish(draft, timeline, f"s{seed}-{kind}-{number}", rng))
    return tuple(samples)


def _finish(draft: _Draft, timeline: Timeline, question_id: str, rng: random.Random) -> Sample:
    wrong = [each for each in dict.fromkeys(draft.wrong) if each != draft.right][: OPTION_COUNT - 1]
    options = [draft.right, *wrong]
    rng.shuffle(options)
    question = Question(draft.text, tuple(options), question_id)
    clip = timeline.at((draft.start_s + draft.end_s) / 2).label
    gold = Gold(options.index(draft.right), clip, draft.start_s, draft.end_s, draft.boxes, draft.right)
    return Sample(question, gold, draft.kind)


Drafter = Callable[[Scene, Sequence[Scene], random.Random], _Draft]


def _box(time_s: float, box: BoxPx, label: str) -> tuple[Box, ...]:
    return (Box(time_s, *box, label),)


def _elsewhere(rng: random.Random, here: Sequence[str], everywhere: Sequence[str]) -> list[str]:
    """Wrong answers: first those of the scene itself, then others in random order."""
    others = [each for each in dict.fromkeys(everywhere) if each not in here]
    return [*here, *rng.sample(others, len(others))]


def _asks_for(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:
    line = scene.line("ask")
    return _Draft(
        "dialogue",
        f"At the {scene.place}, what does somebody ask to be brought?",
        f"the {scene.item}",
        _elsewhere(rng, [], [f"the {other.item}" for other in scenes]),
        line.start_s,
        line.end_s,
    )


def _is_late(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:
    line = scene.line("late")
    reasons = [other.reason for other in scenes] + list(REASONS)
    return _Draft(
        "dialogue",
        f"At the {scene.place}, why is {line.speaker} late?",
        "because the {} {}".format(*scene.reason),
        _elsewhere(rng, [], ["because the {} {}".format(*reason) for reason in reasons]),
        line.start_s,
        line.end_s,
    )


def _who_is_late(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:  # noqa: ARG001 (a Drafter)
    line = scene.line("late")
    here = [figure.name for figure in scene.figures]
    return _Draft(
        "dialogue",
        f"At the {scene.place}, who is late?",
        line.speaker,
        _elsewhere(rng, here, NAMES),
        line.start_s,
        line.end_s,
    )


def _shirt_word(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:
    figure = rng.choice(scene.figures)
    return _Draft(
        "pixels",
        f"At the {scene.place}, what word is on {figure.name}'s shirt?",
        figure.word,
        _shirt_words(scene, scenes, rng),
        scene.start_s,
        scene.end_s,
        _box(scene.start_s + SCENE_S / 2, shirt_box(figure), f"{figure.name}'s shirt"),
    )


def _shirt_colour(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:  # noqa: ARG001 (a Drafter)
    figure = rng.choice(scene.figures)
    here = [other.colour for other in scene.figures]
    return _Draft(
        "pixels",
        f"At the {scene.place}, what colour is {figure.name}'s shirt?",
        figure.colour,
        _elsewhere(rng, here, sorted(COLOUR_RGB)),
        scene.start_s,
        scene.end_s,
        _box(scene.start_s + SCENE_S / 2, shirt_box(figure), f"{figure.name}'s shirt"),
    )


def _speakers_shirt(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:
    line = scene.line("state")
    figure = scene.figure(line.speaker)
    return _Draft(
        "both",
        f"What word is on the shirt of the person who says that the {scene.thing} is {scene.state}?",
        figure.word,
        _shirt_words(scene, scenes, rng),
        line.start_s,
        line.end_s,
        _box(line.start_s, shirt_box(figure), f"{figure.name}'s shirt"),
    )


def _shirt_words(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> list[str]:
    here = [figure.word for figure in scene.figures]
    return _elsewhere(rng, here, [figure.word for each in scenes for figure in each.figures] + list(WORDS))


def _sign(kind: str, relation: str) -> Drafter:
    """A question about the sign at, before or after the moment somebody says something."""

    def draft(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:
        line = scene.line("state")
        shown = scene.signs[1] if relation == "after" else scene.signs[0]
        span = (scene.sign_change_s, scene.end_s) if relation == "after" else (scene.start_s, scene.sign_change_s)
        signs = [sign for other in scenes for sign in other.signs] + list(SIGNS)
        return _Draft(
            kind,
            f"What does the sign say {relation} {line.speaker} says that the {scene.thing} is {scene.state}?",
            shown,
            _elsewhere(rng, list(scene.signs), signs),
            *((line.start_s, line.end_s) if relation == "when" else span),
            _box((span[0] + span[1]) / 2, sign_box(), "sign"),
        )

    return draft


def _moving_box(scene: Scene, scenes: Sequence[Scene], rng: random.Random) -> _Draft:  # noqa: ARG001 (a Drafter)
    line = scene.line("warn")
    warned_of = line.text.rstrip("!").split()[-1]
    middle_s = scene.prop_start_s + PROP_CROSSES_S / 2
    here = [figure.colour for figure in scene.figures]
    return _Draft(
        "before_after",
        f"At the {scene.place}, what colour is the box that moves right after {line.speaker} "
        f"says to mind the {warned_of}?",
        scene.prop_colour,
        _elsewhere(rng, here, sorted(COLOUR_RGB)),
        scene.prop_start_s,
        scene.prop_start_s + PROP_CROSSES_S,
        _box(middle_s, prop_box(scene, middle_s), "box"),
    )


_DRAFTERS: dict[str, tuple[Drafter, ...]] = {
    "dialogue": (_asks_for, _is_late, _who_is_late),
    "pixels": (_shirt_word, _shirt_colour),
    "both": (_speakers_shirt, _sign("both", "when")),
    "before_after": (_sign("before_after", "after"), _moving_box, _sign("before_after", "before")),
}
