"""Time in files whose timestamps jump, start again, are missing or wrong."""

from __future__ import annotations

import bisect
import random
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent import open_video
from longvideoagent.errors import DataError
from longvideoagent.media.clock import Stamp, continue_clock
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.sound import decode_sound
from longvideoagent.media.timeline import MAX_CLIPS, build_timeline
from tests.fakes.subtitle_streams import TextStream, mux
from tests.plugins.media import EVERY_40_MS, brightness, shade, write_video
from tests.plugins.odd_videos import CLOCK_HZ, edit_ts_times, remux, write_film, write_with_sound

HOUR = 3600


def check_frames(path: Path, numbers: list[int], *, duration_s: float | None = None) -> None:
    """The frames of the video have these numbers, at 25 a second; read in one call and one by one."""
    reader = open_reader(path)
    assert reader.duration_s == pytest.approx(duration_s or len(numbers) / 25, abs=0.06)
    rng = random.Random(5)
    wanted = [rng.uniform(0, len(numbers) / 25) for _ in range(30)]
    for times_s in (wanted, *([time_s] for time_s in wanted[:8])):
        for time_s, frame in zip(times_s, reader.frames(times_s), strict=True):
            index = int(time_s * 25 + 1e-3)
            assert frame.time_s == pytest.approx(index / 25, abs=0.005)
            assert brightness(frame.rgb()) == pytest.approx(shade(numbers[index]), abs=8)
    keyframes_s = list(reader.keyframes_s)
    assert keyframes_s == sorted(keyframes_s)
    assert 0 <= keyframes_s[0] <= keyframes_s[-1] < reader.duration_s


JOINED = [("ts", "libx264", 3), ("mpg", "mpeg2video", 3), ("vob", "mpeg2video", 3), ("mkv", "libx264", 2)]


