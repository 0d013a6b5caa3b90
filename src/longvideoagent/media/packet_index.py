"""What the packets of a video file say about its time: where it ends, where its keyframes are, how its clock runs.

All packets are read once, without decoding them. Headers are not trusted: those of truncated files are wrong, and so
are those of some complete ones. The result is kept in memory as long as the file stays unchanged.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from longvideoagent.errors import DataError
from longvideoagent.media.clock import (
    DEFAULT_STEP_S,
    MAX_GAP_S,
    Stamp,
    continue_clock,
    is_continuous,
    typical_step,
)
from longvideoagent.media.container import ffmpeg_errors, find_audio, find_video, open_container, origin_s, packets
from longvideoagent.media.isolation import STAGE, report

MAX_DURATION_S = 7 * 86_400.0
"""A week: 10,000 clips."""
MIN_SOUND_TAIL_S = 1.0
"""Sound that goes on for longer than this after the last frame belongs to the video; encoders pad it by less."""
MIN_MISSING_S, MIN_MISSING_FRACTION = 2.0, 0.02
"""What a header may promise beyond the last packet without a warning."""
COUNTED_FORMATS = {"avi", "h264", "hevc", "vvc", "mpegvideo", "m4v", "obu", "mjpeg"}
"""Containers that store frames by number or without any time, in the order of decoding."""
REORDERING_CODECS = {"h264", "hevc", "vvc"}
"""Codecs of which FFmpeg does not know in what order packets without a time of display are shown."""
UNTIMED_FRACTION = 0.5
"""Of packets without a time of display, from which frames are counted."""
MEASURED_FORMATS = {"mpegts", "mpeg", "ogg"}
"""Containers without a length in their header: FFmpeg estimates it."""
GENERATE_PTS = 0x1
"""FFmpeg's flag that makes up times of display."""
MIN_FRAME_S = 0.001
MAX_INDICES = 32
REPORT_PACKETS = 4096
_NO_TIME = -(1 << 63)


@dataclass(frozen=True)
class PacketTimes:
    """Times of the packets of one stream, one row for each in the order in which they are stored; for streams whose
    timestamps cannot be used as they are."""

    times_s: Sequence[float]
    """When it is shown, from the start of the video. With ``is_counted``: of the frame of this number, in the order in
    which frames are shown."""
    is_counted: bool
    keyframe_rows: Sequence[int]
    seek_ticks: Sequence[int | None]
    """Of each row, the stored timestamp that a seek needs."""
    positions: Sequence[int | None]
    """Of each row, its offset in the file, if the container knows it."""
    row_by_position: dict[int, int]

    def points(self) -> list[SeekPoint]:
        """Where decoding may start, by time."""
        rows = list(self.keyframe_rows)
        # Frames that are shown before a keyframe but stored after it may be lost when decoding starts there: counting
        # is right from the next keyframe on.
        starts = zip(rows[1:], rows[:-1], strict=True) if self.is_counted else zip(rows, rows, strict=True)
        return sorted(SeekPoint(self.times_s[row], start) for row, start in starts)


class SeekPoint(NamedTuple):
    """From ``time_s`` on, frames are right if decoding starts at the packet of ``row``."""

    time_s: float
    row: int


@dataclass(frozen=True)
class PacketIndex:
    """The times of a video file."""

    keyframes_s: tuple[float, ...]
    end_s: float
    """The end of the last frame, or of the sound that goes on after it."""
    warnings: tuple[str, ...]
    video: PacketTimes | None = None
    """None if the file's own timestamps are right, counted from its first."""
    audio: PacketTimes | None = None
    """Of the first audio stream, if ``video`` is given."""


class _Scan(NamedTuple):
    """Timestamps of the packets of the video stream, in seconds from the first of the file; NaN if there is none."""

    pts_s: NDArray[np.float64]
    dts_s: NDArray[np.float64]
    is_keyframe: NDArray[np.bool_]


class _Header(NamedTuple):
    """What the container says."""

    format: str
    origin_s: float
    duration_s: float
    num_frames: int
    has_other_streams: bool
    frame_s: float
    """Seconds of a frame by its rate, 0 if there is none."""
    guessed_frame_s: float


