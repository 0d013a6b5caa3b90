"""The names of TVQA's clips, and episodes composed of clips."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from types import MappingProxyType

from longvideoagent.core.types import Clip, Subtitle, Timeline

_CLIP = re.compile(
    r"(?:(?P<show>[a-z]+)_)?(?P<episode>s\d{1,3}e\d{1,3}(?:-\d{1,3})?)_seg(?P<segment>\d{1,3})_clip_(?P<clip>\d{1,3})",
    re.ASCII,
)
DEFAULT_CLIP_S = 90.0
"""Assumed length of a clip of unknown length: TVQA's clips last 60 to 90 s. It does not depend on a question, whose
gold times would show in it."""
MAX_ASSUMED_CLIP_S = 180.0
"""The most that a clip of unknown length may last, for its boxes; TVQA's longest last about two minutes."""


@dataclass(frozen=True, slots=True)
class ClipName:
    """The parts of a clip's name."""

    show: str
    """Empty for The Big Bang Theory, whose clips have no prefix."""
    episode: str
    segment: int
    number: int

    @classmethod
    def parse(cls, name: object) -> ClipName | None:
        """The parsed name, or None for anything else, such as a name with a slash or ``..`` in it."""
        match = _CLIP.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            return None
        return cls(match["show"] or "", match["episode"], int(match["segment"]), int(match["clip"]))

    @property
    def sort_key(self) -> tuple[str, str, int, int]:
        """Sorts the clips of an episode by time."""
        return self.show, self.episode, self.segment, self.number

    @property
    def episode_name(self) -> str:
        """As in the releases: ``s01e02``, ``friends_s06e24-25``."""
        return f"{self.show}_{self.episode}" if self.show else self.episode


@dataclass(frozen=True, slots=True)
class Episodes:
    """The clips of each episode, in order of time, and where each of them begins."""

    clips: Mapping[str, Sequence[str]]
    """The names of the clips by episode."""
    known_durations_s: Mapping[str, float]
    """The lengths that the data set states, or that its frames show."""
    lengths_s: Mapping[str, float]
    """The length of every clip. An unknown one is ``DEFAULT_CLIP_S``, or until its last subtitle line ends."""
    starts_s: Mapping[str, float]
    """The start of each clip in its episode, in seconds."""

    @classmethod
    def from_clip_names(
        cls,
        names: Iterable[str],
        known_durations_s: Mapping[str, float],
        ends_s: Mapping[str, float],
    ) -> Episodes:
        """Group clips by their names; ``ends_s`` has the end of each clip's last line. Other names are ignored."""
        parsed = {name: clip for name in names if (clip := ClipName.parse(name)) is not None}
        clips: dict[str, list[str]] = {}
        for name in sorted(parsed, key=lambda name: parsed[name].sort_key):
            clips.setdefault(parsed[name].episode_name, []).append(name)
        lengths_s = {name: known_durations_s.get(name) or max(DEFAULT_CLIP_S, ends_s.get(name, 0.0)) for name in parsed}
        starts_s: dict[str, float] = {}
        for inside in clips.values():
            starts_s |= zip(inside, accumulate((lengths_s[name] for name in inside), initial=0.0), strict=False)
        return cls(clips, known_durations_s, lengths_s, starts_s)

    def max_length_s(self, clip: str) -> float:
        """The length of a clip if it is known, else the most that it can be."""
        return self.known_durations_s.get(clip, MAX_ASSUMED_CLIP_S)

    def missing_clips(self, episode: str) -> list[str]:
        """The clips that are missing inside the segments of an episode, by the numbers of the others. Clips after a
        missing one begin too early in the episode."""
        named = [(name, parsed) for name in self.clips[episode] if (parsed := ClipName.parse(name)) is not None]
        missing: list[str] = []
        for _, inside in groupby(named, key=lambda pair: pair[1].segment):
            expected = 0
            for name, parsed in inside:
                missing += (f"{name.rpartition('_')[0]}_{number:02}" for number in range(expected, parsed.number))
                expected = parsed.number + 1
        return missing

    def build_timeline(
        self, episode: str, lines: Mapping[str, Sequence[Subtitle]], raw_texts: Mapping[str, str] = MappingProxyType({})
    ) -> Timeline:
        """The timeline of an episode. ``lines`` are timed from the start of their clip; times past the end of a clip
        become its end. ``raw_texts`` by clip are kept with the clips."""
        clips = []
        for name in self.clips[episode]:
            start_s = self.starts_s[name]
            end_s = start_s + self.lengths_s[name]
            moved = tuple(
                Subtitle(min(end_s, start_s + line.start_s), min(end_s, start_s + line.end_s), line.text, line.source)
                for line in lines.get(name, ())
            )
            clips.append(Clip(name, start_s, end_s, moved, raw_text=raw_texts.get(name, "")))
        return Timeline(tuple(clips))
