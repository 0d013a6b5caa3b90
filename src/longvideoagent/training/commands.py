"""The algorithms of ``lva train`` in one table: configuration, check and run of each (extra ``train``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from longvideoagent.training.config import ALGORITHMS, SFT, RLConfig, SftConfig
from longvideoagent.training.rl import prepare_rl, train_rl, vllm_problem
from longvideoagent.training.sft import prepare_sft, train_sft


@dataclass(frozen=True, slots=True)
class TrainCommand:
    """How one algorithm is configured and run."""

    config: type[RLConfig] | type[SftConfig]
    prepare: Callable[[Any], object]
    """Check a configuration without loading the model."""
    train: Callable[..., Path]
    """Train by ``(config, progress=)``; returns the folder of the model."""
    missing: Callable[[Any], str] = lambda _: ""
    """The package that a run needs and this machine lacks, with its fix; empty if there is none."""


TRAIN_COMMANDS: Mapping[str, TrainCommand] = MappingProxyType(
    {
        **{
            name: TrainCommand(
                RLConfig, partial(prepare_rl, algorithm=name), partial(train_rl, algorithm=name), vllm_problem
            )
            for name in ALGORITHMS
        },
        SFT: TrainCommand(SftConfig, prepare_sft, train_sft),
    }
)
