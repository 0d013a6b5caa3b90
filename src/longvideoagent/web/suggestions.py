"""Questions that one may begin with: those that came with a made sample, else what any video can be asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from longvideoagent.types import Timeline

MOST = 6
MOST_BYTES = 5_000_000
LEAST_LETTERS = 5
OPEN_QUESTIONS = ("What is shown at the beginning?", "What text can be read on the screen?")
_NAME = re.compile(rf"\b[A-Z][a-z]{{{LEAST_LETTERS - 2},}}\b")


def suggestions(video: Path, timeline: Timeline) -> list[dict[str, Any]]:
    """Questions with their options; the options may be none."""
    return _of_sample(video.with_suffix(".json")) or _of_any(timeline)


def _of_sample(path: Path) -> list[dict[str, Any]]:
    """The questions that ``lva demo`` wrote beside a video; none where the file is something else."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_BYTES:
            return []
        asked = [each["question"] for each in json.loads(path.read_text(encoding="utf-8"))["samples"]]
        return [{"question": str(each["text"]), "options": [str(told) for told in each["options"]]} for each in asked][
            :MOST
        ]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []


def _of_any(timeline: Timeline) -> list[dict[str, Any]]:
    """About the names that are said most often within a sentence, and about what is seen."""
    said = Counter(name for line in timeline.subtitles for name in _NAME.findall(line.text[1:]))
    about = [f"What is said about {name}?" for name, _ in said.most_common(MOST - len(OPEN_QUESTIONS))]
    return [{"question": text, "options": []} for text in (*about, *OPEN_QUESTIONS)]
