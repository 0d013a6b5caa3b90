"""The decoded sound of a video, on the clock of its frames."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from longvideoagent.media.clock import MAX_GAP_S
from longvideoagent.media.container import ffmpeg_errors, find_audio, has_video, open_container, origin_s, packets
from longvideoagent.media.decoding import AudioClock, decode_audio
from longvideoagent.media.isolation import READING, report
from longvideoagent.media.packet_index import read_packet_index

Samples = NDArray[np.int16]
"""Mono, shape (samples,)."""


MIN_FILLED_S, MAX_FILLED_S = 0.2, 30.0
"""Pauses in a stream that become silence."""
MAX_BLOCK_S = 4 * 3600.0
PIECE_S = 0.3
"""What is converted at once of sound in long pieces: it takes half as long as frame by frame."""
MAX_JITTER_S = 0.05
"""Frames whose times differ more from the end of those before do not follow them."""
BATCH_SIZE = 512
STAGE = "listening"


class Sound(NamedTuple):
    """A piece of sound."""

    start_s: float
    """Seconds from the start of the video; never before the piece before."""
    samples: Samples
    position: int = 0
    """Bytes of the file before it."""


def decode_sound(path: Path, rate_hz: int, piece_s: float = 0.0) -> Iterator[Sound]:
    """Yield the first audio stream of a file, mixed to one channel. What is damaged is left out.

    Frames of the stream, of some 20 ms each, are converted together if they follow each other, up to ``piece_s``.
    Raises DataError if the file cannot be opened.
    """
    for batch in READING.iterate(_sound_batches, path, rate_hz, piece_s):
        yield from batch


def sound_length_s(path: Path) -> float:
    """How long the file is by its header, 0 if that is not known. Raises DataError if it cannot be opened."""
    return READING.run(_header_length_s, path)


def _header_length_s(path: Path) -> float:
    with open_container(path) as container:
        return (container.duration or 0) / av.time_base


def _sound_batches(path: Path, rate_hz: int, piece_s: float) -> Iterator[list[Sound]]:
    """Yield the sound in lists of ``BATCH_SIZE``: a child process is asked for each."""
    size_bytes = max(1, path.stat().st_size)
    sounds = _decode_sound(path, rate_hz, piece_s)
    while batch := list(islice(sounds, BATCH_SIZE)):
        report(STAGE, min(1.0, batch[-1].position / size_bytes))
        yield batch


def _decode_sound(path: Path, rate_hz: int, piece_s: float) -> Iterator[Sound]:
    with ffmpeg_errors(path), open_container(path) as container:
        audio = find_audio(container)
        if audio is None:
            return
        times = read_packet_index(path).audio if has_video(container) else None
        first_s = origin_s(container) if times is None else 0.0
        clock = AudioClock(times) if times is not None else None
        resampler = _Resampler(rate_hz, piece_s)
        last_s = 0.0
        for packet in packets(container, audio):
            if clock is not None and packet.size and not clock.stamp(packet):
                continue
            for frame in decode_audio(packet):
                start_s = (frame.time or 0.0) - first_s
                if frame.time is None or not last_s - 1.0 <= start_s <= last_s + MAX_GAP_S:
                    continue
                last_s = max(last_s, start_s)
                yield from resampler.add(frame, max(0.0, start_s), packet.pos or 0)
        yield from resampler.flush()


def sound_blocks(path: Path, rate_hz: int, max_block_s: float = MAX_BLOCK_S) -> Iterator[Sound]:
    """Yield the sound of a file in long pieces, each at most a moment longer than ``max_block_s``; see
    ``decode_sound``. A pause in the stream is filled with silence, or, if it is long, ends a piece."""
    parts: list[Samples] = []
    start_s, num_samples = 0.0, 0
    for sound in decode_sound(path, rate_hz, PIECE_S):
        gap_s = sound.start_s - start_s - num_samples / rate_hz
        if parts and (gap_s > MAX_FILLED_S or num_samples > max_block_s * rate_hz):
            yield Sound(start_s, np.concatenate(parts))
            parts, num_samples = [], 0
        if not parts:
            start_s = sound.start_s
        elif gap_s > MIN_FILLED_S:
            parts.append(np.zeros(round(gap_s * rate_hz), np.int16))
            num_samples += len(parts[-1])
        parts.append(sound.samples)
        num_samples += len(sound.samples)
    if parts:
        yield Sound(start_s, np.concatenate(parts))


class _Format(NamedTuple):
    """What a resampler converts from."""

    sample: str
    layout: str
    rate_hz: int


class _Resampler:
    """Converts sound whose format may change within a file."""

    def __init__(self, rate_hz: int, piece_s: float) -> None:
        self._rate_hz, self._piece_s = rate_hz, piece_s
        self._by_format: dict[_Format, av.AudioResampler] = {}
        self._waiting, self._format = AudioFifo(), _Format("", "", 0)
        self._start_s = self._end_s = 0.0
        self._position = 0

    def add(self, frame: AudioFrame, start_s: float, position: int) -> Iterator[Sound]:
        """Take a frame; yields what is long enough, or is not continued by it."""
        format_ = _Format(frame.format.name, frame.layout.name, frame.sample_rate)
        if format_ != self._format or abs(start_s - self._end_s) > MAX_JITTER_S:
            yield from self.flush()
            self._waiting, self._format = AudioFifo(), format_
        if not self._waiting.samples:
            self._start_s, self._position = start_s, position
        frame.pts = None  # the times are those of this class
        self._waiting.write(frame)
        self._end_s = start_s + frame.samples / frame.sample_rate
        if self._end_s - self._start_s >= self._piece_s:
            yield from self.flush()

    def flush(self) -> Iterator[Sound]:
        """Convert what is waiting."""
        frame = self._waiting.read()
        if frame is None:
            return
        if self._format not in self._by_format:
            self._by_format[self._format] = av.AudioResampler(format="s16", layout="mono", rate=self._rate_hz)
        for part in self._by_format[self._format].resample(frame):
            yield Sound(self._start_s, part.to_ndarray()[0], self._position)
