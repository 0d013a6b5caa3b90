"""One question to train on, scripted replies in place of sampling, and TRL's trainer over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Clip, Question, Subtitle, Timeline
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video
from longvideoagent.training.reward import Weights
from longvideoagent.training.rollouts import MasterFormat, RolloutTask, Sampled, TrainingSample
from longvideoagent.training.tokens import Limits, PromptFormat

SPOKEN = ("Mira: the sign is red", "Otto: the rope is torn", "Lena: the boat is late")
TIMELINE = Timeline(
    tuple(
        Clip(f"c{n}", 60.0 * n, 60.0 * n + 60, (Subtitle(60.0 * n + 1, 60.0 * n + 3, said),))
        for n, said in enumerate(SPOKEN)
    )
)
EPISODE = Video(ClipFoldersReader(None, TIMELINE), TIMELINE, "", ())
TASK = RolloutTask(Question("What is torn?", ("the sign", "the rope"), "q1"), EPISODE, "c0", RolloutSettings(3))
LOOK, MOVE, END = "<search>a rope</search>", "<request_grounding>rope</request_grounding>", "<answer>a1</answer>"
PROMPT = "$question\n$options\n$located\n"


def tongue(tokenizer: Any, reply: int = 48) -> MasterFormat:
    return MasterFormat(
        tokenizer, PromptFormat(prompt=PROMPT), Limits(prompt=600, response=600, reply=reply, least_reply=8)
    )


def scripted(tokenizer: Any, *replies: list[str]) -> Any:
    """Samples what each rollout is to say, in the order of rollouts."""
    left = [list(each) for each in replies]
    calls: list[int] = []

    def sample(contexts: list[list[int]], most: list[int]) -> list[Sampled]:  # noqa: ARG001
        calls.append(len(contexts))
        said = [tokenizer(each.pop(0))["input_ids"] for each in left if each]
        return [(ids, [-1.0] * len(ids)) for ids in said]

    sample.calls = calls  # type: ignore[attr-defined]
    return sample


def trainer_of(
    random_model: Path, folder: Path, algorithm: str = "grpo", team: Team | None = None, **given: Any
) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.trl import MasterRollouts, make_trainer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    rollouts = MasterRollouts(
        [TrainingSample(TASK, 1)] * 4, team or load_team(), tongue(tokenizer, reply=24), Weights(answer=1)
    )
    arguments = {
        "output_dir": str(folder), "per_device_train_batch_size": 4, "num_generations": 4, "max_steps": 2,
        "use_cpu": True, "report_to": "none", "gradient_checkpointing": False, "learning_rate": 1e-3,
        "save_strategy": "no", "seed": 1, "warmup_steps": 0, "disable_tqdm": True, "logging_steps": 1, "bf16": False,
    }  # fmt: skip
    adapter = given.pop("adapter", None)
    return make_trainer(model, rollouts, algorithm, arguments | given, adapter), rollouts


def say(rollouts: Any, monkeypatch: pytest.MonkeyPatch, *replies: list[str]) -> None:
    """Have the rollouts sample these instead of what the model would."""
    from longvideoagent.training import trl

    sample = scripted(rollouts.tongue.tokenizer, *replies)
    monkeypatch.setattr(trl, "ModelSampler", lambda *_: sample)