@pytest.mark.parametrize(("suffix", "codec", "count"), JOINED)
@pytest.mark.parametrize("bf", ["0", "2"])
def test_joined_files_go_on(suffix: str, codec: str, count: int, bf: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    write_film(path, codec=codec, bf=bf)
    single = open_reader(path)
    single_s, frame = single.duration_s, single.frames([2.02])[0]
    near = [shade(round(frame.time_s * 25) + shift) for shift in (-1, 0, 1)]
    path.write_bytes(path.read_bytes() * count)
    reader = open_reader(path)
    assert reader.duration_s == pytest.approx(count * single_s, abs=0.1)
    frames = reader.frames([2.02 + part * single_s for part in range(count)])
    for part, frame in enumerate(frames):
        assert frame.time_s == pytest.approx(part * single_s + 2.02, abs=0.06)
        assert min(abs(brightness(frame.rgb()) - each) for each in near) < 8
    times = "once" if count == 2 else f"{count - 1} times"
    assert any(f"start again {times}, " in warning for warning in reader.warnings)


@pytest.mark.parametrize("by_s", [10 * HOUR, 2 * HOUR, 600, 20, -1, -5, -HOUR])
@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("where", [range(60, 61), range(60, 66), range(149, 150)], ids=["one", "six", "last"])
def test_packets_far_away(by_s: int, bf: str, where: range, tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    write_film(path, bf=bf)
    edit_ts_times(path, lambda number, ticks: ticks + (by_s * CLOCK_HZ if number in where else 0))
    reader = open_reader(path)
    if where[0] == 149 and 0 < by_s <= HOUR:
        return  # nothing says that the last frame is not shown that late
    assert reader.duration_s == pytest.approx(6.0, abs=0.1)
    assert len(open_video_clips(path)) == 1
    for time_s in (1.0, 4.0, 5.5):
        frame = reader.frames([time_s])[0]
        assert frame.time_s == pytest.approx(time_s, abs=0.05)
        assert brightness(frame.rgb()) == pytest.approx(shade(round(frame.time_s * 25)), abs=8)


def open_video_clips(path: Path) -> list[str]:
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    return [clip.label for clip in open_video(path).timeline.clips]


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv", "flv"])
def test_clock_jumps_forward_for_good(suffix: str, tmp_path: Path) -> None:
    write_film(tmp_path / "s.mp4", bf="0")

    def later(number: int, packet: av.Packet[av.VideoStream]) -> None:
        if number >= 60:
            assert packet.pts is not None
            assert packet.dts is not None
            packet.pts += round(10 * HOUR / packet.time_base)
            packet.dts += round(10 * HOUR / packet.time_base)

    remux(tmp_path / "s.mp4", tmp_path / f"a.{suffix}", later)
    check_frames(tmp_path / f"a.{suffix}", list(range(150)))


@pytest.mark.parametrize("suffix", ["ts", "mkv", "flv"])
@pytest.mark.parametrize("bf", ["0", "1", "3"])
def test_jumps_are_counted_once(suffix: str, bf: str, tmp_path: Path) -> None:
    write_film(tmp_path / "s.mp4", bf=bf)

    def later(number: int, packet: av.Packet[av.VideoStream]) -> None:
        by_s = 10 * HOUR * ((number >= 50) + (number >= 101))
        assert packet.pts is not None
        assert packet.dts is not None
        packet.pts += round(by_s / packet.time_base)
        packet.dts += round(by_s / packet.time_base)

    remux(tmp_path / "s.mp4", tmp_path / f"a.{suffix}", later)
    reader = open_reader(tmp_path / f"a.{suffix}")
    assert reader.duration_s == pytest.approx(6.0, abs=0.1)
    (warning,) = reader.warnings
    assert "jump or start again 2 times, first at 2.0 s" in warning


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
@pytest.mark.parametrize("by_s", [10 * HOUR, 900])
def test_frame_shown_hours_after_it_is_decoded(suffix: str, by_s: int, tmp_path: Path) -> None:
    write_film(tmp_path / "s.mp4", bf="2")

    def delay_one(number: int, packet: av.Packet[av.VideoStream]) -> None:
        if number == 60:
            assert packet.pts is not None
            packet.pts += round(by_s / packet.time_base)

    remux(tmp_path / "s.mp4", tmp_path / f"a.{suffix}", delay_one)
    assert open_reader(tmp_path / f"a.{suffix}").duration_s == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("suffix", ["ts", "mkv", "flv"])
@pytest.mark.parametrize("by_s", [10 * HOUR, 5])
def test_clock_that_starts_late_starts_at_zero(suffix: str, by_s: int, tmp_path: Path) -> None:
    write_film(tmp_path / "s.mp4", bf="2")

    def shift(_: int, packet: av.Packet[av.VideoStream]) -> None:
        assert packet.pts is not None
        assert packet.dts is not None
        packet.pts += round(by_s / packet.time_base)
        packet.dts += round(by_s / packet.time_base)

    remux(tmp_path / "s.mp4", tmp_path / f"a.{suffix}", shift)
    check_frames(tmp_path / f"a.{suffix}", list(range(150)))
    assert not open_reader(tmp_path / f"a.{suffix}").warnings


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("bf", ["0", "2"])
def test_avi_frames_are_counted(codec: str, bf: str, tmp_path: Path) -> None:
    write_film(tmp_path / "a.avi", codec=codec, bf=bf)
    check_frames(tmp_path / "a.avi", list(range(150)))


def test_avi_open_groups_of_pictures(tmp_path: Path) -> None:
    write_film(tmp_path / "a.avi", bf="3", x264_params="open-gop=1:b-adapt=0:keyint=12:min-keyint=12")
    check_frames(tmp_path / "a.avi", list(range(150)))


@pytest.mark.parametrize(("suffix", "codec"), [("h264", "libx264"), ("m2v", "mpeg2video"), ("m4v", "mpeg4")])
def test_raw_stream_without_times(suffix: str, codec: str, tmp_path: Path) -> None:
    write_film(tmp_path / f"a.{suffix}", codec=codec, bf="2")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.video")
    check_frames(tmp_path / "a.video", list(range(150)))
    assert not open_reader(tmp_path / "a.video").warnings


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_after_the_last_frame_counts(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    write_with_sound(path, [0.0], 70.0)
    path.with_suffix(".srt").write_text("1\n00:00:50,000 --> 00:00:52,000\nHello\n")
    video = open_video(path)
    assert video.timeline.duration_s == pytest.approx(70.0, abs=0.2)
    assert [cue.text for cue in video.timeline.subtitles] == ["Hello"]
    assert not video.warnings
    first, last = video.reader.frames([0.0, 60.0])
    assert first.time_s == last.time_s


def test_padding_of_sound_does_not_count(tmp_path: Path) -> None:
    write_with_sound(tmp_path / "a.mp4", [index / 25 for index in range(50)], 2.4)
    assert open_reader(tmp_path / "a.mp4").duration_s == pytest.approx(2.0, abs=0.01)


def test_sound_of_joined_files(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    write_with_sound(path, [index / 25 for index in range(100)], 4.0)
    path.write_bytes(path.read_bytes() * 2)
    times_s = [sound.start_s for sound in decode_sound(path, 8000)]
    assert times_s[-1] == pytest.approx(open_reader(path).duration_s, abs=0.2)
    assert all(before <= after + 0.06 for before, after in pairwise(times_s))


def test_sound_without_pictures(tmp_path: Path) -> None:
    write_with_sound(tmp_path / "s.mp4", [0.0], 3.0)
    with av.open(str(tmp_path / "s.mp4")) as given, av.open(str(tmp_path / "a.m4a"), "w") as output:
        stream = output.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(given.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    sounds = list(decode_sound(tmp_path / "a.m4a", 8000))
    assert sum(len(sound.samples) for sound in sounds) == pytest.approx(3 * 8000, rel=0.05)
    with pytest.raises(DataError, match="no video stream"):
        open_reader(tmp_path / "a.m4a")


def test_length_by_the_header_of_subtitles_is_not_missing(tmp_path: Path) -> None:
    write_film(tmp_path / "s.mp4")
    mux(tmp_path / "s.mp4", [TextStream([(1000, 50_000_000, "Hello")])], tmp_path / "a.mkv")
    reader = open_reader(tmp_path / "a.mkv")
    assert reader.duration_s == pytest.approx(6.0, abs=0.1)
    assert not reader.warnings


@pytest.mark.parametrize(("rate", "scale"), [(1, 1 << 30), (1 << 30, 1), (1, 10_000)])
def test_avi_absurd_rate(rate: int, scale: int, tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_film(path, codec="mpeg4")
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8 + 20
    data[at : at + 8] = scale.to_bytes(4, "little") + rate.to_bytes(4, "little")
    path.write_bytes(data)
    reader = open_reader(path)
    assert 0 < reader.duration_s <= 7 * 24 * HOUR
    assert reader.frames([reader.duration_s / 2])


def test_avi_absurd_number_of_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_film(path, codec="mpeg4")
    data = bytearray(path.read_bytes())
    for name, offset in ((b"strh", 8 + 32), (b"avih", 8 + 16)):
        at = data.index(name) + offset
        data[at : at + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    reader = open_reader(path)
    assert reader.duration_s == pytest.approx(6.0, abs=0.1)
    assert not reader.warnings


def test_longer_than_a_week_is_an_error(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [index * 3_500_000 for index in range(200)], gop=1)
    with pytest.raises(DataError, match=r"a\.mkv: lasts 8 days"):
        open_video(tmp_path / "a.mkv")


def test_week_has_bounded_number_of_clips() -> None:
    assert len(build_timeline(7 * 24 * HOUR).clips) <= MAX_CLIPS + 1


def test_slide_shown_for_long_is_believed(tmp_path: Path) -> None:
    truth = write_video(tmp_path / "a.mkv", [0, 40, 80, 3_000_000, 3_000_040], gop=1)
    reader = open_reader(tmp_path / "a.mkv")
    assert reader.duration_s == pytest.approx(truth[-1], abs=0.1)
    assert not reader.warnings


# --- the picture ------------------------------------------------------------------------------------

UNIT = 1 << 16
MATRICES = {
    "as stored": ((1, 0), (0, 1)),
    "mirrored": ((-1, 0), (0, 1)),
    "upside down": ((1, 0), (0, -1)),
    "turned by half": ((-1, 0), (0, -1)),
    "turned right": ((0, 1), (-1, 0)),
    "turned left": ((0, -1), (1, 0)),
    "transposed": ((0, 1), (1, 0)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_display_matrix(name: str, tmp_path: Path) -> None:
    (a, b), (c, d) = MATRICES[name]
    path = tmp_path / "a.mp4"
    write_video(path, EVERY_40_MS)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    numbers = [a * UNIT, b * UNIT, 0, c * UNIT, d * UNIT, 0]
    data[at : at + 24] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    path.write_bytes(data)
    rgb = open_reader(path).frames([0.0])[0].rgb()
    assert rgb.shape[:2] == ((64, 48) if a == 0 else (48, 64))
    bright = np.argwhere(rgb.mean(axis=2) > 200).mean(axis=0) > np.array(rgb.shape[:2]) / 2
    # The mark is stored at the top left: at (-1, -1) from the middle.
    assert bright.tolist() == [-b - d > 0, -a - c > 0]


def test_aspect_and_size_of_each_frame(tmp_path: Path) -> None:
    path, parts = tmp_path / "a.ts", []
    for size, aspect in (((64, 48), Fraction(1)), ((64, 48), Fraction(2)), ((32, 96), Fraction(1, 2))):
        write_film(path, 50, size=size, aspect=aspect)
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    for times_s in ([1.0, 3.0, 5.0], [5.0], [3.0]):
        shapes = {1.0: (48, 64), 3.0: (48, 128), 5.0: (96, 16)}
        frames = open_reader(path).frames(times_s)
        assert [frame.rgb().shape[:2] for frame in frames] == [shapes[time_s] for time_s in times_s]


# --- the clock alone --------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 60)), min_size=1, max_size=8),
    st.sampled_from([0.02, 0.04, 0.5]),
)
def test_continued_clock_is_as_long_as_its_frames(parts: list[tuple[float, int]], step_s: float) -> None:
    """Parts with clocks of their own, far apart: time goes on by one step from each frame to the next."""
    stamps = []
    for number, (start_s, count) in enumerate(parts):
        far_s = start_s + number * 3e6  # so that no part goes on from another by chance
        stamps += [Stamp(0, far_s + index * step_s, far_s + index * step_s) for index in range(count)]
    if len(stamps) < 2 * len(parts):
        return  # most steps are jumps, and nothing says how long a frame is
    times_s = continue_clock(stamps).times_s
    assert bisect.bisect_right(times_s, times_s[-1]) == len(times_s)
    assert times_s == sorted(times_s)


@given(st.lists(st.tuples(st.integers(0, 1), st.one_of(st.none(), st.floats(-1e9, 1e9))), max_size=60))
def test_continued_clock_of_any_timestamps(rows: list[tuple[int, float | None]]) -> None:
    times_s = continue_clock([Stamp(stream, time_s, time_s) for stream, time_s in rows]).times_s
    assert len(times_s) == len(rows)
    assert all(-HOUR <= time_s <= len(rows) * (HOUR + 1) + HOUR for time_s in times_s)
