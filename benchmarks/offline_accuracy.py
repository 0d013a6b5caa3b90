"""Accuracy of the offline team on synthetic episodes, for each set of agents.

Renders one 20-minute episode a seed and asks its twelve questions with no agents (all subtitles as
one clip), with grounding, and with grounding and vision. Prints a Markdown table by kind; ± is 95 %, clustered
by episode.

    python benchmarks/offline_accuracy.py --seeds 20
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from rich.progress import track

from longvideoagent import RolloutSettings, answer, load_team, open_video, score
from longvideoagent.cli.console_evaluation import percent
from longvideoagent.core.trace import Agents
from longvideoagent.datasets.synthetic.episode import MOMENT_KINDS, generate_episode
from longvideoagent.evaluation.metrics import estimate, to_dict

Scores = list[tuple[str, float]]
"""The episode of each question, and 1.0 if its answer is correct, else 0.0."""


def measure(folder: Path, seeds: range, minutes: int) -> Mapping[tuple[Agents, str], Scores]:
    """Ask every question of every episode once for each set of agents. Returns the scores by agents and kind."""
    team = load_team("offline")
    scores: dict[tuple[Agents, str], Scores] = defaultdict(list)
    for seed in track(seeds, "episodes"):
        rendered = generate_episode(folder, seed, minutes)
        episode = open_video(rendered.video, rendered.subtitles)
        for agents in Agents:
            for sample in rendered.samples:
                trace = answer(sample.question, episode, team, RolloutSettings(agents=agents))
                is_correct = score(trace, sample.gold.option_index).correct
                scores[agents, sample.kind].append((str(seed), float(is_correct)))
    return scores


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=201, help="seeds from 201 on were not used in development")
    parser.add_argument("--minutes", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scores = measure(Path(folder), range(chosen.first_seed, chosen.first_seed + chosen.seeds), chosen.minutes)
    print("| agents | " + " | ".join((*MOMENT_KINDS, "all")) + " |")
    print("|---|" + "---|" * (len(MOMENT_KINDS) + 1))
    for agents in Agents:
        cells = [scores[agents, kind] for kind in MOMENT_KINDS]
        cells.append(list(chain(*cells)))
        print(f"| {agents} | " + " | ".join(percent(to_dict(estimate(cell))) for cell in cells) + " |")


if __name__ == "__main__":
    main()
