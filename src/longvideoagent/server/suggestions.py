"""Suggested questions: those of a generated sample, else questions that fit any video."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from longvideoagent.core.types import Timeline

MAX_SUGGESTIONS = 6
MAX_SAMPLE_BYTES = 5_000_000
GENERIC_QUESTIONS = ("Which colours are shown at the beginning?", "What text can be read on the screen?")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b")
"""A capitalized word inside a sentence, which is probably a name."""
_SPEAKER = re.compile(r"^([A-Z][a-z]{2,}): ")


def suggestions(video: Path, timeline: Timeline) -> list[dict[str, Any]]:
    """Questions with their options; the options may be empty."""
    return _sample_questions(video.with_suffix(".json")) or _timeline_questions(timeline)


def _sample_questions(path: Path) -> list[dict[str, Any]]:
    """The questions that ``lva demo`` wrote next to a video; none if the file is something else."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_SAMPLE_BYTES:
            return []
        samples = json.loads(path.read_text(encoding="utf-8"))["samples"]
        questions = [sample["question"] for sample in samples]
        return [
            {"question": str(question["text"]), "options": [str(option) for option in question["options"]]}
            for question in questions
        ][:MAX_SUGGESTIONS]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []


def _timeline_questions(timeline: Timeline) -> list[dict[str, Any]]:
    """Questions about the most frequent speakers and names, and about the frames."""
    lines = [line.text for line in timeline.subtitles]
    speakers = Counter(match[1] for line in lines if (match := _SPEAKER.match(line)))
    names = Counter(name for line in lines for name in _NAME.findall(line))
    texts = [f"What does {name} say?" for name, _ in speakers.most_common(2)]
    num_names = MAX_SUGGESTIONS - len(GENERIC_QUESTIONS) - len(texts)
    texts += [f"What is said about {name}?" for name, _ in names.most_common(num_names)]
    return [{"question": text, "options": []} for text in (*texts, *GENERIC_QUESTIONS)]
