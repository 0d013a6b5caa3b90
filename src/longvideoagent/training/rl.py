"""A run of reinforcement learning in a folder (extra ``train``); ``run_dir`` lists the folder's files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from longvideoagent.agents.build import cache_path, load_team
from longvideoagent.datasets.registry import open_dataset
from longvideoagent.errors import DataError, UsageError, one_line
from longvideoagent.progress import Progress, no_progress
from longvideoagent.training.callbacks import EvalCallback, MetricsCallback, run_trainer
from longvideoagent.training.config import RLConfig, TrainingConfig
from longvideoagent.training.pretrained import is_main_process, load_model, lora_config
from longvideoagent.training.rollouts import MasterFormat, TrainingSample, prompt_fits
from longvideoagent.training.rows import read_training_samples
from longvideoagent.training.run_dir import ROLLOUTS, RunDir
from longvideoagent.training.trl import MasterRollouts, make_trainer
from longvideoagent.views.trace_dict import trace_to_dict


class Samples(NamedTuple):
    """The samples of a run."""

    train: list[TrainingSample]
    eval: list[TrainingSample]


def train_rl(config: RLConfig, algorithm: str, progress: Progress = no_progress) -> Path:
    """Train, or resume from the folder's latest checkpoint. Returns the folder of the model. Raises DataError or
    UsageError for a run that cannot start, and ModelError for a loss that is not finite; checkpoints are kept."""
    samples = prepare_rl(config, algorithm)
    run_dir = RunDir(config.out)
    model, tokenizer = load_model(config.model, is_adapted=config.lora is not None)
    master_format = MasterFormat(tokenizer, config.prompt_format, config.limits)
    check_prompts(config.rows, samples.train, master_format)
    if config.eval_rows is not None:
        check_prompts(config.eval_rows, samples.eval, master_format)
    rollouts = MasterRollouts(samples.train, load_team(config.team, cache_path()), master_format, config.weights)
    try:
        trainer = make_trainer(model, rollouts, algorithm, trl_arguments(config, algorithm), lora_config(config.lora))
    except (ValueError, TypeError) as error:  # how peft and TRL report settings that contradict each other
        raise cannot_be_trained(config.model, error) from error
    if is_main_process():
        run_dir.claim(run_settings(config, algorithm))

    def step_metrics(step: int) -> Mapping[str, float]:
        if rollouts.scored and is_main_process():
            run_dir.append(ROLLOUTS, {"step": step, "trace": trace_to_dict(rollouts.scored[0].result.trace)})
        return rollouts.metrics

    if samples.eval:
        trainer.add_callback(EvalCallback(trainer, rollouts, samples.eval, run_dir, config.eval_steps))
    run_trainer(trainer, run_dir, MetricsCallback(run_dir, progress, step_metrics))
    tokenizer.save_pretrained(run_dir.model)
    return run_dir.model


def prepare_rl(config: RLConfig, algorithm: str) -> Samples:
    """Check all that can be checked without loading the model, and read the samples. Raises DataError or UsageError
    for a run that could not start or resume."""
    RunDir(config.out).check(run_settings(config, algorithm))
    trl_arguments(config, algorithm)
    check_trl_fields("GRPOConfig", config.trl)
    if config.vllm_gpu_memory_utilization is not None and find_spec("vllm") is None:
        raise UsageError(
            "vllm_gpu_memory_utilization: vLLM is not installed; "
            "pip install 'longvideoagent[vllm]', or leave the field out"
        )
    return read_samples(config)


def read_samples(config: RLConfig) -> Samples:
    """The samples of ``rows`` and ``eval_rows``. Raises DataError for rows that cannot be read, and UsageError for a
    video in both, or for too few questions for a step."""
    data = open_dataset(config.data, config.split)
    train = read_training_samples(config.rows, data, config.settings)
    eval_ = [] if config.eval_rows is None else read_training_samples(config.eval_rows, data, config.settings)
    needed = config.questions_per_step
    if len(train) < needed:  # TRL drops an incomplete batch, and would train on nothing
        raise UsageError(
            f"{config.rows}: {len(train)} questions, questions_per_step {needed}; lower questions_per_step"
        )
    shared = {sample.video_id for sample in train} & {sample.video_id for sample in eval_}
    if shared:
        raise UsageError(f"{config.eval_rows}: video {min(shared)} is in rows, too; export the rows again")
    return Samples(train, eval_)


def check_prompts(rows: Path, samples: Sequence[TrainingSample], master_format: MasterFormat) -> None:
    """Raises DataError if no sample's prompt fits the limits."""
    if not any(prompt_fits(sample.task, master_format) for sample in samples):
        limit = f"limits.max_prompt_tokens ({master_format.limits.max_prompt_tokens})"
        raise DataError(f"{rows}: no prompt fits {limit}; raise it or shorten prompt_file")


