"""A master that reads correctly and acts at random: its trajectories are what the tiny model is fine-tuned on.

Its thoughts quote its observations and nothing else: whether the place of the question is named in the current clip,
and then what the subtitles or the frames say. Its action is drawn at random, whatever it knows. So a model fine-tuned
on its trajectories can read and produces valid actions, but has yet to learn when to look, relocate and answer.
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

PRESENT, ABSENT, UNKNOWN = "yes", "no", "unseen"
ACTION_WEIGHTS = {"look": 0.4, "relocate": 0.25, "answer": 0.35}
LOOK, RELOCATE = "<search>people</search>", "<request_grounding></request_grounding>"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a trace says about its question."""

    thought: str
    answer: str | None


def read_trace(trace: Trace) -> Knowledge:
    """The thought that quotes what is known, and the answer or None. Questions are those of ``questions``."""
    wanted = re.findall(r"At the (\w+)", trace.question.text)[0]
    assert trace.current_observation is not None
    clip = trace.current_observation.clip
    lines = [line.text for line in clip.subtitles]
    place = re.findall(r"(?:Here we are at|So much for) the (\w+)", "\n".join(lines))[0]
    if place != wanted:
        return Knowledge(f"{wanted}? {place} {ABSENT}", None)
    words = _find_answer(trace, lines, clip.label)
    thought = f"{wanted}? {place} {PRESENT}\n{words or UNKNOWN}"
    return Knowledge(thought, None if words is None else _as_option(trace.question.text, words))


def _find_answer(trace: Trace, lines: Sequence[str], clip: str) -> str | None:
    """The words that answer, from the clip's subtitles or from a look at it."""
    question = trace.question.text
    patterns = {
        "ask to be brought": r"bring me (the \w+)",
        "why is": r"I am late, (the .*)\.",
        "who is late": r"^(\w+): Sorry that I am late",
    }
    for phrase, pattern in patterns.items():
        if phrase in question:
            return next(match[1] for line in lines for match in [re.search(pattern, line)] if match)
    observations = [round_.observation for round_ in trace.rounds if round_.clip == clip]
    texts = [observation.text for observation in observations if isinstance(observation, VisionResult)]
    matches = [re.search(r"something (\w+) moves", text) for text in texts]
    return next((match[1] for match in matches if match), None)


def _as_option(question: str, words: str) -> str:
    return f"because {words}" if "why is" in question else words


@dataclass(frozen=True, slots=True)
class RandomPolicy:
    """See the module. In its last round, or without an answer, it picks an option at random."""

    rng: random.Random

    async def reply(self, trace: Trace) -> Reply:
        """The next reply."""
        known = read_trace(trace)
        names, weights = list(ACTION_WEIGHTS), list(ACTION_WEIGHTS.values())
        action = "answer" if trace.is_last_round else self.rng.choices(names, weights)[0]
        answer = known.answer or self.rng.choice(trace.question.options)
        tag = {"look": LOOK, "relocate": RELOCATE, "answer": f"<answer>{answer}</answer>"}[action]
        return Reply(f"<think>{known.thought}</think>{tag}")


@dataclass(frozen=True, slots=True)
class ScriptVision:
    """What the offline vision agent would report, from the script of an episode that was never rendered."""

    scenes: Sequence[Scene]

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:  # noqa: ARG002 (it has no frames)
        """In the words of the offline vision agent."""
        (clip,) = request.window
        scene = next(scene for scene in self.scenes if scene.start_s == clip.start_s)
        first, last = clip.start_s + 2, clip.end_s - 2
        left, middle, right = (
            f"“{figure.name}” on white above “{figure.word}” on {figure.colour}"
            for figure in sorted(scene.figures, key=lambda figure: figure.slot)
        )
        direction = "right" if scene.prop_goes_right else "left"
        lines = [
            (first, scene.sign_change_s, f"text at the top middle: “{scene.signs[0]}” on white above {middle}"),
            (first, last, f"text at the top left: {left}"),
            (first, last, f"text at the top right: {right}"),
            (first, last, "mostly white and grey"),
            (scene.sign_change_s, last, f"text at the top middle: “{scene.signs[1]}” on white above {middle}"),
            (scene.prop_start_s, scene.prop_start_s + 8, f"something {scene.prop_colour} moves to the {direction}"),
        ]
        head = f"15 frames from {format_timestamp(first)} to {format_timestamp(last)}."
        body = [f"{format_timestamp(start)} to {format_timestamp(end)}: {text}" for start, end, text in lines]
        return VisionResult("\n".join([head, *body]))
