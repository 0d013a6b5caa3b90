"""A training run on disk: begun, gone on with, written to.

==================  ===============================================================================
``config.json``     what the run is of
``checkpoint-N/``   the trainer's checkpoints; the latest is gone on from
``metrics.jsonl``   a line a step: loss, and of rollouts reward and its parts, tool use, outages
``held_out.jsonl``  a line for each time that the held-out questions were asked
``rollouts.jsonl``  the first rollout of each step, as ``lva ask --json`` tells it
``model/``          what came of it: the model, or its adapter
``curves.png``      the numbers, drawn; ``report.html`` has them beside the rollouts
==================  ===============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import atomic_write_text
from longvideoagent.views.run_folder import read_json_lines

CONFIG, MODEL = "config.json", "model"
METRICS, HELD_OUT, ROLLOUTS = "metrics.jsonl", "held_out.jsonl", "rollouts.jsonl"
CURVES, REPORT = "curves.png", "report.html"
WRITTEN_LAST = "trainer_state.json"
"""Of a checkpoint, as transformers writes it."""


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """See the module. Only the main process of several writes."""

    path: Path

    @property
    def model(self) -> Path:
        """Where what came of the run is kept."""
        return self.path / MODEL

    @property
    def checkpoint(self) -> Path | None:
        """The latest checkpoint that is whole: one that a kill left half-written is none."""
        found = [each for each in self.path.glob("checkpoint-*") if each.name.removeprefix("checkpoint-").isdecimal()]
        return next((each for each in sorted(found, key=_step_of, reverse=True) if _is_whole(each)), None)

    def claim(self, told: Mapping[str, Any]) -> None:
        """Say in the folder what it is a run of, and forget what was written of steps that are done again. Raises
        UsageError as ``check`` does."""
        self.check(told)
        atomic_write_text(self.path / CONFIG, json.dumps(told, indent=1) + "\n")
        self._forget_after_checkpoint()

    def check(self, told: Mapping[str, Any]) -> None:
        """Raises UsageError where the folder holds a run of something else, a finished one, or no run: a checkpoint
        holds what decides the next step, so a changed setting would count for a part of the run or not at all."""
        if self.model.exists():
            raise UsageError(f"{self.path}: holds a finished run; choose another out")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file; choose another out")
        path = self.path / CONFIG
        before = _read(path) if path.exists() else told
        if "algorithm" not in before or (not path.exists() and self.path.exists() and any(self.path.iterdir())):
            raise UsageError(f"{self.path}: holds other files and no run; choose another out")
        changed = [name for name in {**told, **before} if before.get(name) != told.get(name)]
        if changed:
            name = changed[0]
            what = f"{name}: {before.get(name)} -> {told.get(name)}"
            raise UsageError(f"{self.path}: a run of other settings ({what}); choose another out")

    def _forget_after_checkpoint(self) -> None:
        step = _step_of(self.checkpoint) if self.checkpoint is not None else -1
        for name in (METRICS, HELD_OUT, ROLLOUTS):
            kept = [line for line in self.lines(name) if line["step"] <= step]
            if kept or (self.path / name).exists():
                atomic_write_text(
                    self.path / name, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in kept)
                )

    def add(self, name: str, told: Mapping[str, Any]) -> None:
        """Append a line to one of the files."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told, ensure_ascii=False) + "\n")

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The lines of one of the files; half a line at its end was left by a kill and is none."""
        if not (self.path / name).exists():
            return
        yield from read_json_lines(self.path / name, "delete that line")


def read_settings(path: Path) -> dict[str, Any]:
    """What a folder is a run of. Raises DataError where it is none."""
    return _read(path / CONFIG)


def is_training(path: Path) -> bool:
    """Whether a folder holds a training run, though it may not have made a step yet."""
    try:
        return "algorithm" in _read(path / CONFIG)
    except DataError:
        return (path / CONFIG).exists() and (path / METRICS).exists()


def _read(path: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no settings of a training run ({error}); choose another folder") from error
    return told


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / WRITTEN_LAST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))
