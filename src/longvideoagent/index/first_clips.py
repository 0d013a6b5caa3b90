"""The first clip of every question, in one JSON file that ``lva data ground`` fills and training and evaluation read.

A clip is stored under the question's id and a digest of its text, so that a data set that changed under its ids does
not get an old clip. Failures are not stored.

The cache of the public code, ``{number: {question, clip, vid_name, status, …}}``, is read too, but not written. It
has no ids, so its clips are found by the text of the question, and by the episode if several have the same text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from longvideoagent.core.types import Question, Timeline
from longvideoagent.errors import DataError, UsageError
from longvideoagent.fs import atomic_write_text

VERSION = 2
"""Of the file. ``_MIGRATIONS`` lead from the oldest version to it."""
_FAILED = "error"
_WITHOUT_CLIP = (None, "", "ok", "empty_clip")
"""``status`` in a cache of the public code: no reply, and replies that may name no clip."""


class PublicEntry(NamedTuple):
    """A clip in a cache of the public code."""

    question: str
    label: str | None
    """As its model wrote it; None if it found no clip."""
    gold_clip: str
    """The clip that the question is about, which is in its video."""


class FirstClips:
    """Clip labels by question. Changes are kept in memory until ``write``.

    ``grounding_model`` finds the clips; None accepts a file that any model filled. ``public_entries`` are what was read
    from ``path`` by other means. Raises DataError if the file cannot be used, and UsageError if another model filled
    it."""

    def __init__(
        self, path: Path, grounding_model: str | None = None, public_entries: Sequence[PublicEntry] = ()
    ) -> None:
        self.path = path
        stored: Mapping[str, Any] = {"grounding_model": grounding_model, "public": public_entries}
        if path.exists() and not public_entries:
            stored = _read(path)
        self._clips: dict[str, str | None] = stored.get("clips", {})
        self._public: dict[str, list[PublicEntry]] = _group_by_text(stored.get("public", ()))
        self._grounding_model = stored.get("grounding_model")
        if grounding_model is not None and self.is_public:
            raise UsageError(f"{path}: a cache of the public code, which is only read; choose another --out")
        if grounding_model is not None and self._grounding_model != grounding_model:
            raise UsageError(f"{path}: filled by {self._grounding_model}, not {grounding_model}; choose another --out")

    @classmethod
    def open_existing(cls, path: Path) -> FirstClips:
        """As the constructor, but raises DataError if the file does not exist."""
        if not path.is_file():
            raise DataError(f"{path}: no such file; lva data ground writes one")
        return cls(path)

    @property
    def is_public(self) -> bool:
        """Whether the file is a cache of the public code."""
        return bool(self._public)

    def __contains__(self, question: Question) -> bool:
        return _key(question) in self._clips or _text_key(question.text) in self._public

    def get(self, question: Question, labels: Collection[str] | None = None) -> str | None:
        """The clip's label, or None if grounding found no clip. ``labels`` are those of the question's video, if they
        are known; they decide between entries of the public cache with the same text, and a label of it that is not
        one of them counts as no clip. Raises KeyError for a question that is not stored."""
        key = _key(question)
        if key in self._clips or not self._public:
            return self._clips[key]
        entries = self._public[_text_key(question.text)]
        if labels is None:
            return entries[0].label
        of_video = [entry for entry in entries if entry.gold_clip in labels or entry.label in labels]
        label = (of_video or entries)[0].label
        return label if label in labels else next((each for each in labels if each.endswith(f"_{label}")), None)

    def find(self, question: Question, timeline: Timeline) -> str | None:
        """As ``get``. Raises DataError if the timeline has no such clip, as after the data set was built again."""
        label = self.get(question, [clip.label for clip in timeline.clips] if self.is_public else None)
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


def _text_key(text: str) -> str:
    return " ".join(text.split())


def _group_by_text(entries: Iterable[PublicEntry]) -> dict[str, list[PublicEntry]]:
    groups: dict[str, list[PublicEntry]] = {}
    for entry in entries:
        groups.setdefault(_text_key(entry.question), []).append(entry)
    return groups


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a file of first clips ({error}); name another file") from error
    if not content or not isinstance(content, dict | list):
        raise DataError(f"{path}: not a file of first clips; move it away or name another file")
    if isinstance(content, list) or not content.keys() & {"version", "format", "clips"}:
        return {"public": _public_entries(path, content)}
    version = content.get("version", content.get("format"))
    if not isinstance(version, int) or version < 1 or not isinstance(content.get("clips"), dict):
        raise DataError(f"{path}: not a file of first clips; move it away or name another file")
    if version > VERSION:
        raise DataError(f"{path}: first clips of version {version}, newer than {VERSION}; update longvideoagent")
    invalid = next((key for key, label in content["clips"].items() if not isinstance(label, str | None)), None)
    if invalid is not None:
        raise DataError(
            f"{path}: not a file of first clips: the clip of {invalid[:40]!r} is not a text; delete the entry"
        )
    for migrate in _MIGRATIONS[version - 1 :]:
        content = migrate(content)
    return dict(content)


def _public_entries(path: Path, content: dict[str, Any] | list[Any]) -> list[PublicEntry]:
    """The entries of a cache of the public code, without those that failed. Raises DataError for an entry of another
    form, and if all have failed."""
    entries = []
    for name, entry in content.items() if isinstance(content, dict) else enumerate(content):
        missing = [field for field in ("question", "clip") if field not in entry] if isinstance(entry, dict) else []
        if not isinstance(entry, dict) or missing or not isinstance(entry["question"], str):
            problem = f"has no {missing[0]}" if missing else "is not an object with a question as text"
            fields = "a public cache is {number: {question, clip, status}}"
            raise DataError(f"{path}: not a file of first clips: entry {str(name)[:40]!r} {problem}; {fields}")
        label, status = str(entry["clip"] or "").strip(" \n<>"), entry.get("status")
        if status != _FAILED and (label or status in _WITHOUT_CLIP):
            entries.append(PublicEntry(entry["question"], label or None, str(entry.get("vid_name"))))
    if not entries:
        raise DataError(f"{path}: grounding failed for all of its {len(content)} questions; name another file")
    return entries


# --- migrations: each takes the content of version n and returns that of version n + 1 -------------


def _from_version_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Files of development builds before 0.1.0, whose version was named ``format``."""
    return {"version": 2, "grounding_model": content.get("grounder"), "clips": content["clips"]}


_MIGRATIONS: list[Callable[[Mapping[str, Any]], dict[str, Any]]] = [_from_version_1]
