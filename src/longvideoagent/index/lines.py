"""Lines of a video by words: what WORDS of a query match, and the lines that do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from longvideoagent.core.types import Clip, Evidence, Subtitle, Timeline
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms
from longvideoagent.media.text_language import ENGLISH

AT_LEAST = "at least "
"""Before a number of which there may be more."""
MAX_TIMELINES = 4
"""Whose lines are kept sorted by term; those of three hours take some megabytes."""
_BY = re.compile(r"(?:\A|\s+)by\s+(\S.{0,60})\Z", re.IGNORECASE)
_QUOTED = re.compile(r"\A[\"“'](.{1,300})[\"”']\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A line that matches, with its clip."""

    clip: Clip
    line: Subtitle
    count: int = 1
    """How often the words occur in it."""

    @property
    def evidence(self) -> Evidence:
        """The line as evidence."""
        return Evidence.from_subtitle(self.clip, self.line)


class WordQuery(NamedTuple):
    """WORDS of a query, parsed."""

    speaker: str
    """Whose lines are meant, in lower case; empty: anybody's."""
    phrase: str
    """What a line has as it is, in lower case; empty if terms are wanted."""
    terms: tuple[str, ...]
    """What a line has in any inflection; none: any line matches."""
    language: str
    """That of the text that is searched."""

    def count(self, text: str) -> int:
        """How often a line has the phrase, or all terms at once; 1 if nothing is wanted."""
        if not (self.speaker or self.phrase or self.terms):
            return 1
        line = split_speaker(text)
        if self.speaker and line.speaker.casefold() != self.speaker:
            return 0
        if self.phrase:
            words = " ".join(line.words.casefold().split())
            return len(re.findall(rf"(?<!\w){re.escape(self.phrase)}(?!\w)", words))
        present = terms(line.words, self.language)
        return min(map(present.count, self.terms), default=1)


def parse_words(words: str, speakers: Iterable[str], language: str = ENGLISH) -> WordQuery:
    """Parse WORDS for a text in a language; ``by NAME`` counts only if NAME is one of the speakers of the video."""
    by = _BY.search(words)
    speaker = by[1].casefold() if by and by[1].casefold() in {name.casefold() for name in speakers} else ""
    wanted = words[: by.start()] if by and speaker else words
    quoted = _QUOTED.match(wanted.strip())
    phrase = " ".join(quoted[1].casefold().split()) if quoted else ""
    wanted_terms = () if phrase else tuple(dict.fromkeys(terms(wanted, language)))
    if wanted.strip() and not phrase and not wanted_terms:  # only stop words
        phrase = " ".join(wanted.casefold().split())
    return WordQuery(speaker, phrase, wanted_terms, language)


class TimelineLines(NamedTuple):
    """All lines of a timeline, and where their terms are."""

    occurrences: Sequence[Occurrence]
    """In order of time."""
    by_term: Mapping[str, Sequence[int]]
    """Places in ``occurrences``, ascending."""
    by_speaker: Mapping[str, Sequence[Occurrence]]
    """By the name of the speaker, for lines that name one."""
    num_spoken: int
    """Lines that are not of the screen."""
    num_unnamed: int
    """Spoken lines that name no speaker."""


@lru_cache(MAX_TIMELINES)
def timeline_lines(timeline: Timeline) -> TimelineLines:
    """The lines of a timeline, sorted once for many queries."""
    every = [Occurrence(clip, line) for clip in timeline.clips for line in clip.subtitles]
    by_term: dict[str, list[int]] = {}
    by_speaker: dict[str, list[Occurrence]] = {}
    num_spoken = num_unnamed = 0
    for place, each in enumerate(every):
        line = split_speaker(each.line.text)
        for term in set(terms(line.words, timeline.language)):
            by_term.setdefault(term, []).append(place)
        if line.speaker:
            by_speaker.setdefault(line.speaker, []).append(each)
        if each.line.source != "screen":
            num_spoken, num_unnamed = num_spoken + 1, num_unnamed + (not line.speaker)
    return TimelineLines(every, by_term, by_speaker, num_spoken, num_unnamed)


def has_spoken_lines(timeline: Timeline) -> bool:
    """Whether a line is not of the screen: a subtitle, or a transcript of the speech."""
    return any(line.source != "screen" for clip in timeline.clips for line in clip.subtitles)


def names_speaker(words: str, timeline: Timeline) -> bool:
    """Whether words are asked for by one of the speakers."""
    return bool(parse_words(words, timeline_lines(timeline).by_speaker, timeline.language).speaker)


def occurrences(words: str, timeline: Timeline) -> Sequence[Occurrence]:
    """The lines with these words, in order of time; all lines for empty ones."""
    lines = timeline_lines(timeline)
    query = parse_words(words, lines.by_speaker, timeline.language)
    if not (query.speaker or query.phrase or query.terms):
        return lines.occurrences
    candidates: Iterable[Occurrence] = lines.occurrences
    if query.terms:  # those with the rarest of them
        places = min((lines.by_term.get(term, ()) for term in query.terms), key=len)
        candidates = [lines.occurrences[place] for place in places]
    counted = ((each, query.count(each.line.text)) for each in candidates)
    return [Occurrence(each.clip, each.line, count) for each, count in counted if count]
