"""Accuracy of the offline team on a data set in the layout of LongTVQA, from its subtitles alone.

python benchmarks/real_accuracy.py FOLDER
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from rich.progress import track

from longvideoagent import Settings, load_team, score
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.run import steps
from longvideoagent.trace import Agents

Judged = tuple[str, bool, bool]
"""The episode, whether the answer is right, and whether the last clip is the gold one or beside it."""


def ask_video(folder: Path, split: str, agents: Agents, video: str) -> list[Judged]:
    """All questions about one episode."""
    data = read_longtvqa(folder, split)
    episode, team = data.episode(video), load_team()
    labels = [clip.label for clip in episode.timeline.clips]

    async def ask() -> list[Judged]:
        judged = []
        for sample in data.samples:
            if sample.video == video:
                trace = [each async for each in steps(sample.question, episode, team, Settings(agents=agents))][-1]
                at = trace.current.clip.label if trace.current else ""
                near = at in labels and abs(labels.index(at) - labels.index(sample.gold.clip or "")) <= 1
                judged.append((video, score(trace, sample.gold.option_index).correct, near))
        return judged

    return asyncio.run(ask())


def share(judged: Sequence[Judged], column: int) -> str:
    """Percent and standard error clustered by episode."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for each in judged:
        groups[each[0]].append(bool(each[column]))
    mean = sum(map(sum, groups.values())) / len(judged)
    spread = math.sqrt(sum((sum(group) - mean * len(group)) ** 2 for group in groups.values())) / len(judged)
    return f"{100 * mean:.1f} ± {100 * spread:.1f}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="val")
    chosen = parser.parse_args()
    videos = read_longtvqa(chosen.folder, chosen.split).videos
    print("| agents | accuracy | clip within one | questions |\n|---|---|---|---|")
    with ProcessPoolExecutor() as pool:
        for agents in (Agents.NONE, Agents.GROUNDING):
            work = pool.map(partial(ask_video, chosen.folder, chosen.split, agents), videos)
            judged = [each for video in track(work, str(agents), len(videos), transient=True) for each in video]
            print(f"| {agents} | {share(judged, 1)} | {share(judged, 2)} | {len(judged)} |", flush=True)


if __name__ == "__main__":
    main()
