"""``make train-demo``: a tiny master, fine-tuned to read and to produce actions, then trained by GRPO to act well.

A random model is fine-tuned on trajectories of a policy that reads correctly and acts at random, and then trained by
GRPO on generated episodes with the offline grounding and vision agents. Half of the questions begin at a random clip.
The result is ``lva eval`` on other episodes, before and after, for several seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.longtvqa.write import join_records, to_json, write_text
from longvideoagent.datasets.synthetic.generate import (
    SEED_STRIDE,
    SyntheticConfig,
    balance_answers,
    generate_dataset,
    scene_timeline,
    to_release_record,
)
from longvideoagent.datasets.synthetic.scenario import generate_scenes
from longvideoagent.index.first_clips import FirstClips
from longvideoagent.progress import no_progress
from tiny_master.make_data import MAX_ROUNDS, write_trajectories
from tiny_master.questions import make_questions
from tiny_master.results import write_results
from tiny_master.tiny_model import write_tiny_model

SEED = 11
PROMPT = "$question\n$options\n$first_clip"
RANDOM_FIRST_CLIP_FRACTION = 0.5
"""The fraction of questions whose first clip is drawn at random."""
LIMITS = {"max_prompt_tokens": 600, "max_response_tokens": 900, "max_reply_tokens": 48, "min_reply_tokens": 24}
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
"""A tiny model allocates and frees as much as it computes; with these, glibc does not return the memory each time."""
NEVER = 100_000
"""A ``save_steps`` without checkpoints."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is generated and trained."""

    episodes: int = 16
    minutes: int = 6
    sft_episodes: int = 250
    sft_steps: int = 520
    rl_steps: int = 60
    questions_per_step: int = 8
    seeds: int = 3


SIZES = {"full": Size(), "small": Size(4, 5, 10, 20, 3, 2, 1)}
"""``small`` shows that everything runs; it has no gain."""


def lva(*arguments: str | Path) -> None:
    """Run the command; exit with its status if it fails. Questions that an evaluation counts as failed (status 1), for
    example because a model says nothing, do not count as failure."""
    command = [str(Path(sys.executable).with_name("lva")), *map(str, arguments)]
    done = subprocess.run(command, check=False, env={**os.environ, **KEEP_MEMORY})
    if done.returncode and (arguments[0] != "eval" or done.returncode != 1):
        sys.exit(done.returncode)


