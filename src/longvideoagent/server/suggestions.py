"""Questions that one may begin with: those that came with a made sample, else what any video can be asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Timeline

MOST = 6
MOST_BYTES = 5_000_000
OPEN_QUESTIONS = ("What is shown at the beginning?", "What text can be read on the screen?")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b")
"""A word with a capital within a sentence: most likely a name."""
_SPEAKER = re.compile(r"^([A-Z][a-z]{2,}): ")


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
    """About who speaks most, the names that are said most often, and what is seen."""
    lines = [line.text for line in timeline.subtitles]
    speakers = Counter(found[1] for line in lines if (found := _SPEAKER.match(line)))
    said = Counter(name for line in lines for name in _NAME.findall(line))
    about = [f"What does {name} say?" for name, _ in speakers.most_common(2)]
    about += [f"What is said about {name}?" for name, _ in said.most_common(MOST - len(OPEN_QUESTIONS) - len(about))]
    return [{"question": text, "options": []} for text in (*about, *OPEN_QUESTIONS)]
