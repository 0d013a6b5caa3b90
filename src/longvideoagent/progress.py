"""How work that takes long reports its progress: one protocol, from the worker to whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by the worker, possibly from another thread. It may raise, which stops the work."""

    def __call__(self, stage: str, fraction: float, /) -> None:
        """Report that ``fraction``, 0 to 1, of ``stage`` is done; the worker names its stages."""


def no_progress(_stage: str, _fraction: float, /) -> None:
    """Report nothing; the default."""


def part_progress(progress: Progress, index: int, count: int) -> Progress:
    """Progress for part ``index`` of ``count`` equal parts of one stage."""
    return lambda stage, fraction: progress(stage, (index + fraction) / count)
