"""A master that reads right and acts at random: what the tiny model is warm-started on.

Its thoughts quote what it has been told and no more: whether the asked place is named in a clip it was shown, and then
what the lines or the frames say. Its action is drawn by lot, whatever it knows. So a model that is taught on its
trajectories can read and speaks the protocol, and has yet to learn when to look, to relocate and to answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Reply, VisionResult
from longvideoagent.datasets.synthetic.scenario import Scene
from longvideoagent.media.readers.base import VideoReader

PRESENT, ABSENT, UNSEEN = "yes", "no", "unseen"
ACTIONS = {"look": 0.4, "move": 0.25, "answer": 0.35}
LOOK, MOVE = "<search>people</search>", "<request_grounding></request_grounding>"


@dataclass(frozen=True, slots=True)
class Known:
    """What a trace tells about its question."""

    thought: str
    answer: str | None


def read(trace: Trace) -> Known:
    """The thought that quotes what is known, and the answer where it is. Questions are those of ``questions``."""
    asked = re.findall(r"At the (\w+)", trace.question.text)[0]
    assert trace.current is not None
    clip = trace.current.clip
    lines = [line.text for line in clip.subtitles]
    place = re.findall(r"(?:Here we are at|So much for) the (\w+)", "\n".join(lines))[0]
    if place != asked:
        return Known(f"{asked}? {place} {ABSENT}", None)
    told = _told(trace, lines, clip.label)
    thought = f"{asked}? {place} {PRESENT}\n{told or UNSEEN}"
    return Known(thought, told if told is None else _as_answer(trace.question.text, told))


def _told(trace: Trace, lines: Sequence[str], clip: str) -> str | None:
    """The words that answer, as the clip's lines or a look at it told them."""
    text = trace.question.text
    spoken = {
        "ask to be brought": r"bring me (the \w+)",
        "why is": r"I am late, (the .*)\.",
        "who is late": r"^(\w+): Sorry that I am late",
    }
    for asked, pattern in spoken.items():
        if asked in text:
            return next(found[1] for line in lines for found in [re.search(pattern, line)] if found)
    seen = [
        each.observation for each in trace.rounds if each.clip == clip and isinstance(each.observation, VisionResult)
    ]
    found = [re.search(r"something (\w+) moves", each.text) for each in seen]
    return next((each[1] for each in found if each), None)


def _as_answer(text: str, told: str) -> str:
    return f"because {told}" if "why is" in text else told


@dataclass(frozen=True, slots=True)
class Wanderer:
    """See the module. It answers by lot where it does not know, and at last."""

    lot: random.Random

    async def reply(self, trace: Trace) -> Reply:
        """The next utterance."""
        known = read(trace)
        action = "answer" if trace.is_last_round else self.lot.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        answer = known.answer or self.lot.choice(trace.question.options)
        said = {"look": LOOK, "move": MOVE, "answer": f"<answer>{answer}</answer>"}[action]
        return Reply(f"<think>{known.thought}</think>{said}")


@dataclass(frozen=True, slots=True)
class ScriptVision:
    """What the offline vision would see, told from the script of an episode that was never filmed."""

    scenes: Sequence[Scene]

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:  # noqa: ARG002 (there is none)
        """In the offline vision's words."""
        (clip,) = request.clips
        scene = next(each for each in self.scenes if each.start_s == clip.start_s)
        first, last = clip.start_s + 2, clip.end_s - 2
        left, middle, right = (
            f"“{each.name}” on white above “{each.word}” on {each.colour}"
            for each in sorted(scene.figures, key=lambda figure: figure.slot)
        )
        way = "right" if scene.prop_goes_right else "left"
        told = [
            (first, scene.sign_change_s, f"text at the top middle: “{scene.signs[0]}” on white above {middle}"),
            (first, last, f"text at the top left: {left}"),
            (first, last, f"text at the top right: {right}"),
            (first, last, "mostly white and grey"),
            (scene.sign_change_s, last, f"text at the top middle: “{scene.signs[1]}” on white above {middle}"),
            (scene.prop_start_s, scene.prop_start_s + 8, f"something {scene.prop_colour} moves to the {way}"),
        ]
        head = f"15 frames from {format_timestamp(first)} to {format_timestamp(last)}."
        return VisionResult(
            "\n".join(
                [head, *(f"{format_timestamp(begin)} to {format_timestamp(end)}: {text}" for begin, end, text in told)]
            )
        )
