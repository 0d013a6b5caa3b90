"""The sound of a stream, copied or encoded anew."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from longvideoagent.server.playback.demux import MOST_GAP_S, codec_of, heard, is_near, shift, write

MOST_HZ = 48_000
AAC_HZ = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, MOST_HZ)
"""What is encoded at its own rate."""


class Sound:
    """The sound of a video from some second on; what cannot be read is left out."""

    def __init__(self, made: OutputContainer, source: AudioStream, from_s: float) -> None:
        self._made, self._from_s = made, from_s
        self._next = 0
        """Where what is encoded next begins at the earliest: some containers tell times that overlap."""
        self._last_dts: int | None = None
        name, known = codec_of(source), source.codec_context
        # AAC that names no configuration beside it, as in MPEG-TS, is not what MP4 holds.
        self._is_copied = name == "mp3" or (name == "aac" and bool(known.extradata))
        self._rate = known.sample_rate if known.sample_rate in AAC_HZ else MOST_HZ
        self._layout = "mono" if known.layout.nb_channels == 1 else "stereo"
        self._stream: Any
        if self._is_copied:
            self._stream = made.add_stream_from_template(source)
        else:
            self._stream = made.add_stream("aac", self._rate, layout=self._layout)
        self._resampler = self._new_resampler()

    def add(self, packet: Packet[AudioStream]) -> None:
        """What is heard before the stream begins is left out."""
        if packet.pts is None or packet.time_base is None:
            return
        if float(packet.pts * packet.time_base) < self._from_s:
            return
        if self._is_copied:
            self._copy(packet)
            return
        for frame in heard(packet):
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._from_s / frame.time_base)
                self._encode(frame)

    def end(self) -> None:
        """Write what still waits in the encoder."""
        if not self._is_copied and self._next:
            write(self._made, self._stream.encode())

    def _copy(self, packet: Packet[AudioStream]) -> None:
        shift(packet, self._from_s)
        if packet.dts is None:
            packet.dts = packet.pts
        if not is_near(packet, self._last_dts):
            return
        if self._last_dts is not None and packet.dts is not None and packet.dts <= self._last_dts:
            return
        self._last_dts = packet.dts
        packet.stream = self._stream
        write(self._made, packet)

    def _encode(self, frame: AudioFrame) -> None:
        for part in self._resampled(frame):
            at = round((part.time or 0.0) * part.sample_rate)
            if abs(at - self._next) > MOST_GAP_S * part.sample_rate:
                continue
            part.pts, part.time_base = max(at, self._next), Fraction(1, part.sample_rate)
            self._next = part.pts + part.samples
            write(self._made, self._stream.encode(part))

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        try:
            return self._resampler.resample(frame)
        except ValueError:  # its rate or layout is another from here on
            self._resampler = self._new_resampler()
            return self._resampler.resample(frame)

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
