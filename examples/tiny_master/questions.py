"""Questions on generated episodes whose answers a tiny model can learn to read: for each minute, one whose answer is
spoken, and one about a moving box, whose answer is visible only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from longvideoagent.core.types import Timeline
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.synthetic.episode import write_questions
from longvideoagent.datasets.synthetic.scenario import Scene

SPOKEN, VISIBLE = "dialogue", "before_after"
BOX = "what colour is the box"


def make_questions(scenes: Sequence[Scene], timeline: Timeline, seed: int) -> list[Sample]:
    """Both questions of each minute, in order; the same seed gives the same questions."""
    samples: dict[tuple[str, str], Sample] = {}
    draws = count()
    while len(samples) < 2 * len(scenes):
        for sample in write_questions(scenes, timeline, seed + 1_000_000 * next(draws), len(scenes)):
            if sample.kind == SPOKEN or (sample.kind == VISIBLE and BOX in sample.question.text):
                samples.setdefault((sample.gold.clip or "", sample.kind), sample)
    return [samples[clip.label, kind] for clip in timeline.clips for kind in (SPOKEN, VISIBLE)]
