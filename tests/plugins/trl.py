"""Training rollouts with scripted replies, and TRL's trainer for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.agents.prompts import default_layout, with_prompt
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.core.types import Clip, Question, Subtitle, Timeline
from longvideoagent.errors import ModelError
from longvideoagent.media.readers.clip_folders import ClipFoldersReader
from longvideoagent.media.video import Video
from longvideoagent.training.reward import RewardWeights
from longvideoagent.training.rollouts import MasterFormat, RolloutTask, SampledTokens, TrainingSample
from longvideoagent.training.tokens import PromptFormat, TokenLimits

needs_trl = [
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),  # TRL's dependencies
    pytest.mark.filterwarnings("ignore::UserWarning:peft"),
]

SPEECH = ("Mira: the sign is red", "Otto: the rope is torn", "Lena: the boat is late")
TIMELINE = Timeline(
    tuple(
        Clip(f"c{n}", 60.0 * n, 60.0 * n + 60, (Subtitle(60.0 * n + 1, 60.0 * n + 3, text),))
        for n, text in enumerate(SPEECH)
    )
)
VIDEO = Video(ClipFoldersReader(None, TIMELINE), TIMELINE, "", ())
TASK = RolloutTask(Question("What is torn?", ("the sign", "the rope"), "q1"), VIDEO, "c0", RolloutSettings(3))
LOOK, RELOCATE = "<search>a rope</search>", "<request_grounding>rope</request_grounding>"
CORRECT, WRONG = "<answer>a1</answer>", "<answer>a0</answer>"
PROMPT = "$question\n$options\n$first_clip\n"
LAYOUT = with_prompt(default_layout(), PROMPT.rstrip())


# --- rollouts with scripted replies --------------------------------------------------------------


def limits(prompt: int = 600, response: int = 600, reply: int = 48, min_reply: int = 8) -> TokenLimits:
    return TokenLimits(
        max_prompt_tokens=prompt, max_response_tokens=response, max_reply_tokens=reply, min_reply_tokens=min_reply
    )


def master_format(tokenizer: Any, **changes: int) -> MasterFormat:
    return MasterFormat(tokenizer, PromptFormat(layout=LAYOUT), limits(**changes))


class ScriptedSampler:
    """A ``SampleBatchFn`` that gives each rollout its scripted replies, in the order of rollouts."""

    def __init__(self, tokenizer: Any, *scripts: Sequence[str]) -> None:
        self.batch_sizes: list[int] = []
        self._tokenizer = tokenizer
        self._scripts = [list(script) for script in scripts]

    def __call__(self, contexts: Sequence[list[int]], max_tokens: Sequence[int]) -> list[SampledTokens]:  # noqa: ARG002
        self.batch_sizes.append(len(contexts))
        replies = [self._tokenizer(script.pop(0))["input_ids"] for script in self._scripts if script]
        return [SampledTokens(ids, [-1.0] * len(ids)) for ids in replies]


class DeadVision:
    """Vision whose server is down."""

    async def look(self, request: Any, video: Any) -> Any:  # noqa: ARG002
        raise ModelError("no server")


def team_with(vision: Any) -> Team:
    """The offline team with another vision agent."""
    offline = load_team()
    return Team("test", offline.master, offline.grounding, vision)


# --- TRL's trainer -------------------------------------------------------------------------------


def make_test_trainer(
    model_path: Path, folder: Path, algorithm: str = "grpo", team: Team | None = None, **changes: Any
) -> tuple[Any, Any]:
    """A trainer of four samples, and its ``MasterRollouts``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.trl import MasterRollouts, make_trainer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
    samples = [TrainingSample(TASK, 1)] * 4
    weights = RewardWeights(answer=1)
    rollouts = MasterRollouts(samples, team or load_team(), master_format(tokenizer, reply=24), weights)
    trl_arguments = {
        "output_dir": str(folder), "per_device_train_batch_size": 4, "num_generations": 4, "max_steps": 2,
        "use_cpu": True, "report_to": "none", "gradient_checkpointing": False, "learning_rate": 1e-3,
        "save_strategy": "no", "seed": 1, "warmup_steps": 0, "disable_tqdm": True, "logging_steps": 1, "bf16": False,
    }  # fmt: skip
    adapter = changes.pop("adapter", None)
    return make_trainer(model, rollouts, algorithm, trl_arguments | changes, adapter), rollouts


def script_replies(rollouts: Any, monkeypatch: pytest.MonkeyPatch, *scripts: Sequence[str]) -> None:
    """Make the rollouts sample these replies instead of the model's."""
    from longvideoagent.training import trl

    sampler = ScriptedSampler(rollouts.master_format.tokenizer, *scripts)
    monkeypatch.setattr(trl, "TransformersSampler", lambda *_, **__: sampler)
