"""One step of training with replies that are given, by one process or by each of several, as ``RANK`` and
``WORLD_SIZE`` say: ``two_ranks.py MODEL OUT ALGORITHM``. The first process writes the weights that come of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from tests.plugins.trl import END, MOVE, say, trainer_of

GROUP = ([MOVE, END], [MOVE, END], ["<answer>a0</answer>"], [END])
"""One group; the rewards of its first half are equal."""


def main(model: str, out: str, algorithm: str) -> None:
    """See the module."""
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    share = len(GROUP) // ranks
    plain = {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 0.0}  # Adam's first step magnifies rounding
    given: dict[str, Any] = {"per_device_train_batch_size": share, "max_steps": 1, "beta": 0.0, **plain}
    trainer, rollouts = trainer_of(Path(model), Path(out), algorithm, **given)
    with pytest.MonkeyPatch.context() as patch:
        say(rollouts, patch, *GROUP[rank * share : (rank + 1) * share])
        trainer.train()
    if rank == 0:
        own = trainer.accelerator.unwrap_model(trainer.model)
        told = {name: each.detach().contiguous() for name, each in own.named_parameters()}
        save_file(told, Path(out) / "weights.safetensors")

    trainer.accelerator.wait_for_everyone()


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # gloo's threads may abort, or wait for each other, while the interpreter is taken down
