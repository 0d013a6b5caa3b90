"""A warm start: supervised fine-tuning on trajectories of a good team, in a folder (extra ``train``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from longvideoagent.core.trace import Trace
from longvideoagent.errors import DataError
from longvideoagent.progress import Progress, no_progress
from longvideoagent.training.callbacks import MetricsCallback, run_trainer
from longvideoagent.training.config import SFT, SftConfig
from longvideoagent.training.pretrained import is_main_process, load_model, lora_config
from longvideoagent.training.rollouts import MasterFormat
from longvideoagent.training.run_dir import RunDir
from longvideoagent.training.sft_data import select_traces, token_sequences
from longvideoagent.training.tokens import TokenSequence
from longvideoagent.training.trainer_arguments import (
    cannot_be_trained,
    check_trl_fields,
    common_arguments,
    gradient_accumulation_steps,
    run_settings,
)

IGNORE_INDEX = -100
"""The label of a token without a loss, as in PyTorch."""
MUON_RATE = 5.0
"""Muon's learning rate as a multiple of AdamW's: its steps per weight are that much smaller."""


def train_sft(config: SftConfig, progress: Progress = no_progress) -> Path:
    """Train, or resume from the folder's latest checkpoint. Returns the folder of the model. Raises DataError or
    UsageError for a run that cannot start, and ModelError for a loss that is not finite; checkpoints are kept."""
    trajectories = prepare_sft(config)
    run_dir = RunDir(config.out)
    model, tokenizer = load_model(config.model, is_adapted=config.lora is not None)
    master_format = MasterFormat(tokenizer, config.prompt_format, config.limits)
    sequences = [sequence for trace in trajectories for sequence in token_sequences(trace, master_format)]
    if not sequences:
        limits = "limits.max_prompt_tokens and limits.max_response_tokens"
        raise DataError(f"{config.runs[0]}: no trajectory fits the limits; raise {limits}")
    try:
        trainer = _make_trainer(config, model, tokenizer, sequences)
    except (ValueError, TypeError) as error:  # how peft and TRL report settings that contradict each other
        raise cannot_be_trained(config.model, error) from error
    if is_main_process():
        run_dir.claim(run_settings(config, SFT))
    counts = {"trajectories": len(trajectories), "sequences": len(sequences)}
    run_trainer(trainer, run_dir, MetricsCallback(run_dir, progress, lambda _step: counts))
    tokenizer.save_pretrained(run_dir.model)
    return run_dir.model


def prepare_sft(config: SftConfig) -> list[Trace]:
    """Check all that can be checked without loading the model, and read the trajectories. Raises DataError or
    UsageError for a run that could not start or resume."""
    RunDir(config.out).check(run_settings(config, SFT))
    _accumulation_steps(config)
    check_trl_fields("SFTConfig", config.trl)
    return select_traces(config)


def _accumulation_steps(config: SftConfig) -> int:
    per_device = config.per_device_batch_size or 1
    return gradient_accumulation_steps(config.sequences_per_step, per_device, "sequences_per_step")


def _make_trainer(config: SftConfig, model: Any, tokenizer: Any, sequences: Sequence[TokenSequence]) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    trl_arguments = {
        "output_dir": str(config.out),
        "per_device_train_batch_size": config.per_device_batch_size or 1,
        "gradient_accumulation_steps": _accumulation_steps(config),
        "max_steps": config.max_steps,
        "max_length": None,
        "learning_rate": config.learning_rate,
        "warmup_steps": 0.05,  # a fraction of max_steps
        "lr_scheduler_type": "cosine",
        "seed": config.seed,
        "save_steps": config.save_steps,
        **common_arguments(),
        **config.trl,
    }
    columns = {
        "input_ids": [sequence.prompt_ids + sequence.ids for sequence in sequences],
        "labels": [_labels(sequence) for sequence in sequences],
    }
    muon = MuonAndAdamW(model, config.learning_rate) if config.optimizer == "muon" else None
    return SFTTrainer(
        model=model,
        optimizers=(muon, None),
        args=SFTConfig(**trl_arguments),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=lora_config(config.lora),
    )


def _labels(sequence: TokenSequence) -> list[int]:
    """The ids, where they are the master's own."""
    own = [token if is_own else IGNORE_INDEX for token, is_own in zip(sequence.ids, sequence.mask, strict=True)]
    return [IGNORE_INDEX] * len(sequence.prompt_ids) + own


# --- optimizer -----------------------------------------------------------------------------------


class MuonAndAdamW(torch.optim.Optimizer):  # type: ignore[misc]
    """Muon (Jordan et al. 2024) for the matrices inside a model, and AdamW for embeddings, norms and biases, as one
    optimizer. Muon's orthogonal updates train a small model from scratch several times faster. ``learning_rate`` is
    AdamW's."""

    def __init__(self, model: Any, learning_rate: float) -> None:
        trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
        is_matrix = [weight.ndim == 2 and "embed" not in name and "lm_head" not in name for name, weight in trained]
        matrices = [weight for (_, weight), matrix in zip(trained, is_matrix, strict=True) if matrix]
        others = [weight for (_, weight), matrix in zip(trained, is_matrix, strict=True) if not matrix]
        muon = torch.optim.Muon(matrices, lr=MUON_RATE * learning_rate, weight_decay=0.0)
        adamw = torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
        self._optimizers = (muon, adamw)
        super().__init__([{"params": matrices}, {"params": others}], {})
        self._share_param_groups()

    def _share_param_groups(self) -> None:
        """Make the groups those of the two optimizers, so that a schedule changes both learning rates."""
        self.param_groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:
        """See PyTorch; a closure is not supported."""
        assert closure is None
        for optimizer in self._optimizers:
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"both": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states of both."""
        for optimizer, state in zip(self._optimizers, state_dict["both"], strict=True):
            optimizer.load_state_dict(state)
        self._share_param_groups()
