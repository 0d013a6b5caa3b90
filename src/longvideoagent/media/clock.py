"""One continuous clock from the timestamps of a file, which may jump, start again, or be wrong.

Timestamps are believed as long as they go on from those before. A stream of joined recordings, or one with damaged
timestamps, is continued where it jumps: what follows starts where everything before it has ended, and where the old
clock is found again, it counts again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_GAP_S = 3600.0
"""A frame may be shown that long. A timestamp further from its neighbours is not believed, unless there is sound in
between."""
MAX_BACK_S = 0.5
"""How far timestamps may go back without a new start of the clock; at low frame rates ``MAX_BACK_FRAMES``."""
MAX_BACK_FRAMES = 8
REORDERED = 18
"""Packets after a frame that may be shown before it; codecs allow 16."""
SUSPICIOUS_S = 2.0
"""A gap longer than this is taken back if the timestamps soon return to before it."""
SOON = 32
"""Packets after which timestamps that return do not take back a gap."""
DEFAULT_STEP_S = 0.04


class Stamp(NamedTuple):
    """The timestamps of one packet, in seconds."""

    stream: int
    pts_s: float | None
    dts_s: float | None


class Continued(NamedTuple):
    """Times on one continuous clock."""

    times_s: list[float]
    """Of each packet, when it is shown, in seconds from the start."""
    jumps_s: list[float]
    """Times at which timestamps were not believed, or start again; one for the packets that frames shown in another
    order than stored share."""


def typical_step(times_s: NDArray[np.float64]) -> float:
    """The usual seconds between packets of a stream; ``DEFAULT_STEP_S`` if it has fewer than two."""
    steps = np.diff(np.sort(times_s[np.isfinite(times_s)]))
    steps = steps[(steps > 0) & (steps <= MAX_GAP_S)]
    return float(np.median(steps)) if len(steps) else DEFAULT_STEP_S


def is_continuous(pts_s: NDArray[np.float64], dts_s: NDArray[np.float64]) -> bool:
    """Whether all timestamps of a stream, in the order of its packets, can be believed. NaN means none."""
    order = np.where(np.isfinite(dts_s), dts_s, pts_s)
    has_dts = np.isfinite(dts_s).any()
    order = order[np.isfinite(dts_s if has_dts else pts_s)]
    if not len(order):
        return True
    steps, back_s = np.diff(order), max_back_s(typical_step(order))
    if abs(order[0]) > MAX_GAP_S or (len(steps) and (steps.min() < -back_s or steps.max() > MAX_GAP_S)):
        return False
    shown = pts_s[np.isfinite(pts_s) & (np.isfinite(dts_s) | (not has_dts))]
    if len(shown) != len(order):
        return True
    slack_s = back_s + REORDERED * (float(steps.max()) if len(steps) else DEFAULT_STEP_S)
    delays = shown - order
    later = np.append(order, np.full(REORDERED, order[-1]))[REORDERED:]
    return bool((shown <= later + max(0.0, float(np.median(delays))) + slack_s).all() and delays.min() >= -slack_s)


def max_back_s(step_s: float) -> float:
    """How far the timestamps of a stream with this step may go back."""
    return max(MAX_BACK_S, MAX_BACK_FRAMES * step_s)


def continue_clock(stamps: Sequence[Stamp]) -> Continued:
    """Times for the packets of a file, given in the order in which they are stored, that go on where timestamps jump.

    Packets without a timestamp follow the one before of their stream.
    """
    clock = _Clock(stamps)
    for index, stamp in enumerate(stamps):
        clock.add(index, stamp)
    return Continued(clock.times_s, sorted(clock.jumps_s()))


class _Track:
    """What is known about one stream so far."""

    def __init__(self, pts_s: NDArray[np.float64], dts_s: NDArray[np.float64]) -> None:
        self.step_s = typical_step(dts_s if np.isfinite(dts_s).sum() * 2 > len(dts_s) else pts_s)
        self.back_s = max_back_s(self.step_s)
        delays = (pts_s - dts_s)[np.isfinite(pts_s) & np.isfinite(dts_s)]
        self.delay_s = float(np.median(delays)) if len(delays) else 0.0
        self.max_delay_s = abs(self.delay_s) + self.back_s + REORDERED * max(self.step_s, _usual_max_step(dts_s))
        self.offset_s = 0.0
        self.next_s: float | None = None
        """Where the next packet is expected, in the order of decoding; None before the first."""
        self.gap: _Gap | None = None

    def delay_of(self, stamp: Stamp) -> float:
        """Seconds from decoding a packet to showing it; the usual ones if its own cannot be right."""
        if stamp.pts_s is None or stamp.dts_s is None:
            return 0.0
        delay_s = stamp.pts_s - stamp.dts_s
        return delay_s if abs(delay_s) <= self.max_delay_s else self.delay_s


class _Gap(NamedTuple):
    """A gap that is taken back if the timestamps return to before it."""

    next_s: float
    end_s: float
    indices: list[int]
    """The packets since."""


class _Clock:
    def __init__(self, stamps: Sequence[Stamp]) -> None:
        self.times_s: list[float] = []
        self._starts: dict[int, float] = {}
        """Times of the packets at which the clock starts again or returns."""
        self._delayed: dict[int, float] = {}
        """Times of packets whose two timestamps contradict each other."""
        self._end_s = 0.0
        """Where all packets so far end."""
        self._offsets_s = [0.0]
        streams = np.array([stamp.stream for stamp in stamps], dtype=int)
        pts_s, dts_s = (np.array([stamp[i] for stamp in stamps], dtype=float) for i in (1, 2))
        self._tracks = {s: _Track(pts_s[streams == s], dts_s[streams == s]) for s in np.unique(streams).tolist()}

    def add(self, index: int, stamp: Stamp) -> None:
        track = self._tracks[stamp.stream]
        raw_s = stamp.dts_s if stamp.dts_s is not None else stamp.pts_s
        if track.next_s is None:
            track.offset_s = self._offsets_s[-1]
        expected_s = track.next_s if track.next_s is not None else 0.0
        if raw_s is None:
            time_s = expected_s
        else:
            if self._returns(track, raw_s):
                expected_s = track.next_s or 0.0
            time_s = self._believe(index, track, stamp, expected_s)
        shown_s = time_s + track.delay_of(stamp)
        if stamp.pts_s is not None and stamp.dts_s is not None and abs(stamp.pts_s - stamp.dts_s) > track.max_delay_s:
            self._delayed[index] = shown_s
        self.times_s.append(shown_s)
        if track.gap is not None:
            track.gap.indices.append(index)
        track.next_s = max(time_s, expected_s - track.back_s) + track.step_s
        self._end_s = max(self._end_s, shown_s + track.step_s)

    def jumps_s(self) -> list[float]:
        """The time of each jump. Where frames are shown in another order than they are stored, or a container derives
        the order of decoding, the timestamps of several packets contradict each other at one jump."""
        times_s: list[float] = []
        latest, is_counted_start = -SOON - 1, False
        for index in sorted(self._starts.keys() | self._delayed.keys()):
            is_start = index in self._starts
            is_same = index - latest <= SOON and not (is_start and is_counted_start)
            if not is_same:
                times_s.append(self._starts.get(index, self._delayed.get(index, 0.0)))
                is_counted_start = False
            latest, is_counted_start = index, is_counted_start or is_start
        return times_s

    def _believe(self, index: int, track: _Track, stamp: Stamp, expected_s: float) -> float:
        """The time of a packet: by the clock so far, by an earlier one, or by a new one."""
        raw_s = stamp.dts_s if stamp.dts_s is not None else stamp.pts_s
        assert raw_s is not None
        time_s = raw_s + track.offset_s
        goes_on = abs(time_s - expected_s) <= track.back_s
        if not goes_on:
            for offset_s in self._offsets_s[:-SOON:-1]:
                if abs(raw_s + offset_s - expected_s) <= track.back_s:
                    track.offset_s = offset_s
                    return raw_s + offset_s
        if goes_on or expected_s - track.back_s <= time_s <= max(expected_s, self._end_s) + MAX_GAP_S:
            if time_s - expected_s > max(SUSPICIOUS_S, REORDERED * track.step_s):
                track.gap = _Gap(expected_s, self._end_s, [])
            return time_s
        latest_s = raw_s + self._offsets_s[-1]  # another stream may have started the new clock
        if expected_s - track.back_s <= latest_s <= max(expected_s, self._end_s) + MAX_GAP_S:
            track.offset_s = self._offsets_s[-1]
            return latest_s
        track.offset_s = self._end_s - raw_s - track.delay_of(stamp)
        self._offsets_s.append(track.offset_s)
        self._starts[index] = self._end_s
        return raw_s + track.offset_s

    def _returns(self, track: _Track, raw_s: float) -> bool:
        """Take back a gap if a packet goes on from before it: the packets in between had wrong timestamps."""
        gap, track.gap = track.gap, track.gap if track.gap and len(track.gap.indices) < SOON else None
        if gap is None or not gap.indices:
            return False
        expected_s = gap.next_s + len(gap.indices) * track.step_s
        is_back = raw_s + track.offset_s < (track.next_s or 0.0) - track.back_s
        if not is_back or abs(raw_s + track.offset_s - expected_s) > track.back_s:
            return False
        for number, index in enumerate(gap.indices):
            self.times_s[index] = gap.next_s + number * track.step_s
        self._starts[gap.indices[0]] = gap.next_s
        track.next_s, track.gap = expected_s, None
        self._end_s = max(gap.end_s, expected_s)
        return True


def _usual_max_step(dts_s: NDArray[np.float64]) -> float:
    """The longest step that can be believed."""
    steps = np.diff(dts_s[np.isfinite(dts_s)])
    steps = steps[(steps > 0) & (steps <= MAX_GAP_S)]
    return float(steps.max()) if len(steps) else DEFAULT_STEP_S
