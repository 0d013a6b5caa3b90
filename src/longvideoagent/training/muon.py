"""Muon for the matrices inside a model and AdamW for the rest, as one optimizer (extra ``train``).

Steps whose directions are all equally long (Jordan et al. 2024) teach a small model from scratch several times faster;
embeddings and norms are no such maps and keep AdamW.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

RATE = 5.0
"""Muon's learning rate over AdamW's: its steps are that much smaller for each weight."""


class MuonAndAdam(torch.optim.Optimizer):  # type: ignore[misc]
    """``learning_rate`` is AdamW's."""

    def __init__(self, model: Any, learning_rate: float) -> None:
        trained = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        matrices = [each for name, each in trained if each.ndim == 2 and "embed" not in name and "lm_head" not in name]
        inside = {id(each) for each in matrices}
        rest = [each for _, each in trained if id(each) not in inside]
        muon = torch.optim.Muon(matrices, lr=RATE * learning_rate, weight_decay=0.0)
        adam = torch.optim.AdamW(rest, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
        self._both = (muon, adam)
        super().__init__([{"params": matrices}, {"params": rest}], {})
        self.param_groups = [*muon.param_groups, *adam.param_groups]  # a schedule turns those of both

    def step(self, closure: Callable[[], float] | None = None) -> None:
        """See torch; no closure is called."""
        assert closure is None
        for each in self._both:
            each.step()

    def state_dict(self) -> dict[str, Any]:
        """Of both."""
        return {"both": [each.state_dict() for each in self._both]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of both."""
        for each, told in zip(self._both, state_dict["both"], strict=True):
            each.load_state_dict(told)
        self.param_groups = [group for each in self._both for group in each.param_groups]
