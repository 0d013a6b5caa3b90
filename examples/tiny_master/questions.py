"""Questions of made episodes that a tiny model can learn to read the answers of: of each minute, one whose answer is
spoken, and one, about a box that moves, whose answer has to be seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from longvideoagent.core.types import Timeline
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.synthetic.episode import write_questions
from longvideoagent.datasets.synthetic.scenario import Scene

SPOKEN, SEEN = "dialogue", "before_after"
BOX = "what colour is the box"


def ask_about(scenes: Sequence[Scene], timeline: Timeline, seed: int) -> list[Sample]:
    """Both questions of each minute, in their order; the same seed gives the same."""
    found: dict[tuple[str, str], Sample] = {}
    draws = count()
    while len(found) < 2 * len(scenes):
        for sample in write_questions(scenes, timeline, seed + 1_000_000 * next(draws), len(scenes)):
            if sample.kind == SPOKEN or (sample.kind == SEEN and BOX in sample.question.text):
                found.setdefault((sample.gold.clip or "", sample.kind), sample)
    return [found[clip.label, kind] for clip in timeline.clips for kind in (SPOKEN, SEEN)]
