"""Suggested questions: those of a generated sample, else questions that the lines of a video answer.

Only questions that every team answers well are suggested, the offline one included: those about what a person says and
what is said about something, about the text on screen where the lines come from there, and about colours if there are
no lines.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from longvideoagent.media.video import Video

MAX_SUGGESTIONS = 6
MAX_SAMPLE_BYTES = 5_000_000
SCREEN_QUESTION = "What text can be read on the screen?"
COLOUR_QUESTION = "Which colours are shown at the beginning?"
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b")
"""A capitalized word inside a sentence, which is probably a name."""
_SPEAKER = re.compile(r"^([A-Z][a-z]{2,}): ")


def suggestions(path: Path, video: Video) -> list[dict[str, Any]]:
    """Questions about an opened video with their options; the options may be empty, and so may the list."""
    return _sample_questions(path.with_suffix(".json")) or _line_questions(video)


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


def _line_questions(video: Video) -> list[dict[str, Any]]:
    """Questions about the most frequent speakers and names of the lines; about the picture if there are no lines."""
    lines = [line.text for line in video.timeline.subtitles]
    speakers = Counter(match[1] for line in lines if (match := _SPEAKER.match(line)))
    names = Counter(name for line in lines for name in set(_NAME.findall(_SPEAKER.sub("", line))))
    texts = [f"What does {name} say?" for name, _ in speakers.most_common(2)]
    texts += [SCREEN_QUESTION] if lines and video.text_source == "the screen" else []
    texts += [f"What is said about {name}?" for name, _ in names.most_common()]
    texts += [] if lines else [COLOUR_QUESTION]
    return [{"question": text, "options": []} for text in texts[:MAX_SUGGESTIONS]]
