"""Merge an adapter into its base, as a plain model folder (extra ``train``)."""

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
from longvideoagent.training.pretrained import load_pretrained, silence_transformers

WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"


def merge_adapter(adapter: Path, out: Path, base: str | None = None, adapter_config: Path | None = None) -> Path:
    """Write base and adapter as one model, with the tokenizer, into the empty folder ``out``.

    ``adapter`` is a folder of peft's, or a single safetensors file. ``adapter_config`` defaults to the
    ``adapter_config.json`` next to the weights, ``base`` to the base model that it names. Returns ``out``. Raises
    DataError for files that cannot be read or do not fit each other, and UsageError for a folder that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is not empty; choose another --out")
    weights = adapter / WEIGHTS if adapter.is_dir() else adapter
    adapter_config = adapter_config or weights.with_name(ADAPTER_CONFIG)
    for path in (weights, adapter_config):
        if not path.is_file():
            raise DataError(f"{path}: no such file; give an adapter's folder, or its weights and --adapter-config")
    base = base or _base_model(adapter_config)
    silence_transformers()
    model, tokenizer = load_pretrained(base, "auto")
    try:
        with tempfile.TemporaryDirectory() as folder:  # with the file names that peft expects
            shutil.copyfile(weights, Path(folder) / WEIGHTS)
            shutil.copyfile(adapter_config, Path(folder) / ADAPTER_CONFIG)
            merged = _merge(model, Path(folder))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"{adapter}: does not fit {base} ({one_line(error)}); give its own --base") from error
    with _atomic_folder(out) as partial:
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    return out


def _merge(model: Any, adapter: Path) -> Any:
    """The merged model. Raises ValueError for weights that are missing or that the base has no place for: peft would
    initialize the former and ignore the latter."""
    from peft import PeftModel, get_peft_model_state_dict

    with warnings.catch_warnings(category=UserWarning, action="ignore"):  # about missing weights, an error below
        adapted = PeftModel.from_pretrained(model, str(adapter))
    expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    with safe_open(adapter / WEIGHTS, "pt") as file:
        given = set(file.keys())
    missing, surplus = expected - given, given - expected - set(adapted.state_dict())
    if missing:
        raise ValueError(f"it has no {min(missing)}")
    if surplus:
        raise ValueError(f"the base has no place for {min(surplus)}")
    return adapted.merge_and_unload()


@contextmanager
def _atomic_folder(out: Path) -> Iterator[Path]:
    """A temporary folder to write to, which is renamed to ``out`` at the end of the block, or deleted after an
    error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}.", suffix=".partial", dir=out.parent) as folder:
        partial = Path(folder) / out.name
        partial.mkdir()
        yield partial
        if out.exists():
            out.rmdir()  # is empty
        partial.rename(out)


def _base_model(adapter_config: Path) -> str:
    try:
        values = json.loads(adapter_config.read_text(encoding="utf-8"))
        return str(values["base_model_name_or_path"] or "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{adapter_config}: does not name a base model ({one_line(error)}); give --base") from error
