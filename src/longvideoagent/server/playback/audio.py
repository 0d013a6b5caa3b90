"""The audio track of a stream, copied or transcoded to AAC."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from longvideoagent.media.decoding import decode_audio
from longvideoagent.server.playback.demux import MAX_GAP_S, codec_name, is_near, mux, shift

MAX_RATE_HZ = 48_000
AAC_RATES_HZ = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, MAX_RATE_HZ)
"""Sample rates that are kept."""


class AudioWriter:
    """Writes the audio of a video from some second on; what cannot be read is left out."""

    def __init__(self, output: OutputContainer, source: AudioStream, start_s: float) -> None:
        self._output, self._start_s = output, start_s
        self._next_pts = 0
        """The earliest start of the next encoded frame: some containers have times that overlap."""
        self._last_dts: int | None = None
        codec, context = codec_name(source), source.codec_context
        # AAC without a separate configuration, as in MPEG-TS, cannot be copied into MP4.
        self._is_copied = codec == "mp3" or (codec == "aac" and bool(context.extradata))
        self._rate_hz = context.sample_rate if context.sample_rate in AAC_RATES_HZ else MAX_RATE_HZ
        self._layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        self._stream: Any
        if self._is_copied:
            self._stream = output.add_stream_from_template(source)
        else:
            self._stream = output.add_stream("aac", self._rate_hz, layout=self._layout)
        self._resampler = self._new_resampler()

    def add(self, packet: Packet[AudioStream]) -> None:
        """Write a packet, unless it is before the start."""
        if packet.pts is None or packet.time_base is None:
            return
        if float(packet.pts * packet.time_base) < self._start_s:
            return
        if self._is_copied:
            self._copy(packet)
            return
        for frame in decode_audio(packet):
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._start_s / frame.time_base)
                self._encode(frame)

    def end(self) -> None:
        """Write what is left in the encoder."""
        if not self._is_copied and self._next_pts:
            mux(self._output, self._stream.encode())

    def _copy(self, packet: Packet[AudioStream]) -> None:
        shift(packet, self._start_s)
        if packet.dts is None:
            packet.dts = packet.pts
        if not is_near(packet, self._last_dts):
            return
        if self._last_dts is not None and packet.dts is not None and packet.dts <= self._last_dts:
            return
        self._last_dts = packet.dts
        packet.stream = self._stream
        mux(self._output, packet)

    def _encode(self, frame: AudioFrame) -> None:
        for part in self._resample(frame):
            pts = round((part.time or 0.0) * part.sample_rate)
            if abs(pts - self._next_pts) > MAX_GAP_S * part.sample_rate:
                continue
            part.pts, part.time_base = max(pts, self._next_pts), Fraction(1, part.sample_rate)
            self._next_pts = part.pts + part.samples
            mux(self._output, self._stream.encode(part))

    def _resample(self, frame: AudioFrame) -> list[AudioFrame]:
        try:
            return self._resampler.resample(frame)
        except ValueError:  # the rate or layout changes here
            self._resampler = self._new_resampler()
            return self._resampler.resample(frame)

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate_hz)
