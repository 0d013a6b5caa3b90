"""Trajectories of the wanderer on episodes that are written but never filmed, kept like a run of ``lva eval``."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from longvideoagent.agents.base import Team
from longvideoagent.agents.offline import OfflineGrounding
from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.context import Style
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.synthetic.generate import balance_answers, scene_timeline
from longvideoagent.datasets.synthetic.scenario import generate_scenes
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress
from longvideoagent.run import steps
from longvideoagent.training.rollouts import FixedFirstClip
from longvideoagent.views.trace_dict import trace_to_line
from tiny_master.questions import ask_about
from tiny_master.wanderer import ScriptVision, Wanderer

MINUTES = 8
FIRST_SEED = 50_000
"""Of episodes for practice; those of a made set have others."""
RIGHT_FIRST = 0.5
"""How often practice begins at the clip that is asked about, so that there is something to read."""
ROUNDS = 4


def practise(folder: Path, episodes: int, prompt: str, progress: Progress) -> Iterator[str]:
    """Write the run, and give the text of each trajectory as its master reads and writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "questions.jsonl").open("w") as questions, (folder / "traces.jsonl").open("w") as traces:
        for number in range(episodes):
            for sample, trace in _wander(FIRST_SEED + number):
                record = {"question": asdict(trace.question), "gold": {"option_index": sample.gold.option_index}}
                questions.write(json.dumps(record) + "\n")
                traces.write(trace_to_line(trace) + "\n")
                told = master_messages(trace, Style.CONTINUATION, prompt, "search")
                yield "".join(str(each["content"]) for each in told)
            progress("practising", (number + 1) / episodes)


def _wander(seed: int) -> Iterator[tuple[Sample, Trace]]:
    scenes = generate_scenes(seed, MINUTES)
    timeline = scene_timeline(f"p{seed}", scenes)
    episode = Video(ClipFoldersReader(None, timeline), timeline, "the script", ())
    lot = random.Random(seed)
    asked = balance_answers({"": ask_about(scenes, timeline, seed)}, seed)[""]
    for sample in asked:
        wrong = lot.choice(timeline.clips).label
        begins = sample.gold.clip if lot.random() < RIGHT_FIRST else wrong
        grounding = FixedFirstClip(begins, OfflineGrounding())
        team = Team("wanderer", Wanderer(lot), grounding, ScriptVision(scenes))
        yield sample, asyncio.run(_play(sample, episode, team))


async def _play(sample: Sample, episode: Video, team: Team) -> Trace:
    return [trace async for trace in steps(sample.question, episode, team, RolloutSettings(ROUNDS))][-1]
