"""One training step with scripted replies, by one process or by each of several, as ``RANK`` and ``WORLD_SIZE`` say:
``two_ranks.py MODEL OUT ALGORITHM``. The first process writes the trained weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from tests.plugins.trl import CORRECT, RELOCATE, WRONG, make_test_trainer, script_replies

GROUP = ([RELOCATE, CORRECT], [RELOCATE, CORRECT], [WRONG], [CORRECT])
"""One group; the rewards of its first half are equal."""


def main(model: str, out: str, algorithm: str) -> None:
    """See the module."""
    rank, num_ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    share = len(GROUP) // num_ranks
    sgd = {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 0.0}  # Adam's first step magnifies rounding
    changes: dict[str, Any] = {"per_device_train_batch_size": share, "max_steps": 1, "beta": 0.0, **sgd}
    trainer, rollouts = make_test_trainer(Path(model), Path(out), algorithm, **changes)
    with pytest.MonkeyPatch.context() as patch:
        script_replies(rollouts, patch, *GROUP[rank * share : (rank + 1) * share])
        trainer.train()
    if rank == 0:
        trained = trainer.accelerator.unwrap_model(trainer.model)
        weights = {name: weight.detach().contiguous() for name, weight in trained.named_parameters()}
        save_file(weights, Path(out) / "weights.safetensors")

    trainer.accelerator.wait_for_everyone()


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # gloo's threads may abort, or wait for each other, at the interpreter's exit
