"""One training run in a folder: begun, gone on with, watched (extra ``train``).

==================  ===============================================================================
``config.json``     what the run is of
``checkpoint-N/``   TRL's checkpoints; the latest is gone on from
``metrics.jsonl``   a line a step: reward and its parts, loss, tool use, rollouts that an outage ended
``rollouts.jsonl``  the first rollout of each step, as ``lva ask --json`` tells it
``model/``          what came of it: the model, or its adapter
==================  ===============================================================================
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from longvideoagent.agents.load import cache_path, load_team
from longvideoagent.datasets.open import open_dataset
from longvideoagent.errors import DataError, ModelError, UsageError, one_line
from longvideoagent.files import write_whole
from longvideoagent.report.json import to_json
from longvideoagent.training.config import TrainConfig
from longvideoagent.training.lessons import read_lessons
from longvideoagent.training.rollouts import Tongue
from longvideoagent.training.trl import ALGORITHMS, MasterRollouts, make_trainer, tool_use

CONFIG, METRICS, ROLLOUTS, MODEL = "config.json", "metrics.jsonl", "rollouts.jsonl", "model"
ADAM_BYTES = 16
"""A trained weight in 32 bits with its gradient and Adam's two moments."""
Progress = Callable[[float], None]


def train(config: TrainConfig, algorithm: str, progress: Progress = lambda _share: None) -> Path:
    """Train, or go on from the latest checkpoint of the folder; returns the folder of the model. Raises DataError or
    UsageError where it cannot be, and ModelError where the loss is no number any more: the checkpoints stay."""
    if (config.out / MODEL).exists():
        raise UsageError(f"{config.out}: holds a finished run; choose another out")
    _claim(config, algorithm)
    lessons = read_lessons(config.rows, open_dataset(config.data, config.split), config.settings)
    model, tokenizer = _load(config.model)
    tongue = Tongue(tokenizer, config.wording, config.token_limits)
    rollouts = MasterRollouts(lessons, load_team(config.team, cache_path()), tongue, config.weights)
    try:
        trainer = make_trainer(model, rollouts, algorithm, arguments(config, algorithm), _adapter(config))
    except ValueError as error:  # peft and TRL tell so what does not go together
        raise DataError(f"{config.model}: cannot be trained so ({one_line(error)}); mend the configuration") from error
    watch = _Watch(config, rollouts, progress)
    trainer.add_callback(watch)
    latest = get_last_checkpoint(str(config.out))
    watch.forget_after(int(latest.rpartition("-")[2]) if latest is not None else 0)
    try:
        trainer.train(resume_from_checkpoint=latest)
    except RuntimeError as error:  # out of memory, or probabilities that are none
        watch.broken = one_line(error)
    if watch.broken:
        mend = "the checkpoints are kept; take one as model of another run, with less learning_rate or less at once"
        raise ModelError(f"{config.out}: training stopped ({watch.broken}); {mend}")
    trainer.save_model(str(config.out / MODEL))
    tokenizer.save_pretrained(config.out / MODEL)
    return config.out / MODEL


def _claim(config: TrainConfig, algorithm: str) -> None:
    """Say in the folder what it is a run of. Raises UsageError where it is one of something else: a checkpoint holds
    what decides the next step, so a changed setting would count for a part of the run or not at all."""
    path = config.out / CONFIG
    told = {"algorithm": algorithm, **config.model_dump(mode="json", exclude={"out", "save_every"})}
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else told
    changed = [name for name in told if before.get(name) != told[name]]
    if changed:
        name = changed[0]
        raise UsageError(
            f"{config.out}: a run of other settings ({name}: {before.get(name)} -> {told[name]}); choose another out"
        )
    write_whole(path, json.dumps(told, indent=1) + "\n")


