"""CPU time of the offline team's reading of subtitles: a question about an episode whose lines were read before.

python benchmarks/reading.py
"""

from __future__ import annotations

import random
import time

from longvideoagent.agents.offline.grounding import locate
from longvideoagent.agents.offline.master import decide
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout
from longvideoagent.core.trace import Agents, RolloutSettings
from longvideoagent.core.types import Clip, Question, Subtitle, Timeline
from table import row, seconds

CLIPS, LINES_PER_CLIP, CLIP_S = 20, 18, 60.0
WORDS_PER_LINE, NUM_WORDS = 9, 3000
NUM_QUESTIONS = 50
NAMES = ("Mira", "Otto", "Lena", "Hugo")


def make_words(rng: random.Random, count: int) -> str:
    """Words of which few are frequent, as in speech."""
    return " ".join(f"w{int(NUM_WORDS ** rng.random())}ord" for _ in range(count))


def make_episode(rng: random.Random) -> Timeline:
    """20 minutes with as many lines as an episode of a series has."""
    step_s = CLIP_S / LINES_PER_CLIP
    return Timeline(
        tuple(
            Clip(
                f"c{number}",
                number * CLIP_S,
                (number + 1) * CLIP_S,
                tuple(
                    Subtitle(at_s, at_s + step_s, f"{rng.choice(NAMES)}: {make_words(rng, WORDS_PER_LINE)}")
                    for at_s in (number * CLIP_S + line * step_s for line in range(LINES_PER_CLIP))
                ),
            )
            for number in range(CLIPS)
        )
    )


def answer_question(question: Question, timeline: Timeline, agents: Agents) -> None:
    """Run the loop to its end, without vision."""
    rollout = Rollout(question, timeline, RolloutSettings(agents=agents))
    while (request := rollout.request) is not None:
        if isinstance(request, MasterRequest):
            rollout.receive(decide(request.trace))
        elif isinstance(request, GroundingRequest):
            rollout.receive(locate(request))


def main() -> None:
    """Ask one question to read the lines, then measure the others."""
    rng = random.Random(0)
    timeline = make_episode(rng)
    questions = [
        Question(f"What does Mira {make_words(rng, 6)} when Otto {make_words(rng, 4)}?", tuple(options))
        for options in ([make_words(rng, 6) for _ in range(5)] for _ in range(NUM_QUESTIONS + 1))
    ]
    for agents in (Agents.NONE, Agents.GROUNDING):
        first, *others = questions
        answer_question(first, timeline, agents)

        def ask(others: list[Question] = others, agents: Agents = agents) -> None:
            for question in others:
                answer_question(question, timeline, agents)

        cpu_s = seconds(ask, time.process_time) / len(others)
        row(f"read {CLIPS} minutes for a question with five options, agents {agents}", f"{cpu_s:.4f} CPU-s", "≤ 0.02")


if __name__ == "__main__":
    main()
