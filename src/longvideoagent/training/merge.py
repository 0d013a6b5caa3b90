"""An adapter put into the weights of its base, as a plain model folder (extra ``train``)."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from longvideoagent.errors import DataError, UsageError, one_line

WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"


def merge(adapter: Path, out: Path, base: str | None = None, settings: Path | None = None) -> Path:
    """Write base and adapter as one model, with the tokenizer, into ``out``, which must be empty. ``adapter`` is a
    folder of peft's, or a lone safetensors file whose ``settings`` are ``adapter_config.json`` beside it where they
    are not given. ``base`` is the one that the settings name where it is not given. Raises DataError where they
    cannot be read or do not fit each other, and UsageError for a folder that holds something."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is not empty; choose another --out")
    weights = adapter / WEIGHTS if adapter.is_dir() else adapter
    settings = settings or weights.with_name(SETTINGS)
    for path in (weights, settings):
        if not path.is_file():
            raise DataError(f"{path}: no such file; give an adapter's folder, or its weights and --config")
    base = base or _base_of(settings)
    try:
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
        tokenizer = AutoTokenizer.from_pretrained(base)
        with tempfile.TemporaryDirectory() as together:  # as peft reads it, whatever the files are called
            shutil.copyfile(weights, Path(together) / WEIGHTS)
            shutil.copyfile(settings, Path(together) / SETTINGS)
            merged = PeftModel.from_pretrained(model, together).merge_and_unload()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        told = one_line(error)
        raise DataError(f"{adapter}: does not go with {base} ({told}); give its own --base") from error
    merged.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def _base_of(settings: Path) -> str:
    try:
        told = json.loads(settings.read_text(encoding="utf-8"))
        return str(told["base_model_name_or_path"] or "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{settings}: names no base model ({one_line(error)}); give --base") from error
