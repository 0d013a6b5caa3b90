"""How to get a better answer than the embedded agents gave."""

from __future__ import annotations

import os
import re

from longvideoagent.agents.base import Team
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Timeline, TimelineResult
from longvideoagent.index.lines import has_spoken_lines
from longvideoagent.index.missing import how_to_index
from longvideoagent.models.backends import BACKENDS

MAX_GUESS_CONFIDENCE = 0.5
"""An answer of the offline master with no more confidence may be a guess: one of two options that tie has this much."""
DEFAULT_EXAMPLE = "ollama"
"""The back end that a hint names if no provider's key is in the environment; it needs none."""
HEARS_NOTHING = "the offline team hears nothing until lva index --sound has listened (docs/sound.md)"
NO_SOUND = "this video has no sound"
_ABOUT_SOUND = re.compile(
    r"\b(?:hear|hears|heard|hearing|sounds?|noises?|noisy|loud|music|songs?|audible|laughs?|laughed|laughing|laughter"
    r"|sings?|sang|sung|singing|applause|applauds?|applauded|applauding|screams?|screamed|screaming)\b",
    re.IGNORECASE,
)
_ABOUT_VOICES = re.compile(r"\b(?:talks?|talked|talking|speaks?|spoke|speaking|speech|voices?)\b", re.IGNORECASE)
"""Of a video with spoken lines, these answer it."""


def make_hint(trace: Trace, team: Team, timeline: Timeline) -> str:
    """One line for an answer that the offline master did not find, or guessed; empty for others.

    Args:
        trace: A finished trace.
        team: The team that made it.
        timeline: The video that was asked about.

    Returns:
        What the team can and cannot see, or which part of the index is missing, how much of the video it searched, and
        the shortest option for a better answer.
    """
    if "master" not in team.offline_agents or trace.outcome is Outcome.FAILED:
        return ""
    is_guess = not trace.answer or not trace.evidence or (trace.confidence or 0.0) <= MAX_GUESS_CONFIDENCE
    if not is_guess:
        return ""
    num_read = len({clip.label for located in trace.groundings for clip in located.window})
    is_part = 0 < num_read < len(timeline.clips) and not any(
        isinstance(each, TimelineResult) for each in trace.observations
    )
    searched = f"; it looked at {num_read} of {len(timeline.clips)} clips" if is_part else ""
    results = (each for each in trace.observations if isinstance(each, TimelineResult))
    missing = next((each.missing for each in results if each.missing), None)
    limits = how_to_index(missing) if missing else _limits(trace, timeline)
    return f"{limits}{searched}. A model answers better: add -m {example_spec()}"


def _limits(trace: Trace, timeline: Timeline) -> str:
    """What the offline team can and cannot perceive of this video."""
    has_sounds = timeline.sounds is not None
    if _is_about_sound(trace.question.text, timeline) and not (has_sounds and timeline.has_audio):
        return HEARS_NOTHING if timeline.has_audio else NO_SOUND
    has_objects = timeline.objects is not None or any(each.label and each.kind == "frame" for each in trace.evidence)
    detected = [noun for noun, is_known in (("sounds", has_sounds), ("objects", has_objects)) if is_known]
    some = f"few {' and '.join(detected)}, and " if detected else ""
    none = "no actions or plots" if has_objects else "no objects, actions or plots"
    return f"the offline team reads subtitles, screen text and colours; it knows {some}{none}"


def _is_about_sound(question: str, timeline: Timeline) -> bool:
    """Whether a question can be answered by listening only."""
    if _ABOUT_SOUND.search(question):
        return True
    return _ABOUT_VOICES.search(question) is not None and not has_spoken_lines(timeline)


def example_spec() -> str:
    """A model spec that can be used here: of the first provider whose key is in the environment, else of Ollama."""
    examples = {row.prefix: f"{row.prefix}:{row.example}" for row in BACKENDS if row.example}
    usable = (row.prefix for row in BACKENDS if row.example and row.needs_key and os.environ.get(row.key_env))
    return examples[next(usable, DEFAULT_EXAMPLE)]
