"""One run of reinforcement in a folder (extra ``train``); see ``folder`` for what is in it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longvideoagent.agents.build import cache_path, load_team
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError, one_line
from longvideoagent.progress import Progress, no_progress
from longvideoagent.training.callbacks import Watch, run_trainer
from longvideoagent.training.config import REINFORCEMENT, MasterConfig, TrainConfig
from longvideoagent.training.evaluation import EvalCallback
from longvideoagent.training.loading import adapter_of, is_main_process, load_model, machine_arguments
from longvideoagent.training.rollouts import MasterFormat, TrainingSample, prompt_fits
from longvideoagent.training.rows import read_training_samples
from longvideoagent.training.run_dir import ROLLOUTS, TrainingFolder
from longvideoagent.training.trl import MasterRollouts, make_trainer
from longvideoagent.views.trace_dict import trace_to_dict


def train(config: TrainConfig, algorithm: str, progress: Progress = no_progress) -> Path:
    """Train, or go on from the latest checkpoint of the folder; returns the folder of the model. Raises DataError or
    UsageError where it cannot be, and ModelError where the loss is no number any more: the checkpoints stay."""
    lessons, held_out = prepare(config, algorithm)
    folder, told = TrainingFolder(config.out), settings_told(config, algorithm)
    model, tokenizer = load_model(config.model, is_adapted=config.lora is not None)
    tongue = MasterFormat(tokenizer, config.wording, config.token_limits)
    check_prompts(config.rows, lessons, tongue)
    if config.held_out is not None:
        check_prompts(config.held_out, held_out, tongue)
    rollouts = MasterRollouts(lessons, load_team(config.team, cache_path()), tongue, config.weights)
    try:
        trainer = make_trainer(model, rollouts, algorithm, arguments(config, algorithm), adapter_of(config.lora))
    except (ValueError, TypeError) as error:  # peft and TRL tell so what does not go together
        raise DataError(f"{config.model}: cannot be trained so ({one_line(error)}); mend the configuration") from error
    if is_main_process():
        folder.claim(told)

    def tell_more(step: int) -> Mapping[str, Any]:
        if rollouts.finished and is_main_process():
            folder.add(ROLLOUTS, {"step": step, **trace_to_dict(rollouts.finished[0][0].trace)})
        return rollouts.told

    if held_out:
        trainer.add_callback(EvalCallback(trainer, rollouts, held_out, folder, config.held_out_every))
    run_trainer(trainer, folder, Watch(folder, progress, tell_more))
    tokenizer.save_pretrained(folder.model)
    return folder.model


def prepare(config: TrainConfig, algorithm: str) -> tuple[list[TrainingSample], list[TrainingSample]]:
    """All that can be told before the model is loaded: the lessons to train on and those held out, where the run can
    begin or go on. Raises DataError or UsageError where it cannot."""
    TrainingFolder(config.out).check(settings_told(config, algorithm))
    arguments(config, algorithm)
    check_fields("GRPOConfig", config.trl)
    if config.vllm_memory is not None and find_spec("vllm") is None:
        raise UsageError("vllm_memory: vLLM is not installed; pip install 'longvideoagent[vllm]', or leave it out")
    return read_all_training_samples(config)


def check_fields(kind: str, told: Mapping[str, Any]) -> None:
    """Raises UsageError where TRL's configuration of this kind has no such field."""
    import trl

    known = {each.name for each in fields(getattr(trl, kind))}
    unknown = [name for name in told if name not in known]
    if unknown:
        raise UsageError(f"trl.{unknown[0]}: no field of TRL's {kind}; mend or delete it")


def read_all_training_samples(config: TrainConfig) -> tuple[list[TrainingSample], list[TrainingSample]]:
    """Those to train on, and those held out. Raises DataError where they cannot be read, and UsageError where one
    episode stands in both, or where there are too few for a step."""
    data = open_dataset(config.data, config.split)
    lessons = read_training_samples(config.rows, data, config.settings)
    held_out = [] if config.held_out is None else read_training_samples(config.held_out, data, config.settings)
    if len(lessons) < config.batch:  # TRL leaves an incomplete batch out, and would train nothing
        raise UsageError(f"{config.rows}: {len(lessons)} questions, batch {config.batch}; lower batch")
    shared = {lesson.video for lesson in lessons} & {lesson.video for lesson in held_out}
    if shared:
        raise UsageError(f"{config.held_out}: episode {min(shared)} is trained on as well; export the rows again")
    return lessons, held_out


def check_prompts(rows: Path, lessons: Sequence[TrainingSample], tongue: MasterFormat) -> None:
    """Raises DataError where no lesson of the rows has a prompt that the master could be asked with."""
    if not any(prompt_fits(lesson.task, tongue) for lesson in lessons):
        told = f"no prompt fits limits.prompt, which is {tongue.limits.prompt} tokens"
        raise DataError(f"{rows}: {told}; raise it or shorten prompt_file")


def settings_told(config: MasterConfig, algorithm: str) -> dict[str, Any]:
    """What decides a run, as its folder tells it."""
    return {"algorithm": algorithm, **config.model_dump(mode="json", exclude={"out", "save_every"})}


def arguments(config: TrainConfig, algorithm: str) -> dict[str, Any]:
    """The configuration in TRL's words. Raises UsageError where the rollouts of a step cannot be shared evenly."""
    group = group_of(config, algorithm)
    at_once = config.at_once or group
    vllm = {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": config.vllm_memory,
        "vllm_max_model_length": config.limits.prompt + config.limits.response,
    }
    return {
        "output_dir": str(config.out),
        "num_generations": group,
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": gradient_accumulation_steps(config.batch * group, at_once),
        "max_steps": config.steps,
        "max_completion_length": config.limits.response,
        "learning_rate": config.learning_rate,
        "temperature": config.temperature,
        "seed": config.seed,
        "save_steps": config.save_every,
        **common_arguments(),
        **(vllm if config.vllm_memory is not None else {}),
        **config.trl,
    }


def gradient_accumulation_steps(rollouts: int, at_once: int) -> int:
    """Of a step, for each of torchrun's processes. Raises UsageError where they do not share its rollouts evenly."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if rollouts % (processes * at_once):
        told = f"{processes} process{'es' * (processes > 1)} of {at_once} at once"
        raise UsageError(f"batch: {rollouts} rollouts a step cannot be shared by {told}; change batch or at_once")
    return rollouts // (processes * at_once)


def common_arguments() -> dict[str, Any]:
    """What every training run asks of its trainer."""
    has_board = find_spec("tensorboard") is not None
    told = {"logging_steps": 1, "disable_tqdm": True, "report_to": "tensorboard" if has_board else "none"}
    return {**told, **machine_arguments()}


def group_of(config: TrainConfig, algorithm: str) -> int:
    """Rollouts of each question."""
    return config.group or int(REINFORCEMENT[algorithm]["num_generations"])
