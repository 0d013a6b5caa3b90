"""Which sounds a video has, and when: found by a tagger in all of its sound, and kept in its index as events."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.index.events import (
    Event,
    EventKind,
    EventSource,
    FoundEvents,
    find_events,
    read_events,
    read_source,
)
from longvideoagent.index.sound_spans import Frames, Scores, SpanFinder, is_voice
from longvideoagent.index.video_index import VideoIndex
from longvideoagent.media.container import has_audio
from longvideoagent.media.sound import Samples, Sound, sound_blocks, sound_length_s
from longvideoagent.progress import Progress, no_progress

RATE_HZ = 16_000
"""That of the sound which taggers get."""
VERSION = 2
"""Raise it when the same scores would give other events."""
BLOCK_S = 30.0
"""Sound that a tagger gets at once, besides the rest of the block before."""
MAX_GAP_S = 0.25
"""Blocks with more between them are not of one sound."""
STAGE = "listening to the sounds"


class Tagger(Protocol):
    """Scores the frames of sound by labels; ``models.sound_tagger`` has the one of ONNX."""

    @property
    def name(self) -> str:
        """The name of its weights."""

    @property
    def identity(self) -> str:
        """Changes with the weights and the code."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What it can hear."""

    @property
    def hop_s(self) -> float:
        """Seconds between the starts of two frames."""

    @property
    def window_s(self) -> float:
        """Seconds of sound that a frame is about, at least ``hop_s``."""

    def scores(self, samples: NDArray[np.float32], /) -> Scores:
        """The scores of mono sound of ``RATE_HZ`` in -1 to 1: a row for each frame, a column for each label."""


def find_sounds(path: Path, index: VideoIndex, tagger: Tagger, progress: Progress = no_progress) -> tuple[Event, ...]:
    """Find the sounds of a video, unless its index has those by this tagger.

    Args:
        path: A video file, or a folder of frames, which has no sound.
        index: Its index, which keeps what is found.
        tagger: Scores the sound.
        progress: Called with the fraction of the sound that was heard.

    Returns:
        The events in order of time: where each label is heard, with its highest score. See ``sound_spans`` for when a
        label counts as heard.

    Raises:
        DataError: The sound cannot be read, or the tagger fails.
    """
    source = EventSource(sounds_key(tagger), tagger.labels)
    return find_events(index, EventKind.SOUND, source, lambda: _listen(path, tagger, progress), progress)


def sounds_key(tagger: Tagger) -> str:
    """The key of the sounds by a tagger: what decides them."""
    return f"{VERSION} {tagger.identity}"


class Voices(NamedTuple):
    """Where voices are heard in a video."""

    key: str
    """Changes with the tagger that heard them."""
    spans_s: tuple[tuple[float, float], ...]
    """Start and end of each span in seconds, in order of time."""


def read_voices(index: VideoIndex) -> Voices | None:
    """Where voices are heard in a video by the sounds in its index; None if no tagger has listened, or one that knows
    no voices."""
    source, events = read_source(index, EventKind.SOUND), read_events(index, EventKind.SOUND)
    if source is None or events is None or not any(map(is_voice, source.labels)):
        return None
    return Voices(source.key, tuple((event.start_s, event.end_s) for event in events if is_voice(event.label)))


def _listen(path: Path, tagger: Tagger, progress: Progress) -> FoundEvents:
    if not path.is_file() or not has_audio(path):
        return FoundEvents((), "there is no sound")
    length_s = sound_length_s(path)
    listener, finder = _Listener(tagger), SpanFinder(tagger.labels)
    for frames in listener.frames(sound_blocks(path, RATE_HZ, BLOCK_S)):
        finder.add(frames)
        end_s = float(frames.edges_s[-1])
        progress(STAGE, min(1.0, end_s / max(length_s, end_s)))
    spans, joined = finder.finish()
    events = [
        Event(round(span.start_s, 3), round(span.end_s, 3), label, span.score)
        for label in spans
        for span in spans[label]
    ]
    sounds = f"{len(events)} {plural('sound', len(events))} of {len(spans)} {plural('kind', len(spans))}"
    heard = sounds if events else "no sounds that it knows"
    covered = f"{format_timestamp(listener.length_s)} by {tagger.name}, {heard}"
    if joined:
        most = max(joined, key=joined.__getitem__)
        covered += f"; more than are kept, so {sum(joined.values())} are parts of others, most of {most}"
    return FoundEvents(events, covered)


class _Listener:
    """Scores blocks of sound so that each window is scored once, also those that reach over the border of blocks."""

    def __init__(self, tagger: Tagger) -> None:
        self.length_s = 0.0
        """Sound so far."""
        self._tagger = tagger
        self._hop, self._window = (round(each_s * RATE_HZ) for each_s in (tagger.hop_s, tagger.window_s))
        self._rest: Samples = np.zeros(0, dtype=np.int16)
        """What belongs to windows that reach into the next block."""
        self._is_start = True
        """Whether no frame of the current sound was scored."""

    def frames(self, blocks: Iterable[Sound]) -> Iterator[Frames]:
        """The frames of all blocks, which are in order of time."""
        block: Sound | None = None
        for following in blocks:
            if block is not None:
                end_s = block.start_s + len(block.samples) / RATE_HZ
                yield from self._score(block, is_last=following.start_s > end_s + MAX_GAP_S)
            block = following
        if block is not None:
            yield from self._score(block, is_last=True)

    def _score(self, block: Sound, *, is_last: bool) -> Iterator[Frames]:
        """The frames that end in a block, and if it is the last one of its sound those that reach over its end."""
        self.length_s += len(block.samples) / RATE_HZ
        start_s = block.start_s - len(self._rest) / RATE_HZ
        samples = np.concatenate((self._rest, block.samples))
        num_hops = (len(samples) - self._window) / self._hop
        num_frames = 1 + max(0, math.ceil(num_hops)) if is_last else max(0, 1 + math.floor(num_hops))
        scores = self._scores(samples, num_frames)
        if len(scores):
            yield Frames(self._edges_s(start_s, len(scores), len(samples), is_last=is_last), scores)
            self._is_start = False
        self._rest = samples[len(scores) * self._hop :]
        if is_last:
            self._rest, self._is_start = self._rest[:0], True

    def _scores(self, samples: Samples, num_frames: int) -> Scores:
        """The scores of so many frames from the start, with silence after the end; of fewer if the tagger leaves out
        the last ones."""
        if not num_frames:
            return np.zeros((0, len(self._tagger.labels)), dtype=np.float32)
        size = self._window + (num_frames - 1) * self._hop
        padded = np.zeros(size, dtype=np.float32)
        used = samples[:size]
        np.divide(used, 32768, out=padded[: len(used)], dtype=np.float32)
        return self._tagger.scores(padded)[:num_frames]

    def _edges_s(self, start_s: float, num_frames: int, num_samples: int, *, is_last: bool) -> NDArray[np.float64]:
        """What each frame stands for: the middle of its window, as long as a hop; at the start and the end of the sound
        all of it."""
        first = (self._window - self._hop) / 2
        edges_s = start_s + (first + self._hop * np.arange(num_frames + 1)) / RATE_HZ
        end_s = start_s + num_samples / RATE_HZ
        if self._is_start:
            edges_s[0] = start_s
        if is_last:
            edges_s[-1] = end_s
        return np.minimum(np.maximum(edges_s, 0.0), end_s)