def read_packet_index(path: Path) -> PacketIndex:
    """The index of a video file; kept while the file stays unchanged.

    Raises DataError if it cannot be read, has no frames, or lasts longer than ``MAX_DURATION_S``.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return _read_cached(path, status.st_mtime_ns, status.st_size)


@lru_cache(MAX_INDICES)
def _read_cached(path: Path, _mtime_ns: int, _size_bytes: int) -> PacketIndex:
    with ffmpeg_errors(path), open_container(path) as container:
        video = find_video(container, path)
        header = _read_header(container, video)
        scan = _scan(container, video, header)
    if not len(scan.pts_s):
        raise DataError(f"{path}: no frames in its video stream; the file is truncated, copy it again")
    num_untimed = int(np.isnan(scan.pts_s).sum())
    is_counted = num_untimed > (0 if header.format in COUNTED_FORMATS else UNTIMED_FRACTION * len(scan.pts_s))
    regular = _regular_index(path, header, scan) if not is_counted and is_continuous(scan.pts_s, scan.dts_s) else None
    return regular or _continued_index(path, header, is_counted=is_counted)


def _read_header(container: InputContainer, video: VideoStream) -> _Header:
    if _is_misguided(container, video):
        container.flags &= ~GENERATE_PTS
    duration_s = (container.duration or 0) / av.time_base
    return _Header(
        container.format.name,
        origin_s(container),
        duration_s,
        video.frames,
        len(container.streams) > 1,
        _frame_s(video.average_rate),
        _frame_s(video.guessed_rate),
    )


def _is_misguided(container: InputContainer, video: VideoStream) -> bool:
    """Whether the times of display that FFmpeg makes up would be wrong."""
    codec = video.codec_context.codec.canonical_name
    return container.format.name in COUNTED_FORMATS or codec in REORDERING_CODECS


def _frame_s(rate: Fraction | None) -> float:
    return float(1 / rate) if rate else 0.0


def _scan(container: InputContainer, video: VideoStream, header: _Header) -> _Scan:
    """Read all packets for the timestamps of those of the video stream."""
    pts, dts, keyframes = array("q"), array("q"), bytearray()
    size_bytes = max(1, container.size)
    for packet in packets(container, video):
        if packet.size:
            if not len(pts) % REPORT_PACKETS:
                report(STAGE, min(1.0, (packet.pos or 0) / size_bytes))
            pts.append(_NO_TIME if packet.pts is None else packet.pts)
            dts.append(_NO_TIME if packet.dts is None else packet.dts)
            keyframes.append(packet.is_keyframe)

    def seconds(ticks: array[int]) -> NDArray[np.float64]:
        values = np.array(ticks, dtype=np.int64)
        return np.where(values == _NO_TIME, np.nan, values * float(video.time_base or 0) - header.origin_s)

    return _Scan(seconds(pts), seconds(dts), np.array(keyframes, dtype=bool))


def _regular_index(path: Path, header: _Header, scan: _Scan) -> PacketIndex | None:
    """The index of a file whose timestamps are right; None if those of its sound are not."""
    shown_s = scan.pts_s[np.isfinite(scan.pts_s)]
    end_s = all_end_s = float(shown_s.max()) + _last_frame_s(header, shown_s)
    if end_s <= 0:
        raise DataError(f"{path}: no frames in its video stream; the file is truncated, copy it again")
    if header.has_other_streams and not 0 < header.duration_s <= end_s + MIN_SOUND_TAIL_S:
        tails = _read_tails(path, header)
        if not is_continuous(tails.sound_s, tails.sound_s):
            return None
        sound_end_s = float(np.nanmax(tails.sound_s, initial=0.0)) + tails.sound_step_s
        end_s, all_end_s = _with_sound(end_s, sound_end_s), max(end_s, tails.end_s)
    check_length(path, end_s)
    keyframes_s = np.sort(scan.pts_s[np.isfinite(scan.pts_s) & scan.is_keyframe])
    warnings = _missing_warnings(path, header, len(scan.pts_s), end_s, all_end_s)
    return PacketIndex(tuple(keyframes_s.tolist()), end_s, warnings)


def _with_sound(frames_end_s: float, sound_end_s: float) -> float:
    """The end of the video: that of its frames, or of sound that goes on after them."""
    return sound_end_s if sound_end_s - frames_end_s > MIN_SOUND_TAIL_S else frames_end_s


def check_length(path: Path, duration_s: float) -> None:
    """Raise DataError if a video lasts longer than ``MAX_DURATION_S``."""
    if duration_s > MAX_DURATION_S:
        days, max_days = duration_s / 86_400, MAX_DURATION_S / 86_400
        raise DataError(f"{path}: lasts {days:,.0f} days by its timestamps, more than {max_days:.0f}; cut or repair it")


def _last_frame_s(header: _Header, shown_s: NDArray[np.float64]) -> float:
    """How long the last frame is shown: as long as the rate says, if the other frames do not contradict."""
    longest_s = float(np.diff(np.sort(shown_s)).max()) if len(shown_s) > 1 else MAX_GAP_S
    if 0 < header.frame_s <= max(1.5 * longest_s, DEFAULT_STEP_S):
        return header.frame_s
    return typical_step(shown_s)


def _missing_warnings(path: Path, header: _Header, num_packets: int, end_s: float, all_end_s: float) -> tuple[str, ...]:
    """A warning if the header promises more than all streams have."""
    header_s = 0.0 if header.format in MEASURED_FORMATS else header.duration_s - max(0.0, header.origin_s)
    if header.num_frames > num_packets:  # avi gives its length in frames
        header_s = max(header_s, header.num_frames * header.frame_s)
    missing_s = header_s - all_end_s
    if header_s > MAX_DURATION_S or missing_s <= max(MIN_MISSING_S, MIN_MISSING_FRACTION * header_s):
        return ()
    return (f"{path.name}: frames end at {end_s:.1f} s although the file says {header_s:.1f} s; the rest was ignored",)


class _Tails(NamedTuple):
    """Where the streams of a file end."""

    sound_s: NDArray[np.float64]
    """Times of the packets of the first audio stream."""
    sound_step_s: float
    end_s: float
    """The end of the last packet of any stream: a length in a header may be that of the subtitles."""


def _read_tails(path: Path, header: _Header) -> _Tails:
    """Read all packets of all streams. Most files need no such pass: their header says that the frames end last."""
    sound, end_s, sound_step_s = array("d"), 0.0, 0.0
    with open_container(path) as container:
        audio = find_audio(container)
        bases = [float(stream.time_base or 0) for stream in container.streams]
        for packet in packets(container):
            if packet.pts is None:
                continue
            base, ticks = bases[packet.stream_index], packet.duration or 0
            time_s = packet.pts * base - header.origin_s
            end_s = max(end_s, time_s + ticks * base)
            if audio is not None and packet.stream_index == audio.index:
                sound.append(time_s)
                sound_step_s = min(1.0, ticks * base)
    return _Tails(np.array(sound), sound_step_s, end_s)


class _Row(NamedTuple):
    """One packet of the table."""

    stream: int
    pts: int | None
    dts: int | None
    position: int | None
    is_keyframe: bool


def _continued_index(path: Path, header: _Header, *, is_counted: bool) -> PacketIndex:
    """The index of a file whose timestamps jump or are missing."""
    with open_container(path) as container:
        video, audio = find_video(container, path), find_audio(container)
        if _is_misguided(container, video):
            container.flags &= ~GENERATE_PTS
        streams = {stream.index: stream for stream in (video, audio) if stream is not None}
        rows = [
            _Row(packet.stream_index, packet.pts, packet.dts, packet.pos, packet.is_keyframe)
            for packet in packets(container, *streams.values())
            if packet.size
        ]
        bases = {index: float(stream.time_base or 0) for index, stream in streams.items()}
        video_index, audio_index = video.index, audio.index if audio is not None else None
    stamps = [_stamp(row, bases[row.stream], header.origin_s) for row in rows]
    if is_counted:
        stamps = _without_pts(stamps, video_index, header)
    continued = continue_clock(stamps)

    def times_of(stream: int, *, is_counted: bool) -> PacketTimes:
        own = [(row, time_s) for row, time_s in zip(rows, continued.times_s, strict=True) if row.stream == stream]
        return _packet_times(own, is_counted=is_counted)

    video_times = times_of(video_index, is_counted=is_counted)
    audio_times = times_of(audio_index, is_counted=False) if audio_index is not None else None
    shown_s = np.array(video_times.times_s)
    sound_end_s = max(audio_times.times_s, default=0.0) if audio_times is not None else 0.0
    last_s = typical_step(shown_s) if is_counted else _last_frame_s(header, shown_s)
    sound_step_s = typical_step(np.array(audio_times.times_s)) if audio_times is not None else 0.0
    end_s = _with_sound(float(shown_s.max()) + last_s, sound_end_s + sound_step_s)
    check_length(path, end_s)
    keyframes_s = sorted(video_times.times_s[row] for row in video_times.keyframe_rows)
    warnings = _missing_warnings(path, header, len(shown_s), end_s, max(end_s, _read_tails(path, header).end_s))
    if continued.jumps_s:
        count, first_s = len(continued.jumps_s), continued.jumps_s[0]
        when = f"once, at {first_s:.1f} s" if count == 1 else f"{count} times, first at {first_s:.1f} s"
        warnings += (f"{path.name}: its timestamps jump or start again {when}; time was counted on",)
    return PacketIndex(tuple(keyframes_s), end_s, warnings, video_times, audio_times)


def _stamp(row: _Row, base: float, first_s: float) -> Stamp:
    pts_s, dts_s = (None if ticks is None else ticks * base - first_s for ticks in (row.pts, row.dts))
    return Stamp(row.stream, pts_s, dts_s)


def _without_pts(stamps: Sequence[Stamp], video: int, header: _Header) -> list[Stamp]:
    """Stamps that count the frames: in the order in which they are stored, or by the rate if there are no times."""
    has_dts = any(stamp.dts_s is not None for stamp in stamps if stamp.stream == video)
    frame_s = header.guessed_frame_s if MIN_FRAME_S <= header.guessed_frame_s <= MAX_GAP_S else DEFAULT_STEP_S
    counted, number = [], 0
    for stamp in stamps:
        if stamp.stream == video:
            stamp = Stamp(video, None, stamp.dts_s if has_dts else number * frame_s)
            number += 1
        counted.append(stamp)
    return counted


def _packet_times(rows: Sequence[tuple[_Row, float]], *, is_counted: bool) -> PacketTimes:
    row_by_position: dict[int, int] = {}
    for number, (row, _) in enumerate(rows):
        if row.position is not None:
            row_by_position.setdefault(row.position, number)
    return PacketTimes(
        times_s=[time_s for _, time_s in rows],
        is_counted=is_counted,
        keyframe_rows=[number for number, (row, _) in enumerate(rows) if row.is_keyframe],
        seek_ticks=[row.pts if row.dts is None else row.dts for row, _ in rows],
        positions=[row.position for row, _ in rows],
        row_by_position=row_by_position,
    )
