"""A run of reinforcement learning in a folder (extra ``train``); ``run_dir`` lists the folder's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longvideoagent.agents.build import cache_path, load_team
from longvideoagent.errors import DataError, UsageError
from longvideoagent.progress import Progress, no_progress
from longvideoagent.training.callbacks import EvalCallback, MetricsCallback, run_trainer
from longvideoagent.training.config import RLConfig
from longvideoagent.training.pretrained import is_main_process, load_model, lora_config
from longvideoagent.training.rollouts import MasterFormat, TrainingSample, prompt_fits
from longvideoagent.training.rows import Samples, read_samples
from longvideoagent.training.run_dir import ROLLOUTS, RunDir
from longvideoagent.training.trainer_arguments import (
    cannot_be_trained,
    check_trl_fields,
    common_arguments,
    gradient_accumulation_steps,
    run_settings,
)
from longvideoagent.training.trl import MasterRollouts, make_trainer
from longvideoagent.views.trace_dict import trace_to_dict


def train_rl(config: RLConfig, algorithm: str, progress: Progress = no_progress) -> Path:
    """Train, or resume from the folder's latest checkpoint. Returns the folder of the model. Raises DataError or
    UsageError for a run that cannot start, and ModelError for a loss that is not finite; checkpoints are kept."""
    if problem := vllm_problem(config):
        raise UsageError(problem)
    samples = prepare_rl(config, algorithm)
    run_dir = RunDir(config.out)
    model, tokenizer = load_model(config.model, is_adapted=config.lora is not None)
    master_format = MasterFormat(tokenizer, config.prompt_format, config.limits)
    check_prompts(config.rows, samples.train, master_format)
    if config.eval_rows is not None:
        check_prompts(config.eval_rows, samples.eval, master_format)
    rollouts = MasterRollouts(
        samples.train,
        load_team(config.team_config, cache_path()),
        master_format,
        config.weights,
        max_generation_batches=config.max_generation_batches,
        overlong_buffer_tokens=config.overlong_buffer_tokens,
        overlong_penalty=config.overlong_penalty,
    )
    try:
        trainer = make_trainer(model, rollouts, algorithm, trl_arguments(config, algorithm), lora_config(config.lora))
    except (ValueError, TypeError) as error:  # how peft and TRL report settings that contradict each other
        raise cannot_be_trained(config.model, error) from error
    if is_main_process():
        run_dir.claim(run_settings(config, algorithm))

    def step_metrics(step: int) -> Mapping[str, float]:
        is_new = (step - 1) % config.updates_per_batch == 0
        if is_new and rollouts.scored and is_main_process():
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
    _ = config.team_config  # a team or model that does not exist is an error before the weights are loaded
    trl_arguments(config, algorithm)
    check_trl_fields("GRPOConfig", config.trl)
    return read_samples(config)


def vllm_problem(config: RLConfig) -> str:
    """What is wrong if vLLM shall sample and is not installed; else empty. A dry run notes it and goes on, since it is
    often made on a machine without a GPU."""
    if config.vllm_gpu_memory_utilization is None or find_spec("vllm") is not None:
        return ""
    fix = "pip install 'longvideoagent[vllm]', or leave the field out"
    return f"vllm_gpu_memory_utilization: vLLM is not installed; {fix}"


def check_prompts(rows: Path, samples: Sequence[TrainingSample], master_format: MasterFormat) -> None:
    """Raises DataError if no sample's prompt fits the limits."""
    if not any(prompt_fits(sample.task, master_format) for sample in samples):
        limit = f"limits.max_prompt_tokens ({master_format.limits.max_prompt_tokens})"
        raise DataError(f"{rows}: no prompt fits {limit}; raise it or shorten prompt_file")


# --- arguments of TRL's trainers -----------------------------------------------------------------


def trl_arguments(config: RLConfig, algorithm: str) -> dict[str, Any]:
    """The configuration as fields of TRL's GRPOConfig. Raises UsageError for rollouts that processes cannot share, and
    for checkpoints inside a batch, which no run could resume from."""
    if config.save_steps % config.updates_per_batch:
        batch = f"updates_per_batch {config.updates_per_batch}"
        raise UsageError(f"save_steps: {config.save_steps} is not a multiple of {batch}; change one of them")
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
        "steps_per_generation": accumulation * config.updates_per_batch,
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
