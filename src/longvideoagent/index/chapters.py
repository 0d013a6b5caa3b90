"""Chapters of a video by its lines: where the words change, as TextTiling finds it (Hearst 1997, Computational
Linguistics 23(1)), and what each part is about."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from longvideoagent.core.types import Subtitle, Timeline
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms

BLOCK_S = 20.0
"""Length of the blocks whose words are compared."""
BLOCKS_COMPARED = 3
"""Blocks on each side of a possible boundary."""
MIN_CHAPTER_S = 45.0
MAX_CHAPTERS = 20
TITLE_WORDS = 3
KEY_LINES = 2
"""Lines that stand for a chapter in a summary."""
_WORD = re.compile(r"\w+(?:['’]\w+)?")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a video with one topic."""

    start_s: float
    end_s: float
    title: str
    """The words that distinguish it from the other chapters."""
    key_lines: tuple[Subtitle, ...]
    """The lines that have most of such words, in order of time."""


def find_chapters(timeline: Timeline) -> list[Chapter]:
    """Cut a video into chapters.

    Args:
        timeline: The video's lines; without any, the whole video is one chapter without a title.

    Returns:
        Chapters that touch, from 0 to the end of the video; at most ``MAX_CHAPTERS``, none shorter than
        ``MIN_CHAPTER_S`` unless the video is.
    """
    lines, language = timeline.subtitles, timeline.language
    bounds_s = [0.0, *_boundaries_s(timeline), timeline.duration_s]
    parts = [
        (start_s, end_s, [line for line in lines if start_s <= line.start_s < end_s])
        for start_s, end_s in pairwise(bounds_s)
    ]
    weights = _term_weights([part for _, _, part in parts], language)
    return [
        Chapter(start_s, end_s, _title(part, weight, language), _key_lines(part, weight, language))
        for (start_s, end_s, part), weight in zip(parts, weights, strict=True)
    ]


def _boundaries_s(timeline: Timeline) -> list[float]:
    """The starts of all chapters but the first."""
    lines, duration_s, language = timeline.subtitles, timeline.duration_s, timeline.language
    num_blocks = math.ceil(duration_s / BLOCK_S)
    blocks: list[Counter[str]] = [Counter() for _ in range(num_blocks)]
    for line in lines:
        blocks[min(num_blocks - 1, int(line.start_s // BLOCK_S))].update(
            terms(split_speaker(line.text).words, language)
        )
    similarity = [_similarity(blocks, gap) for gap in range(1, num_blocks)]
    depths = [(_depth(similarity, place), place + 1) for place in range(len(similarity))]
    if not depths:
        return []
    mean = sum(depth for depth, _ in depths) / len(depths)
    deviation = math.sqrt(sum((depth - mean) ** 2 for depth, _ in depths) / len(depths))
    chosen: list[float] = []
    for depth, block in sorted(depths, key=lambda each: (-each[0], each[1])):
        if depth <= 0 or depth < mean + deviation / 2 or len(chosen) == MAX_CHAPTERS - 1:
            break
        at_s = _nearest_start_s(lines, block * BLOCK_S)
        if all(abs(at_s - other_s) >= MIN_CHAPTER_S for other_s in (0.0, *chosen, duration_s)):
            chosen.append(at_s)
    return sorted(chosen)


def _similarity(blocks: Sequence[Counter[str]], gap: int) -> float:
    """The cosine of the words before and after the gap in front of a block."""
    before = sum(blocks[max(0, gap - BLOCKS_COMPARED) : gap], Counter())
    after = sum(blocks[gap : gap + BLOCKS_COMPARED], Counter())
    norm = math.sqrt(sum(n * n for n in before.values()) * sum(n * n for n in after.values()))
    return sum(count * after[term] for term, count in before.items()) / norm if norm else 0.0


def _depth(similarity: Sequence[float], place: int) -> float:
    """How far the similarity falls at a gap, from the next peaks on both sides."""
    left = right = similarity[place]
    for value in reversed(similarity[:place]):
        if value < left:
            break
        left = value
    for value in similarity[place + 1 :]:
        if value < right:
            break
        right = value
    return left + right - 2 * similarity[place]


def _nearest_start_s(lines: Sequence[Subtitle], time_s: float) -> float:
    """The start of the line before which most time passes, within a block of a time, and of several the nearest; the
    time itself without lines."""
    pauses = [
        (line.start_s - before.end_s, -abs(line.start_s - time_s), line.start_s)
        for before, line in pairwise(lines)
        if abs(line.start_s - time_s) <= BLOCK_S
    ]
    return max(pauses, default=(0.0, 0.0, time_s))[2]


def _term_weights(parts: Sequence[Sequence[Subtitle]], language: str) -> list[dict[str, float]]:
    """For each part the weight of its terms: how often they occur, and in how few other parts."""
    counts = [
        Counter(term for line in part for term in terms(split_speaker(line.text).words, language)) for part in parts
    ]
    spread = Counter(term for count in counts for term in count)
    if len(parts) == 1:
        return [{term: float(number) for term, number in counts[0].items()}]
    return [{term: number * math.log(len(parts) / spread[term]) for term, number in each.items()} for each in counts]


def _title(part: Sequence[Subtitle], weights: dict[str, float], language: str) -> str:
    """The words of the terms with most weight, as they are first written, in order of weight."""
    written: dict[str, str] = {}
    for line in part:
        for word in _WORD.findall(split_speaker(line.text).words):
            for term in terms(word, language):
                written.setdefault(term, word)
    best = sorted(weights, key=lambda term: -weights[term])
    words = dict.fromkeys(written[term] for term in best if term in written)
    title = " · ".join(list(words)[:TITLE_WORDS])
    return title[:1].upper() + title[1:]


def _key_lines(part: Sequence[Subtitle], weights: dict[str, float], language: str) -> tuple[Subtitle, ...]:
    def value(line: Subtitle) -> float:
        return sum(weights[term] for term in set(terms(split_speaker(line.text).words, language)))

    best = sorted(part, key=lambda line: -value(line))[:KEY_LINES]
    return tuple(sorted(best, key=lambda line: line.start_s))
