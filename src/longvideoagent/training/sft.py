"""A warm start: supervised fine-tuning on trajectories of a good team, in a folder (extra ``train``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longvideoagent.core.trace import Trace
from longvideoagent.errors import DataError, one_line
from longvideoagent.progress import Progress, no_progress
from longvideoagent.training.callbacks import Watch, run_trainer
from longvideoagent.training.config import SftConfig
from longvideoagent.training.loading import adapter_of, is_main_process, load_model
from longvideoagent.training.muon import MuonAndAdam
from longvideoagent.training.rl import check_fields, common_arguments, gradient_accumulation_steps, settings_told
from longvideoagent.training.rollouts import MasterFormat
from longvideoagent.training.run_dir import TrainingFolder
from longvideoagent.training.sft_data import read_good, sequences_of

IGNORED = -100
"""The label of a token that is not learnt."""


def teach(config: SftConfig, progress: Progress = no_progress) -> Path:
    """Teach, or go on from the latest checkpoint of the folder; returns the folder of the model. Raises DataError or
    UsageError where it cannot be, and ModelError where the loss is no number any more: the checkpoints stay."""
    good = prepare_teaching(config)
    folder, told = TrainingFolder(config.out), settings_told(config, "sft")
    model, tokenizer = load_model(config.model, is_adapted=config.lora is not None)
    tongue = MasterFormat(tokenizer, config.wording, config.token_limits)
    sequences = [each for trace in good for each in sequences_of(trace, tongue)]
    if not sequences:
        raise DataError(f"{config.runs[0]}: no trajectory fits the limits; raise limits.prompt and limits.response")
    rows = {"input_ids": [each.prompt_ids + each.ids for each in sequences]}
    rows["labels"] = [
        [IGNORED] * len(each.prompt_ids)
        + [number if mask else IGNORED for number, mask in zip(each.ids, each.mask, strict=True)]
        for each in sequences
    ]
    try:
        trainer = _make_trainer(config, model, tokenizer, rows)
    except (ValueError, TypeError) as error:  # peft and TRL tell so what does not go together
        raise DataError(f"{config.model}: cannot be taught so ({one_line(error)}); mend the configuration") from error
    if is_main_process():
        folder.claim(told)
    watch = Watch(folder, progress, lambda _step: {"trajectories": len(good), "sequences": len(sequences)})
    run_trainer(trainer, folder, watch)
    tokenizer.save_pretrained(folder.model)
    return folder.model


def prepare_teaching(config: SftConfig) -> list[Trace]:
    """All that can be told before the model is loaded: the trajectories, where the run can begin or go on. Raises
    DataError or UsageError where it cannot."""
    TrainingFolder(config.out).check(settings_told(config, "sft"))
    gradient_accumulation_steps(config.batch, config.at_once or 1)
    check_fields("SFTConfig", config.trl)
    return read_good(config)


def _make_trainer(config: SftConfig, model: Any, tokenizer: Any, rows: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    own = {
        "output_dir": str(config.out),
        "per_device_train_batch_size": config.at_once or 1,
        "gradient_accumulation_steps": gradient_accumulation_steps(config.batch, config.at_once or 1),
        "max_steps": config.steps,
        "max_length": None,
        "learning_rate": config.learning_rate,
        "warmup_steps": 0.05,
        "lr_scheduler_type": "cosine",
        "seed": config.seed,
        "save_steps": config.save_every,
        **common_arguments(),
        **config.trl,
    }
    muon = MuonAndAdam(model, config.learning_rate) if config.optimizer == "muon" else None
    return SFTTrainer(
        model=model,
        optimizers=(muon, None),
        args=SFTConfig(**own),
        train_dataset=Dataset.from_dict(rows),
        processing_class=tokenizer,
        peft_config=adapter_of(config.lora),
    )
