"""Trajectories of the random policy for supervised fine-tuning, written like a run of ``lva eval``. Their episodes are
scripts only: no video is rendered."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from longvideoagent.agents.base import Team
from longvideoagent.agents.fixed_first_clip import FixedFirstClip
from longvideoagent.agents.offline import OfflineGrounding
from longvideoagent.agents.prompts import default_layout, master_messages, with_prompt
from longvideoagent.core.context import Style
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.synthetic.generate import balance_answers, scene_timeline
from longvideoagent.datasets.synthetic.scenario import generate_scenes
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress
from longvideoagent.run import finish
from longvideoagent.views.trace_dict import trace_to_line
from tiny_master.questions import make_questions
from tiny_master.random_policy import RandomPolicy, ScriptVision

MINUTES = 8
FIRST_SEED = 50_000
"""Of these episodes; those of a generated data set have other seeds."""
CORRECT_FIRST_SHARE = 0.5
"""The share of rollouts that begin at the clip of the question, so that there are answers to read."""
MAX_ROUNDS = 4


def write_trajectories(folder: Path, num_episodes: int, prompt: str, progress: Progress) -> Iterator[str]:
    """Write the run, and yield the text of each trajectory as its master reads and writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "questions.jsonl").open("w") as questions, (folder / "traces.jsonl").open("w") as traces:
        for number in range(num_episodes):
            for sample, trace in _roll_out_episode(FIRST_SEED + number):
                record = {"question": asdict(trace.question), "gold": {"option_index": sample.gold.option_index}}
                questions.write(json.dumps(record) + "\n")
                traces.write(trace_to_line(trace) + "\n")
                chat = master_messages(trace, Style.CONTINUATION, with_prompt(default_layout(), prompt), "search")
                yield "".join(str(message["content"]) for message in chat)
            progress("writing trajectories", (number + 1) / num_episodes)


def _roll_out_episode(seed: int) -> Iterator[tuple[Sample, Trace]]:
    """The questions of one episode with their traces."""
    scenes = generate_scenes(seed, MINUTES)
    timeline = scene_timeline(f"p{seed}", scenes)
    video = Video(ClipFoldersReader(None, timeline), timeline, "the script", ())
    rng = random.Random(seed)
    samples = balance_answers({"": make_questions(scenes, timeline, seed)}, seed)[""]
    for sample in samples:
        any_clip = rng.choice(timeline.clips).label
        first_clip = sample.gold.clip if rng.random() < CORRECT_FIRST_SHARE else any_clip
        grounding = FixedFirstClip(first_clip, OfflineGrounding())
        team = Team("random policy", RandomPolicy(rng), grounding, ScriptVision(scenes))
        yield sample, asyncio.run(_roll_out(sample, video, team))


async def _roll_out(sample: Sample, video: Video, team: Team) -> Trace:
    return await finish(sample.question, video, team, RolloutSettings(MAX_ROUNDS))
