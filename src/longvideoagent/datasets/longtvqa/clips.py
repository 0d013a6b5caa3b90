"""TVQA's names of clips, and episodes made of clips."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, zip_longest

from longvideoagent.core.types import Clip, Subtitle, Timeline

_CLIP = re.compile(
    r"(?:(?P<show>[a-z]+)_)?(?P<episode>s\d{1,3}e\d{1,3}(?:-\d{1,3})?)_seg(?P<segment>\d{1,3})_clip_(?P<clip>\d{1,3})"
)
_NAME = (
    r"(?P<name>(?:(?:Dr|Mrs|Mr|Ms|Prof)\.? )?[A-Z][\w'’-]{0,40}"
    r"(?: (?:[A-Z][\w'’-]{0,40}|from|the|of|and|on|in|&)){0,7})"
)
_SPEAKER = re.compile(rf"(?:^|(?<=\s)){_NAME} ?: ")
_LEAD = re.compile(rf"\(? ?{_NAME} ?:(?: ?\) ?| )")
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


@dataclass(frozen=True, slots=True)
class Episodes:
    """Which clips make each episode, in the order of its film, and where each of them begins."""

    clips: Mapping[str, Sequence[str]]
    known_durations_s: Mapping[str, float]
    """Lengths of the clips for which one is told."""
    lengths_s: Mapping[str, float]
    """Of every clip. Where none is told it is a minute, or as long as its lines last."""
    starts_s: Mapping[str, float]
    """The second at which each clip begins in its episode."""

    @classmethod
    def of(cls, names: Iterable[str], known_durations_s: Mapping[str, float], ends_s: Mapping[str, float]) -> Episodes:
        """Put clips together by their names; ``ends_s`` tells where the last line of a clip ends. Names of no
        clip are left out."""
        parsed = {name: clip for name in names if (clip := ClipName.parse(name)) is not None}
        clips: dict[str, list[str]] = {}
        for name in sorted(parsed, key=lambda name: parsed[name].place):
            clips.setdefault(parsed[name].episode_name, []).append(name)
        lengths_s = {name: known_durations_s.get(name) or max(USUAL_CLIP_S, ends_s.get(name, 0.0)) for name in parsed}
        starts_s: dict[str, float] = {}
        for inside in clips.values():
            starts_s |= zip(inside, accumulate((lengths_s[name] for name in inside), initial=0.0), strict=False)
        return cls(clips, known_durations_s, lengths_s, starts_s)

    def missing_clips(self, episode: str) -> list[str]:
        """The clips that the numbers of the others tell to be missing from the inside of an episode's segments.
        What comes after them stands too early on its axis."""
        named = [(name, parsed) for name in self.clips[episode] if (parsed := ClipName.parse(name)) is not None]
        missing: list[str] = []
        for _, inside in groupby(named, key=lambda each: each[1].segment):
            expected = 0
            for name, parsed in inside:
                missing += (f"{name.rpartition('_')[0]}_{number:02}" for number in range(expected, parsed.number))
                expected = parsed.number + 1
        return missing

    def lay_out(self, episode: str, lines: Mapping[str, Sequence[Subtitle]]) -> Timeline:
        """The clips of an episode with their lines, timed from the start of their clip, moved to its axis. What
        is said past the end of its clip is put at that end."""
        clips = []
        for name in self.clips[episode]:
            start_s = self.starts_s[name]
            end_s = start_s + self.lengths_s[name]
            moved = tuple(
                Subtitle(min(end_s, start_s + line.start_s), min(end_s, start_s + line.end_s), line.text, line.source)
                for line in lines.get(name, ())
            )
            clips.append(Clip(name, start_s, end_s, moved))
        return Timeline(tuple(clips))


def lead_with_speaker(text: str, mark: str = ":") -> str:
    """A line with its speaker, where it has one, as ``Mira: words``, however it was spelt (``(Mira:)words``,
    ``Mira : words``); ``mark`` stands between the two."""
    found = _LEAD.match(text)
    return f"{found['name']}{mark} {text[found.end() :].lstrip()}" if found else text


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
