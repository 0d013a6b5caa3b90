"""``make train-demo``: a tiny master, taught to read and to speak, then trained by reinforcement to act.

A model made on the spot is warm-started on trajectories of a master that reads right and acts by lot, and then trained
by GRPO on made episodes with the offline grounding and vision agents. Half of the questions begin at a wrong clip. What
is measured is ``lva eval`` on other episodes, before and after, for several seeds.
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
from tiny_master.base import make_base
from tiny_master.practice import ROUNDS, practise
from tiny_master.questions import ask_about
from tiny_master.results import write_results

SEED = 11
PROMPT = "$question\n$options\n$located"
WRONG_FIRST = 0.5
"""The share of questions whose first clip is drawn by lot."""
LIMITS = {"prompt": 600, "response": 900, "reply": 48, "least_reply": 24}
FREES_LESS = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
"""A tiny model allocates and frees as much as it computes; glibc need not give it all back each time."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    episodes: int = 16
    minutes: int = 6
    practice_episodes: int = 250
    teach_steps: int = 520
    steps: int = 60
    batch: int = 8
    seeds: int = 3


SIZES = {"full": Size(), "small": Size(4, 5, 10, 20, 3, 2, 1)}
"""``small`` shows that all of it runs, and no gain."""


def lva(*arguments: str | Path) -> None:
    """Run the command; its errors are this script's. Questions that an evaluation counts as failed, as where a model
    says nothing at all, are none."""
    command = [str(Path(sys.executable).with_name("lva")), *map(str, arguments)]
    done = subprocess.run(command, check=False, env={**os.environ, **FREES_LESS})
    if done.returncode and (arguments[0] != "eval" or done.returncode != 1):
        sys.exit(done.returncode)


def write_toml(path: Path, told: Mapping[str, Any], **tables: Mapping[str, Any]) -> Path:
    """A configuration; JSON's values are TOML's, but for tables, which have brackets of their own."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def choose_first_clips(data: Path, split: str, out: Path) -> None:
    """The first clip of each question: that of the offline grounding, or one drawn by lot."""
    lva("data", "ground", data, "--split", split, "--out", out)
    found, lot = FirstClips.open_existing(out), random.Random(split)
    questions = read_longtvqa(data, split)
    for sample in questions.samples:
        if lot.random() < WRONG_FIRST:
            found.put(sample.question, lot.choice(questions.timeline(sample.video).clips).label)
    found.write()


def make_data(folder: Path, size: Size) -> Path:
    """Films, questions, first clips and rows."""
    data = folder / "made"
    recipe = SyntheticConfig(size.episodes, size.minutes, SEED, val_fraction=0.5)
    generate_dataset(data, recipe)
    episodes = read_longtvqa(data, "train"), read_longtvqa(data, "val")
    for known, split in zip(episodes, ("train", "val"), strict=True):
        asked = {}
        for video in dict.fromkeys(sample.video for sample in known.samples):
            number = int(video[1:3]) * 24 + int(video[4:]) - 25
            scenes = generate_scenes(SEED * SEED_STRIDE + number, size.minutes)
            written = ask_about(scenes, scene_timeline(video, scenes), number)
            asked[video] = [replace(each, video=video) for each in written]
        told = [
            to_release_record(sample, number)
            for each in balance_answers(asked, SEED).values()
            for number, sample in enumerate(each)
        ]
        write_text(data / f"LongTVQA_plus_{split}.json", join_records([to_json(each) for each in told], as_list=True))
        choose_first_clips(data, split, folder / f"first-{split}.json")
    lva("data", "export", data, "--cache", folder / "first-train.json", "--out", folder / "rows")
    return data


def warm_start(folder: Path, size: Size) -> Path:
    """A model that reads, and acts by lot."""
    model = folder / "warm" / "model"
    if model.exists():
        return model
    texts = list(practise(folder / "practice", size.practice_episodes, PROMPT, no_progress))
    make_base(folder / "base", texts)
    told = {
        "model": str(folder / "base"), "runs": [str(folder / "practice")], "out": str(folder / "warm"),
        "prompt_file": str(folder / "prompt.txt"), "only_right": False, "steps": size.teach_steps, "batch": 16,
        "at_once": 16, "learning_rate": 0.004, "optimizer": "muon", "save_every": 100_000,
    }  # fmt: skip
    lva("train", "sft", write_toml(folder / "warm.toml", told, limits=LIMITS))
    return model


def reinforce(folder: Path, size: Size, model: Path, seed: int) -> Path:
    """The model after GRPO with a seed."""
    out = folder / f"grpo-{seed}"
    if (out / "model").exists():
        return out / "model"
    told = {
        "model": str(model), "data": str(folder / "made"), "rows": str(folder / "rows" / "train.parquet"),
        "held_out": str(folder / "rows" / "val.parquet"), "held_out_every": 20, "out": str(out),
        "prompt_file": str(folder / "prompt.txt"), "steps": size.steps, "batch": size.batch, "group": 8,
        "at_once": 8 * size.batch, "max_rounds": ROUNDS, "learning_rate": 0.0004, "seed": seed, "save_every": 100_000,
    }  # fmt: skip
    worth = {"right": 1.0, "look_cost": 0.05, "relocation_cost": 0.05}
    plain = {"beta": 0.0, "scale_rewards": "none", "lr_scheduler_type": "constant_with_warmup"}
    lva("train", "grpo", write_toml(folder / f"grpo-{seed}.toml", told, limits=LIMITS, reward=worth, trl=plain))
    return out / "model"


def evaluate(folder: Path, model: Path, run: Path) -> Path:
    """The held-out episodes asked of a model by ``lva eval``."""
    team = {"style": "continuation", "look_tag": "search", "prompt_file": str(folder / "prompt.txt")}
    master = {"model": f"transformers:{model}", "temperature": 0.6, "max_tokens": LIMITS["reply"]}
    team_config = write_toml(run.with_suffix(".toml"), team, master=master)
    first = f"cache={folder / 'first-val.json'}"
    lva(
        "eval", folder / "made", "--team", team_config, "--run", run, "--first-clip", first, "--max-rounds", str(ROUNDS)
    )
    return run


def _named(warm: Path, trained: Sequence[Path]) -> list[tuple[str, Path]]:
    return [("before", warm), *((f"after-{seed}", model) for seed, model in enumerate(trained, 1))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all of it, in a folder; what is finished there is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("train-demo"))
    parser.add_argument("--size", choices=SIZES, default="full")
    told = parser.parse_args(arguments)
    folder, size, started = told.folder.resolve(), SIZES[told.size], time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompt.txt").write_text(PROMPT)
    make_data(folder, size)
    warm = warm_start(folder, size)
    trained = [reinforce(folder, size, warm, seed) for seed in range(1, size.seeds + 1)]
    runs = [evaluate(folder, model, folder / name) for name, model in _named(warm, trained)]
    write_results(folder, runs, time.monotonic() - started)
    if told.size == "small":
        sys.stdout.write("This size shows that all of it runs, and no gain; leave out --size for that.\n")
