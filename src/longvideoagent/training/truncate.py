"""Observations that are too long for the tokens left, cut on a line, with a mark where lines were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from longvideoagent.core.types import Clip, ClipObservation, Observation, Subtitle, SystemNotice, VisionResult

Told = TypeVar("Told", bound=Observation | None)


def lines_of(observation: Observation | None) -> Sequence[str]:
    """The lines that can be left out: those spoken in a clip, or those of a text."""
    match observation:
        case ClipObservation():
            return [line.text for clip in observation.clips for line in clip.subtitles]
        case VisionResult() | SystemNotice():
            return observation.text.splitlines()
        case None:
            return []


def cut_lines(observation: Told, count: int) -> Told:
    """The observation with its first ``count`` lines, and the mark after them where it has more."""
    left_out = len(lines_of(observation)) - count
    if left_out <= 0:
        return observation
    mark = f"[{left_out} more lines left out]"
    match observation:
        case ClipObservation():
            return replace(observation, clips=tuple(_cut_clips(observation.clips, count, mark)))
        case VisionResult() | SystemNotice():
            return replace(observation, text="\n".join([*observation.text.splitlines()[:count], mark]))
        case _:
            return observation


def _cut_clips(clips: Sequence[Clip], count: int, mark: str) -> list[Clip]:
    cut = []
    for clip in clips:
        kept, rest = clip.subtitles[: max(0, count)], clip.subtitles[max(0, count) :]
        if rest and count >= 0:  # the first line left out tells where
            kept = (*kept, Subtitle(rest[0].start_s, rest[0].end_s, mark))
            count = -1
        elif count >= 0:
            count -= len(kept)
        cut.append(replace(clip, subtitles=kept))
    return cut
