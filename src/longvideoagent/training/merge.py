"""An adapter put into the weights of its base, as a plain model folder (extra ``train``)."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from longvideoagent.errors import DataError, UsageError, one_line
from longvideoagent.training.loading import keep_quiet, load_both

WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"


def merge(adapter: Path, out: Path, base: str | None = None, settings: Path | None = None) -> Path:
    """Write base and adapter as one model, with the tokenizer, into ``out``, which must be empty. ``adapter`` is a
    folder of peft's, or a lone safetensors file whose ``settings`` are ``adapter_config.json`` beside it where they
    are not given. ``base`` is the one that the settings name where it is not given. Raises DataError where they
    cannot be read or do not fit each other, and UsageError for a folder that holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is not empty; choose another --out")
    weights = adapter / WEIGHTS if adapter.is_dir() else adapter
    settings = settings or weights.with_name(SETTINGS)
    for path in (weights, settings):
        if not path.is_file():
            raise DataError(f"{path}: no such file; give an adapter's folder, or its weights and --config")
    base = base or _base_of(settings)
    keep_quiet()
    model, tokenizer = load_both(base, "auto")
    try:
        with tempfile.TemporaryDirectory() as together:  # as peft reads it, whatever the files are called
            shutil.copyfile(weights, Path(together) / WEIGHTS)
            shutil.copyfile(settings, Path(together) / SETTINGS)
            merged = _merge(model, Path(together))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        told = one_line(error)
        raise DataError(f"{adapter}: does not go with {base} ({told}); give its own --base") from error
    with _whole_folder(out) as partial:
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    return out


def _merge(model: Any, adapter: Path) -> Any:
    """Raises ValueError where the adapter's weights are not those that it has over this model: peft would leave out
    what it does not find and make up what is missing."""
    from peft import PeftModel, get_peft_model_state_dict

    with warnings.catch_warnings(category=UserWarning, action="ignore"):  # of missing weights, which are refused
        adapted = PeftModel.from_pretrained(model, str(adapter))
    wanted = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    with safe_open(adapter / WEIGHTS, "pt") as file:
        given = set(file.keys())
    missing, surplus = wanted - given, given - wanted - set(adapted.state_dict())
    if missing:
        raise ValueError(f"it has no {min(missing)}")
    if surplus:
        raise ValueError(f"the base has no place for {min(surplus)}")
    return adapted.merge_and_unload()


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` to write into, which takes its name when the block ends well and is deleted
    otherwise."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}.", suffix=".partial", dir=out.parent) as beside:
        partial = Path(beside) / out.name
        partial.mkdir()
        yield partial
        if out.exists():
            out.rmdir()  # it is empty
        partial.rename(out)


def _base_of(settings: Path) -> str:
    try:
        told = json.loads(settings.read_text(encoding="utf-8"))
        return str(told["base_model_name_or_path"] or "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{settings}: names no base model ({one_line(error)}); give --base") from error