def write_toml(path: Path, fields: Mapping[str, Any], **tables: Mapping[str, Any]) -> Path:
    """Write a configuration. JSON's values are TOML's, except for tables."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def choose_first_clips(data: Path, split: str, out: Path) -> None:
    """The first clip of each question: that of the offline grounding, or a random one."""
    lva("data", "ground", data, "--split", split, "--out", out)
    cache, rng = FirstClips.open_existing(out), random.Random(split)
    questions = read_longtvqa(data, split)
    for sample in questions.samples:
        if rng.random() < RANDOM_FIRST_CLIP_FRACTION:
            cache.put(sample.question, rng.choice(questions.timeline(sample.video).clips).label)
    cache.write()


def make_rl_data(folder: Path, size: Size) -> Path:
    """Generate videos, questions, first clips and rows."""
    data = folder / "data"
    generate_dataset(data, SyntheticConfig(size.episodes, size.minutes, SEED, val_fraction=0.5))
    for split in ("train", "val"):
        samples = {}
        for video in dict.fromkeys(sample.video for sample in read_longtvqa(data, split).samples):
            number = int(video[1:3]) * 24 + int(video[4:]) - 25  # of s01e01 0, of s01e02 1, and so on
            scenes = generate_scenes(SEED * SEED_STRIDE + number, size.minutes)
            questions = make_questions(scenes, scene_timeline(video, scenes), number)
            samples[video] = [replace(sample, video=video) for sample in questions]
        records = [
            to_release_record(sample, number)
            for video_samples in balance_answers(samples, SEED).values()
            for number, sample in enumerate(video_samples)
        ]
        write_text(
            data / f"LongTVQA_plus_{split}.json", join_records([to_json(record) for record in records], as_list=True)
        )
        choose_first_clips(data, split, folder / f"first-{split}.json")
    lva("data", "export", data, "--first-clips", folder / "first-train.json", "--out", folder / "rows")
    return data


def fine_tune(folder: Path, size: Size) -> Path:
    """A model that reads, and acts at random."""
    model = folder / "sft" / "model"
    if model.exists():
        return model
    texts = list(write_trajectories(folder / "trajectories", size.sft_episodes, PROMPT, no_progress))
    write_tiny_model(folder / "base", texts)
    fields = {
        "model": str(folder / "base"), "runs": [str(folder / "trajectories")], "out": str(folder / "sft"),
        "prompt_file": str(folder / "prompt.txt"), "only_correct": False, "max_steps": size.sft_steps,
        "sequences_per_step": 16, "per_device_batch_size": 16, "learning_rate": 0.004, "optimizer": "muon",
        "save_steps": NEVER,
    }  # fmt: skip
    lva("train", "sft", write_toml(folder / "sft.toml", fields, limits=LIMITS))
    return model


def train_grpo(folder: Path, size: Size, model: Path, seed: int) -> Path:
    """The model after GRPO with a seed."""
    out = folder / f"grpo-{seed}"
    if (out / "model").exists():
        return out / "model"
    fields = {
        "model": str(model), "data": str(folder / "data"), "rows": str(folder / "rows" / "train.parquet"),
        "eval_rows": str(folder / "rows" / "val.parquet"), "eval_steps": 20, "out": str(out),
        "prompt_file": str(folder / "prompt.txt"), "max_steps": size.rl_steps,
        "questions_per_step": size.questions_per_step, "num_generations": 8,
        "per_device_batch_size": 8 * size.questions_per_step, "max_rounds": MAX_ROUNDS, "learning_rate": 0.0004,
        "seed": seed, "save_steps": NEVER,
    }  # fmt: skip
    weights = {"correct": 1.0, "look_cost": 0.05, "relocation_cost": 0.05}
    trl = {"beta": 0.0, "scale_rewards": "none", "lr_scheduler_type": "constant_with_warmup"}
    lva("train", "grpo", write_toml(folder / f"grpo-{seed}.toml", fields, limits=LIMITS, reward=weights, trl=trl))
    return out / "model"


def evaluate(folder: Path, model: Path, run: Path) -> Path:
    """``lva eval`` of a model on the validation episodes."""
    team = {"style": "continuation", "look_tag": "search", "prompt_file": str(folder / "prompt.txt")}
    master = {"model": f"transformers:{model}", "temperature": 0.6, "max_tokens": LIMITS["max_reply_tokens"]}
    team_config = write_toml(run.with_suffix(".toml"), team, master=master)
    first_clip = f"file={folder / 'first-val.json'}"
    options = ("--team", team_config, "--run", run, "--first-clip", first_clip, "--max-rounds", str(MAX_ROUNDS))
    lva("eval", folder / "data", *options)
    return run


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all of it in a folder; what is finished there is not done again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("train-demo"))
    parser.add_argument("--size", choices=SIZES, default="full")
    options = parser.parse_args(arguments)
    folder, size, start_s = options.folder.resolve(), SIZES[options.size], time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompt.txt").write_text(PROMPT)
    make_rl_data(folder, size)
    before = fine_tune(folder, size)
    models = {"before": before}
    for seed in range(1, size.seeds + 1):
        models[f"after-{seed}"] = train_grpo(folder, size, before, seed)
    runs = [evaluate(folder, model, folder / name) for name, model in models.items()]
    write_results(folder, runs, time.monotonic() - start_s)
    if options.size == "small":
        sys.stdout.write("This size shows that everything runs; leave out --size for a gain.\n")
