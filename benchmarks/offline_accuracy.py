"""Accuracy of the offline team on made episodes, for each set of agents.

Renders one 20-minute episode a seed and asks its twelve questions with no agents (all subtitles as
one clip), with grounding, and with grounding and vision. Prints a Markdown table by kind.

    python benchmarks/offline_accuracy.py --seeds 20
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from rich.progress import track

from longvideoagent import Settings, answer, load_team, open_episode, score
from longvideoagent.datasets.made.synthetic import KINDS, make_episode
from longvideoagent.trace import Agents

Tally = Mapping[tuple[Agents, str, int], list[bool]]
"""Right or wrong, by agents, kind and seed."""


def measure(folder: Path, seeds: range, minutes: int) -> Tally:
    """Ask every question of every episode once for each set of agents."""
    team = load_team("offline")
    tally: dict[tuple[Agents, str, int], list[bool]] = defaultdict(list)
    for seed in track(seeds, "episodes"):
        made = make_episode(folder, seed, minutes)
        episode = open_episode(made.video, made.subtitles)
        for agents in Agents:
            for sample in made.samples:
                trace = answer(sample.question, episode, team, Settings(agents=agents))
                tally[agents, sample.kind, seed].append(score(trace, sample.gold.option_index).correct)
    return tally


def accuracy(tally: Tally, agents: Agents, kinds: tuple[str, ...]) -> tuple[float, float, int]:
    """Percent right, its standard error clustered by episode, and the number of questions."""
    seeds = sorted({seed for _, _, seed in tally})
    groups = [[right for kind in kinds for right in tally[agents, kind, seed]] for seed in seeds]
    count = sum(len(group) for group in groups)
    share = sum(sum(group) for group in groups) / count
    spread = math.sqrt(sum((sum(group) - share * len(group)) ** 2 for group in groups)) / count
    return 100 * share, 100 * spread, count


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=201, help="no episode used while writing the team")
    parser.add_argument("--minutes", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = measure(Path(folder), range(chosen.first_seed, chosen.first_seed + chosen.seeds), chosen.minutes)
    print("| agents | " + " | ".join((*KINDS, "all")) + " |")
    print("|---|" + "---|" * (len(KINDS) + 1))
    for agents in Agents:
        cells = [accuracy(tally, agents, kinds) for kinds in (*((kind,) for kind in KINDS), KINDS)]
        print(f"| {agents} | " + " | ".join(f"{share:.1f} ± {spread:.1f} (n={n})" for share, spread, n in cells) + " |")


if __name__ == "__main__":
    main()