def run_settings(config: TrainingConfig, algorithm: str) -> dict[str, Any]:
    """What decides a run, for its folder: where it is stored and how often it is saved do not."""
    return {"algorithm": algorithm, **config.model_dump(mode="json", exclude={"out", "save_steps"})}


def cannot_be_trained(model: str, error: Exception) -> DataError:
    """The error for a model and settings that peft or TRL refuse."""
    return DataError(f"{model}: cannot be trained with this configuration ({one_line(error)}); fix the configuration")


# --- arguments of TRL's trainers -----------------------------------------------------------------


def trl_arguments(config: RLConfig, algorithm: str) -> dict[str, Any]:
    """The configuration as fields of TRL's GRPOConfig. Raises UsageError for rollouts that processes cannot share."""
    group_size = config.group_size(algorithm)
    per_device = config.per_device_batch_size or group_size
    vllm = {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": config.vllm_gpu_memory_utilization,
        "vllm_max_model_length": config.limits.max_prompt_tokens + config.limits.max_response_tokens,
    }
    accumulation = gradient_accumulation_steps(config.rollouts_per_step(algorithm), per_device, "questions_per_step")
    return {
        "output_dir": str(config.out),
        "num_generations": group_size,
        "per_device_train_batch_size": per_device,
        "gradient_accumulation_steps": accumulation,
        "max_steps": config.max_steps,
        "max_completion_length": config.limits.max_response_tokens,
        "learning_rate": config.learning_rate,
        "temperature": config.temperature,
        "seed": config.seed,
        "save_steps": config.save_steps,
        **common_arguments(),
        **(vllm if config.vllm_gpu_memory_utilization is not None else {}),
        **config.trl,
    }


def gradient_accumulation_steps(sequences_per_step: int, per_device: int, field: str) -> int:
    """Forward passes per step and process (torchrun's). Raises UsageError, which names the ``field`` that decides the
    sequences of a step, if processes cannot share them evenly."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if sequences_per_step % (processes * per_device):
        shares = f"{processes} process{'es' * (processes > 1)} with per_device_batch_size {per_device}"
        raise UsageError(
            f"{field}: {shares} cannot share {sequences_per_step} sequences per step evenly; "
            f"change {field} or per_device_batch_size"
        )
    return sequences_per_step // (processes * per_device)


def common_arguments() -> dict[str, Any]:
    """Fields that all of TRL's trainers get; some depend on the machine."""
    has_gpu = torch.cuda.is_available()
    has_tensorboard = find_spec("tensorboard") is not None
    return {
        "logging_steps": 1,
        "disable_tqdm": True,
        "report_to": "tensorboard" if has_tensorboard else "none",
        "use_cpu": not has_gpu,
        "bf16": has_gpu,
        "gradient_checkpointing": has_gpu,
    }


def check_trl_fields(config_class: str, values: Mapping[str, Any]) -> None:
    """Raises UsageError for a field that TRL's configuration class does not have."""
    import trl

    known = {field.name for field in fields(getattr(trl, config_class))}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise UsageError(f"trl.{unknown[0]}: no field of TRL's {config_class}; fix or delete it")
