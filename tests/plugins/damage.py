"""Damage to JSON and CSV files, drawn by Hypothesis."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, -0.1, 1.5, 10**400, 1e308, -1e308, float("nan"), float("inf"), "", " ", "\0", "x", "a1",
    "-1", "nan", "1e400", "9" * 5000, "..", "../../x", "/", "x" * 5000, "\u202e\x1b[2J", "٣", "\ud800", [], [[]], {},
    {"x": 1}, [None], [0, -1], ["a", "b"], [1, 2, 3], [[1, 2], None], {"": ""}, {"0": None},
]  # fmt: skip
odd_values = st.sampled_from(ODD_VALUES).map(copy.deepcopy)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container inside a value, with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def damage_values(document: Any, data: st.DataObject) -> Any:
    """The document with some of its values replaced, removed, renamed or repeated."""
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(places(document))
        if not found:
            return data.draw(odd_values)
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        action = data.draw(st.sampled_from(["replace", "replace", "replace", "delete", "rename", "repeat"]))
        if action == "delete":
            del container[key]
        elif action == "replace":
            container[key] = data.draw(odd_values)
        elif action == "repeat" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif isinstance(container, dict):
            container[str(data.draw(odd_values))[:200]] = container.pop(key)
    return document


def damage_text(text: str, data: st.DataObject) -> bytes:
    """The text cut short, or with bytes that do not belong there."""
    encoded = text.encode("utf-8", "surrogatepass")
    at = data.draw(st.integers(0, len(encoded)))
    inserted = data.draw(st.sampled_from([b"", b"\xff", b"\0", b"{", b"[" * 3000, b'"', b"\n", b"\xef\xbb\xbf", b"\r"]))
    rest = encoded[at:] if data.draw(st.booleans()) else b""
    return encoded[:at] + inserted + rest


def damage_file(path: Path, data: st.DataObject) -> None:
    text = path.read_text()
    if data.draw(st.booleans()):
        path.write_bytes(damage_text(text, data))
    elif path.suffix == ".csv":
        rows = damage_values(list(csv.reader(io.StringIO(text))), data)
        out = io.StringIO()
        csv.writer(out, escapechar="\\").writerows(row if isinstance(row, list) else [row] for row in rows or [])
        path.write_bytes(out.getvalue().encode("utf-8", "replace"))
    elif path.suffix == ".jsonl":
        lines = text.splitlines()
        index = data.draw(st.integers(0, len(lines) - 1))
        lines[index] = json.dumps(damage_values(json.loads(lines[index]), data))
        path.write_text("\n".join([*lines, ""]))
    else:
        path.write_text(json.dumps(damage_values(json.loads(text), data)))
