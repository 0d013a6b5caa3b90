"""TVQA's names of clips, and episodes made of clips."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, zip_longest

from longvideoagent.types import Clip, Subtitle, Timeline

_CLIP = re.compile(
    r"(?:(?P<show>[a-z]+)_)?(?P<episode>s\d{1,3}e\d{1,3}(?:-\d{1,3})?)_seg(?P<segment>\d{1,3})_clip_(?P<clip>\d{1,3})"
)
_SPEAKER = re.compile(
    r"(?:^|(?<=\s))"
    r"(?P<name>(?:(?:Dr|Mrs|Mr|Ms|Prof)\.? )?[A-Z][\w'’-]*(?: (?:[A-Z][\w'’-]*|from|the|of|and|on|in|&))*) ?: "
)
USUAL_CLIP_S = 60.0
"""Length of a clip where nothing tells it (data set card: about a minute)."""


@dataclass(frozen=True, slots=True)
class ClipName:
    """A clip's name taken apart."""

    show: str
    """Empty for The Big Bang Theory, whose clips carry no prefix."""
    episode: str
    segment: int
    number: int

    @classmethod
    def parse(cls, name: object) -> ClipName | None:
        """None for what is no clip's name, such as one with a slash or ``..`` in it."""
        found = _CLIP.fullmatch(name) if isinstance(name, str) else None
        if found is None:
            return None
        return cls(found["show"] or "", found["episode"], int(found["segment"]), int(found["clip"]))

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Sorts the clips of an episode in the order of its film."""
        return self.show, self.episode, self.segment, self.number

    @property
    def episode_name(self) -> str:
        """As in the releases: ``s01e02``, ``friends_s06e24-25``."""
        return f"{self.show}_{self.episode}" if self.show else self.episode


def in_order(names: Iterable[str]) -> dict[str, list[str]]:
    """The clips of each episode in the order of the film; names of no clip are left out."""
    parsed = {name: clip for name in names if (clip := ClipName.parse(name)) is not None}
    episodes: dict[str, list[str]] = {}
    for name in sorted(parsed, key=lambda name: parsed[name].place):
        episodes.setdefault(parsed[name].episode_name, []).append(name)
    return episodes


def clip_starts(episodes: Mapping[str, Sequence[str]], durations_s: Mapping[str, float]) -> dict[str, float]:
    """The second at which each clip begins in its episode."""
    starts_s: dict[str, float] = {}
    for names in episodes.values():
        lengths = [durations_s.get(name, USUAL_CLIP_S) for name in names]
        starts_s |= zip(names, accumulate(lengths, initial=0.0), strict=False)
    return starts_s


def lay_out(
    names: Sequence[str], durations_s: Mapping[str, float], lines: Mapping[str, Sequence[Subtitle]]
) -> Timeline:
    """The clips of one episode, given in their order, with their lines moved to the episode's axis. Lines
    carry times from the start of their clip."""
    lengths = [durations_s.get(name, USUAL_CLIP_S) for name in names]
    times = pairwise(accumulate(lengths, initial=0.0))
    clips = []
    for name, (start_s, end_s) in zip(names, times, strict=True):
        moved = tuple(
            Subtitle(start_s + line.start_s, min(end_s, start_s + line.end_s), line.text, line.source)
            for line in lines.get(name, ())
            if start_s + line.start_s < end_s
        )
        clips.append(Clip(name, start_s, end_s, moved))
    return Timeline(tuple(clips))


def split_transcript(text: str, duration_s: float) -> list[Subtitle]:
    """The lines of a clip's text ``Speaker : words Speaker : words``, which carries no times: laid over
    the clip in proportion to their length."""
    text = " ".join(text.split())
    if not text:
        return []
    found = list(_SPEAKER.finditer(text))
    told = [text[: found[0].start()].strip()] if found else [text]
    for this, following in zip_longest(found, found[1:]):
        words = text[this.end() : following.start() if following else len(text)].strip()
        told.append(f"{this['name']}: {words}")
    spoken = [line for line in told if line]
    ends = list(accumulate(len(line) for line in spoken))
    scale = duration_s / ends[-1]
    return [Subtitle((end - len(line)) * scale, end * scale, line) for line, end in zip(spoken, ends, strict=True)]
