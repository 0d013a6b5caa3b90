"""The first clip of every question, in one JSON file that ``lva data ground`` fills and training and evaluation read.

A clip is stored under the question's id and a digest of its text, so that a data set that changed under its ids does
not get an old clip. Failures are not stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Question, Timeline
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import atomic_write_text

VERSION = 2
"""Of the file. ``_MIGRATIONS`` lead from the oldest version to it."""


class FirstClips:
    """Clip labels by question. Changes are kept in memory until ``write``.

    ``grounding_model`` finds the clips; None accepts a file that any model filled. Raises DataError if the
    file cannot be used, and UsageError if another model filled it."""

    def __init__(self, path: Path, grounding_model: str | None = None) -> None:
        self.path = path
        stored = _read(path) if path.exists() else {"clips": {}, "grounding_model": grounding_model}
        self._clips: dict[str, str | None] = stored["clips"]
        self._grounding_model = stored.get("grounding_model")
        if grounding_model is not None and self._grounding_model != grounding_model:
            raise UsageError(f"{path}: filled by {self._grounding_model}, not {grounding_model}; choose another --out")

    @classmethod
    def open_existing(cls, path: Path) -> FirstClips:
        """As the constructor, but raises DataError if the file does not exist."""
        if not path.is_file():
            raise DataError(f"{path}: no such file; lva data ground writes one")
        return cls(path)

    def __contains__(self, question: Question) -> bool:
        return _key(question) in self._clips

    def get(self, question: Question) -> str | None:
        """The clip's label, or None if grounding found no clip. Raises KeyError for a question that is not stored."""
        return self._clips[_key(question)]

    def find(self, question: Question, timeline: Timeline) -> str | None:
        """As ``get``. Raises DataError if the timeline has no such clip, as after the data set was built again."""
        label = self.get(question)
        if label is not None and timeline.find_clip(label) is None:
            raise DataError(
                f"{self.path}: the video of question {question.id} has no clip {label}; move the file away and run "
                "lva data ground again with this --split"
            )
        return label

    def put(self, question: Question, label: str | None) -> None:
        """Store a label, or None if grounding found no clip."""
        self._clips[_key(question)] = label

    def write(self) -> None:
        """Write the file completely or not at all."""
        content = {"version": VERSION, "grounding_model": self._grounding_model, "clips": self._clips}
        atomic_write_text(self.path, json.dumps(content, indent=1) + "\n")


def _key(question: Question) -> str:
    text = "\n".join([question.text, *question.options])
    return f"{question.id} {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a file of first clips ({error}); name another file") from error
    version = content.get("version", content.get("format")) if isinstance(content, dict) else None
    if not isinstance(version, int) or version < 1 or not isinstance(content.get("clips"), dict):
        raise DataError(f"{path}: not a file of first clips; move it away or name another file")
    if version > VERSION:
        raise DataError(f"{path}: first clips of version {version}, newer than {VERSION}; update longvideoagent")
    for migrate in _MIGRATIONS[version - 1 :]:
        content = migrate(content)
    return dict(content)


# --- migrations: each takes the content of version n and returns that of version n + 1 -------------


def _from_version_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Files of development builds before 0.1.0, whose version was named ``format``."""
    return {"version": 2, "grounding_model": content.get("grounder"), "clips": content["clips"]}


_MIGRATIONS: list[Callable[[Mapping[str, Any]], dict[str, Any]]] = [_from_version_1]
