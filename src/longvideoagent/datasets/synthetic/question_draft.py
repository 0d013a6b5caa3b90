"""Questions of synthetic episodes before their options are shuffled and their clip is known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from longvideoagent.core.types import TimeSpan
from longvideoagent.datasets.gold import Box, Reference


@dataclass(frozen=True, slots=True)
class QuestionDraft:
    """A question with its right answer as an option and as a reference, and wrong options."""

    text: str
    correct_option: str
    wrong: Sequence[str]
    span: TimeSpan | None
    """Where the answer is; None for the whole video."""
    boxes: tuple[Box, ...] = ()
    reference: Reference | None = None
    """Of the open-ended form; None: the correct option, with the wrong options as known wrong values."""


def wrong_options(rng: random.Random, own: Sequence[str], pool: Sequence[str]) -> list[str]:
    """Wrong options: first those of the scene itself, then others in random order."""
    others = [option for option in dict.fromkeys(pool) if option not in own]
    return [*own, *rng.sample(others, len(others))]