def arguments(config: TrainConfig, algorithm: str) -> dict[str, Any]:
    """The configuration in TRL's words: each question's group is one pass, and a step has as many as the batch."""
    group = group_of(config, algorithm)
    return {
        "output_dir": str(config.out),
        "num_generations": group,
        "per_device_train_batch_size": group,
        "gradient_accumulation_steps": config.batch,
        "max_steps": config.steps,
        "learning_rate": config.learning_rate,
        "temperature": config.temperature,
        "seed": config.seed,
        "save_steps": config.save_every,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": torch.cuda.is_available(),
        "gradient_checkpointing": torch.cuda.is_available(),
    }


def group_of(config: TrainConfig, algorithm: str) -> int:
    """Rollouts of each question. Raises UsageError for an unknown algorithm."""
    if algorithm not in ALGORITHMS:
        raise UsageError(f"{algorithm}: no such algorithm; give {' or '.join(ALGORITHMS)}")
    return config.group or int(ALGORITHMS[algorithm]["num_generations"])


def forecast(config: TrainConfig, algorithm: str) -> dict[str, int]:
    """What a run needs, without loading a weight: rollouts and, at most, tokens of a step; parameters; the least
    gigabytes for weights, gradients and Adam's moments, before anything is computed. Raises DataError where the model
    cannot be had."""
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(config.model))
    except (OSError, ValueError) as error:
        raise DataError(f"{config.model}: cannot be loaded ({one_line(error)}); check the path") from error
    weights = sum(each.numel() for each in model.parameters())
    trained = _lora_weights(model, config.lora.rank) if config.lora is not None else weights
    rollouts = config.batch * group_of(config, algorithm)
    limits = config.limits
    reference = weights * 2 if ALGORITHMS[algorithm]["beta"] and config.lora is None else 0
    need = trained * ADAM_BYTES + (weights - trained if config.lora is None else weights) * 2 + reference
    return {
        "steps": config.steps,
        "rollouts a step": rollouts,
        "tokens a step, at most": rollouts * (limits.prompt + limits.response),
        "weights": weights,
        "trained weights": trained,
        "GB at least": math.ceil(need / 1e9),
    }


def _lora_weights(model: Any, rank: int) -> int:
    linear = [
        each for name, each in model.named_modules() if isinstance(each, torch.nn.Linear) and "lm_head" not in name
    ]
    return sum(rank * (each.in_features + each.out_features) for each in linear)


def _load(path: str) -> tuple[Any, Any]:
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be loaded ({one_line(error)}); check the path") from error
    if not tokenizer.chat_template:
        raise DataError(f"{path}: has no chat template; take a model that was trained to chat")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def _adapter(config: TrainConfig) -> Any:
    if config.lora is None:
        return None
    from peft import LoraConfig

    lora = config.lora
    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=lora.modules, task_type="CAUSAL_LM")


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Writes the run's metrics, and stops it where its loss is no number."""

    def __init__(self, config: TrainConfig, rollouts: MasterRollouts, progress: Progress) -> None:
        self.broken = ""
        self._config = config
        self._rollouts = rollouts
        self._progress = progress

    def forget_after(self, step: int) -> None:
        """Leave out what was written of steps that are done again."""
        for path in (self._config.out / METRICS, self._config.out / ROLLOUTS):
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:  # noqa: ARG002
        """See transformers."""
        if not logs or "loss" not in logs:
            return
        finished = self._rollouts.finished
        numbers = {name: told for name, told in logs.items() if isinstance(told, int | float)}
        failed = sum(earned is None for _, earned in finished)
        used = tool_use([played for played, _ in finished])
        self._add(METRICS, {"step": state.global_step, **numbers, **used, "failed": failed})
        self._add(ROLLOUTS, {"step": state.global_step, **to_json(finished[0][0].trace)})
        self._progress(state.global_step / state.max_steps)
        if not math.isfinite(float(logs["loss"])) or not math.isfinite(float(logs.get("grad_norm", 0.0))):
            self.broken = f"the loss of step {state.global_step} is no number"
            control.should_training_stop, control.should_save = True, False

    def _add(self, name: str, told: Mapping[str, Any]) -> None:
        with (self._config.out / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told, ensure_ascii=False) + "\n")
