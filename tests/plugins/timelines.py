"""Timelines made of a few subtitle lines."""

from __future__ import annotations

from collections.abc import Sequence

from longvideoagent.core.types import Clip, Subtitle, Timeline


def make_timeline(*texts: Sequence[str], clip_s: float = 60.0) -> Timeline:
    """One clip of a minute for each group of lines, the lines spread over it."""
    clips = []
    for number, lines in enumerate(texts):
        start_s = number * clip_s
        step_s = clip_s / (len(lines) + 1)
        subtitles = tuple(
            Subtitle(start_s + (i + 0.5) * step_s, start_s + (i + 0.5) * step_s + 2.0, text)
            for i, text in enumerate(lines)
        )
        clips.append(Clip(f"c{number + 1:02}", start_s, start_s + clip_s, subtitles))
    return Timeline(tuple(clips))
