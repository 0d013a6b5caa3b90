"""The folder of a training run: begun, resumed, appended to, migrated.

==================  ===============================================================================
``config.json``     what decides the run, and the version of the folder
``checkpoint-N/``   the trainer's checkpoints; the run resumes from the latest
``metrics.jsonl``   a line per step: loss; for rollouts reward and its parts, tool use, outages
``eval.jsonl``      a line per evaluation on ``eval_rows``
``rollouts.jsonl``  the first rollout of each step: its trace, as ``lva ask --json`` prints it
``model/``          the trained model, or its adapter
``curves.png``      the metrics as plots; ``report.html`` shows them with the rollouts
==================  ===============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longvideoagent.agents.prompts import with_tool_texts
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import atomic_write_text
from longvideoagent.views.differences import differences
from longvideoagent.views.run_folder import read_json_lines

CONFIG, MODEL = "config.json", "model"
METRICS, EVAL, ROLLOUTS = "metrics.jsonl", "eval.jsonl", "rollouts.jsonl"
CURVES, REPORT = "curves.png", "report.html"
TRAINER_STATE = "trainer_state.json"
"""The file that transformers writes last into a checkpoint."""
VERSION = 3
"""Of the folder; earlier ones are migrated (see ``RunDir.migrate``)."""

_ADDED_SETTINGS: Mapping[str, Any] = {
    "actions": "after_reasoning",
    "updates_per_batch": 1,
    "max_generation_batches": 1,
    "overlong_penalty": 1.0,
}
"""What a run did that does not have these settings, because it was begun before they existed; None for the others."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """The folder of one run; see the module. Of several processes, only the main one writes."""

    path: Path

    @property
    def model(self) -> Path:
        """The folder of the trained model; it exists once the run has finished."""
        return self.path / MODEL

    @property
    def checkpoint(self) -> Path | None:
        """The latest complete checkpoint, or None. A killed process may have left an incomplete one."""
        paths = self.path.glob("checkpoint-*")
        folders = [path for path in paths if path.name.removeprefix("checkpoint-").isdecimal()]
        folders.sort(key=_checkpoint_step, reverse=True)
        return next((folder for folder in folders if _is_complete(folder)), None)

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Write what decides the run, and drop the lines of steps after the latest checkpoint, which are done again.
        Raises UsageError as ``check`` does."""
        self.check(settings)
        if (self.path / CONFIG).exists():
            self.migrate()
        self._write_config(settings)
        last_step = _checkpoint_step(self.checkpoint) if self.checkpoint is not None else -1
        for name in (METRICS, EVAL, ROLLOUTS):
            if (self.path / name).exists():
                self._rewrite(name, [line for line in self.lines(name) if line["step"] <= last_step])

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises UsageError for a folder that holds a finished run, a run with other settings, or other files: a
        checkpoint contains what decides the next step, so a changed setting would apply to a part of the run only or
        not at all."""
        if self.model.exists():
            raise UsageError(f"{self.path}: holds a finished run; choose another out")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file; choose another out")
        has_config = (self.path / CONFIG).exists()
        before = read_settings(self.path) if has_config else settings
        if "algorithm" not in before or (not has_config and self.path.exists() and any(self.path.iterdir())):
            raise UsageError(f"{self.path}: holds other files and no training run; choose another out")
        for name in {**settings, **before}:
            added = _ADDED_SETTINGS.get(name)
            if before.get(name, added) != settings.get(name, added):
                changes = differences({name: before.get(name, added)}, {name: settings.get(name, added)})
                change = changes[0] if changes else f"{name} differs"
                raise UsageError(f"{self.path}: holds a run with other settings ({change}); choose another out")

    def append(self, name: str, values: Mapping[str, Any]) -> None:
        """Append a line to one of the ``.jsonl`` files."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, ensure_ascii=False) + "\n")

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The complete lines of one of the ``.jsonl`` files; none if it does not exist."""
        if (self.path / name).exists():
            yield from read_json_lines(self.path / name, "delete that line")

    def migrate(self) -> None:
        """Bring a folder of an earlier version to the present one. Deletes nothing; ``config.json`` is written last, so
        that an interrupted migration starts again. Raises DataError as ``read_settings`` does."""
        version = _version(_read_config(self.path / CONFIG))
        if version == VERSION:
            return
        settings = read_settings(self.path)
        if version == 1:
            self._migrate_lines_1()
        self._write_config(settings)

    def _migrate_lines_1(self) -> None:
        if (self.path / ROLLOUTS).exists():  # its lines were no complete traces, and cannot be converted
            (self.path / ROLLOUTS).rename(self.path / ROLLOUTS_1)
        for old, new in {METRICS: METRICS, HELD_OUT_1: EVAL}.items():
            if (self.path / old).exists():
                lines = [_renamed(line, _METRIC_NAMES_1) for line in self.lines(old)]
                self._rewrite(new, lines)

    def _write_config(self, settings: Mapping[str, Any]) -> None:
        atomic_write_text(self.path / CONFIG, json.dumps({"version": VERSION, **settings}, indent=1) + "\n")

    def _rewrite(self, name: str, lines: list[dict[str, Any]]) -> None:
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        atomic_write_text(self.path / name, text)


def read_settings(path: Path) -> dict[str, Any]:
    """What decides the run of a folder, in the present version. Raises DataError for a folder without a training run,
    and for a later version."""
    config = _read_config(path / CONFIG)
    version = _version(config)
    if version not in range(1, VERSION + 1):
        raise DataError(f"{path}: has version {version}, which is not known here; upgrade longvideoagent")
    settings = {name: value for name, value in config.items() if name not in ("version", "format")}
    for migrate in _MIGRATIONS[version - 1 :]:
        settings = migrate(settings)
    if isinstance(settings.get("layout"), Mapping):
        settings["layout"] = with_tool_texts(settings["layout"])
    return settings


def _version(config: Mapping[str, Any]) -> Any:
    """The version of a folder. Version 2 called it ``format``, and version 1 did not write it."""
    return config.get("version", config.get("format", 1))


def is_training_run(path: Path) -> bool:
    """Whether a folder holds a training run, even one without a step yet."""
    try:
        return "algorithm" in _read_config(path / CONFIG)
    except DataError:
        return (path / CONFIG).exists() and (path / METRICS).exists()


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not the settings of a training run ({error}); choose another folder") from error
    if not isinstance(config, dict):
        raise DataError(f"{path}: not the settings of a training run (not a JSON object); choose another folder")
    return config


def _is_complete(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / TRAINER_STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _checkpoint_step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


# --- migrations -----------------------------------------------------------------------------------

_SETTING_NAMES_1 = {
    "steps": "max_steps",
    "at_once": "per_device_batch_size",
    "batch": "questions_per_step",
    "group": "num_generations",
    "held_out": "eval_rows",
    "held_out_every": "eval_steps",
    "vllm_memory": "vllm_gpu_memory_utilization",
    "only_right": "only_correct",
    "least_reward": "min_reward",
}
_LIMIT_NAMES_1 = {
    "prompt": "max_prompt_tokens",
    "response": "max_response_tokens",
    "reply": "max_reply_tokens",
    "least_reply": "min_reply_tokens",
}
HELD_OUT_1, ROLLOUTS_1 = "held_out.jsonl", "rollouts-format-1.jsonl"
_METRIC_NAMES_1 = {"reward_right": "reward_correct", "did_not_fit": "prompt_too_long", "n": "questions"}


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def _from_version_1(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The names of version 2."""
    names = _SETTING_NAMES_1
    if settings.get("algorithm") == "sft":
        names = {**names, "batch": "sequences_per_step"}
    migrated = _renamed(settings, names)
    if isinstance(migrated.get("limits"), Mapping):
        migrated["limits"] = _renamed(migrated["limits"], _LIMIT_NAMES_1)
    if isinstance(migrated.get("lora"), Mapping):
        migrated["lora"] = _renamed(migrated["lora"], {"modules": "target_modules"})
    if isinstance(migrated.get("reward"), Mapping):
        migrated["reward"] = _renamed(migrated["reward"], {"right": "correct"})
    return migrated


def _from_version_2(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Version 3 has the same settings; only the name of its number differs."""
    return dict(settings)


_MIGRATIONS = (_from_version_1, _from_version_2)
