"""The settings in which two runs differ, one line each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from longvideoagent.views.run_folder import flatten

MAX_VALUE_CHARS = 60
"""Characters of a value; of a longer one, both ends are shown."""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each field that differs, as ``name: before -> now``; long values are shortened, and of a long text of several
    lines, such as a prompt, only the name is given."""
    old, new = flatten(before), flatten(now)
    names = dict.fromkeys([*old, *new])
    return [_difference(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _difference(name: str, before: object, now: object) -> str:
    texts = [json.dumps(value) for value in (before, now)]
    if any(len(text) > MAX_VALUE_CHARS and "\\n" in text for text in texts):
        return f"{name} differs"
    first, second = (_shorten(text) for text in texts)
    return f"{name} differs" if first == second else f"{name}: {first} -> {second}"


def _shorten(text: str) -> str:
    """A text with an ellipsis for its middle if it is long; a path keeps its last part."""
    half = MAX_VALUE_CHARS // 2
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:half]}…{text[-half:]}"
