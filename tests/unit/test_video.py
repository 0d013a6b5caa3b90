from __future__ import annotations

import bisect
import random
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from longvideoagent.errors import DataError
from longvideoagent.media.readers.base import VideoReader, open_reader
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.readers.frame_folder import FrameFolderReader, duration_of_frames
from tests.plugins.environment import SHARED
from tests.plugins.media import brightness, shade, write_video

KINDS = ("mp4", "mkv", "webm", "avi", "ts", "folder")
CODECS = {"mp4": "libx264", "mkv": "libx264", "webm": "libvpx", "avi": "mpeg4", "ts": "libx264"}


def make(kind: str, folder: Path, times_ms: list[int]) -> Path:
    """The same frames as a file of that kind or as a folder of 25 frames a second."""
    if kind != "folder":
        path = folder / f"v.{kind}"
        write_video(path, times_ms, codec=CODECS[kind])
        return path
    path = folder / "frames"
    path.mkdir()
    for index, _ in enumerate(times_ms):
        Image.new("RGB", (64, 48), (shade(index),) * 3).save(path / f"{index + 1:05}.jpg")
    return path


@pytest.fixture(scope="module", params=KINDS)
def four_seconds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 25 frames a second, in every kind of video."""
    return make(request.param, tmp_path_factory.mktemp("four"), list(range(0, 4000, 40)))


@pytest.fixture
def reader(four_seconds: Path) -> VideoReader:
    """Four seconds at 25 frames a second through every reader."""
    return open_reader(four_seconds, frames_per_s=25)


def test_reader_duration(reader: VideoReader) -> None:
    assert reader.duration_s == pytest.approx(4.0, abs=0.05)


def test_reader_keyframes_ascend_from_zero(reader: VideoReader) -> None:
    keyframes = list(reader.keyframes_s)
    assert keyframes == sorted(keyframes)
    assert keyframes[0] == pytest.approx(0.0, abs=0.01)


def test_reader_frame_at_time(reader: VideoReader) -> None:
    times = [3.13, 0.05, 2.0, 2.0, 0.99]
    frames = reader.frames(times)
    assert [frame.time_s for frame in frames] == pytest.approx([3.12, 0.04, 2.0, 2.0, 0.96], abs=0.005)
    for frame in frames:
        index = round(frame.time_s * 25)
        assert brightness(frame.rgb()) == pytest.approx(shade(index), abs=6)


def test_reader_nearest_frame_outside_the_video(reader: VideoReader) -> None:
    first, last = reader.frames([-5.0, 1e6])
    assert first.time_s == pytest.approx(0.0, abs=0.005)
    assert last.time_s == pytest.approx(3.96, abs=0.005)


def test_reader_no_times(reader: VideoReader) -> None:
    assert reader.frames([]) == []


def test_reader_jpeg(reader: VideoReader) -> None:
    with Image.open(BytesIO(reader.frames([1.0])[0].jpeg())) as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "ts"])
@pytest.mark.parametrize("scan_first", [False, True])
def test_frames_exact_on_variable_frame_rate(kind: str, scan_first: bool, tmp_path: Path) -> None:
    rng = random.Random(3)
    times_ms = [0]
    while len(times_ms) < 150:
        times_ms.append(times_ms[-1] + rng.choice([20, 40, 200, 1500]))
    path = tmp_path / f"v.{kind}"
    truth = write_video(path, times_ms, codec=CODECS[kind], gop=30, options={"bf": "2"} if kind != "webm" else {})
    video = VideoFileReader(path)
    if scan_first:
        assert video.duration_s >= truth[-1]
    wanted = [rng.uniform(0, truth[-1]) for _ in range(40)]
    for time_s, frame in zip(wanted, video.frames(wanted), strict=True):
        index = bisect.bisect_right(truth, time_s + 1e-4) - 1
        assert frame.time_s == pytest.approx(truth[index], abs=0.002)
        assert brightness(frame.rgb()) == pytest.approx(shade(index), abs=6)


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (-90, (0, 1))])
def test_frames_of_rotated_file(rotation: int, corner: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, range(0, 400, 40), rotation=rotation)
    rgb = VideoFileReader(path).frames([0.0])[0].rgb()
    assert rgb.shape[:2] == ((64, 48) if rotation % 180 else (48, 64))
    height, width = rgb.shape[:2]
    corners = {
        (y, x): rgb[(height - 4) * y : (height - 4) * y + 4, (width - 4) * x : (width - 4) * x + 4].mean()
        for y in (0, 1)
        for x in (0, 1)
    }
    assert max(corners, key=lambda place: corners[place]) == corner


def test_frames_scaled_down_never_up(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, range(0, 400, 40), size=(640, 360))
    assert VideoFileReader(path).frames([0.0], max_side_px=320)[0].rgb().shape == (180, 320, 3)
    assert VideoFileReader(path).frames([0.0], max_side_px=2000)[0].rgb().shape == (360, 640, 3)


@pytest.mark.parametrize("kind", ["mkv", "ts", "webm"])
def test_truncated_file_ends_at_its_last_frame(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path, list(range(0, 20_000, 40)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    video = VideoFileReader(path)
    assert 5.0 < video.duration_s < 15.0
    last = video.frames([19.0])[0]
    assert last.time_s <= video.duration_s
    assert brightness(last.rgb()) == pytest.approx(shade(round(last.time_s * 25)), abs=6)


def test_truncated_faststart_mp4(tmp_path: Path) -> None:
    source, path = tmp_path / "s.mp4", tmp_path / "v.mp4"
    write_video(source, range(0, 20_000, 40))
    with av.open(str(source)) as given, av.open(str(path), "w", options={"movflags": "faststart"}) as made:
        out = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = out
                made.mux(packet)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    video = VideoFileReader(path)
    assert 3.0 < video.duration_s < 19.0
    assert any("frames end at" in warning for warning in video.warnings)
    assert video.frames([video.duration_s - 1.0])[0].time_s > video.duration_s - 3.0


def test_damaged_packets_are_skipped(tmp_path: Path) -> None:
    path = make("mkv", tmp_path, list(range(0, 8000, 40)))
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    middle = len(data) // 2
    data[middle : middle + 400] = rng.integers(0, 256, 400, dtype=np.uint8).tobytes()
    path.write_bytes(bytes(data))
    video = VideoFileReader(path)
    frames = video.frames([0.5, 4.0, 7.5])
    assert frames[0].time_s == pytest.approx(0.48, abs=0.03)
    assert frames[2].time_s == pytest.approx(7.48, abs=0.5)


def _bad_files(folder: Path) -> dict[str, Path]:
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("This is a shopping list, not a film.\n" * 50)
    (folder / "cues.mp4").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    write_video(folder / "complete.mp4", range(0, 4000, 40))
    data = (folder / "complete.mp4").read_bytes()
    (folder / "no_moov.mp4").write_bytes(data[: data.index(b"moov") - 4])
    with av.open(str(folder / "sound.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (folder / "frames").mkdir()
    (folder / "notes").mkdir()
    (folder / "notes" / "cover.jpg").write_bytes(b"")
    return {
        "missing": folder / "nowhere.mp4",
        "empty": folder / "empty.mp4",
        "text": folder / "text.mp4",
        "cues": folder / "cues.mp4",
        "no moov": folder / "no_moov.mp4",
        "no video stream": folder / "sound.m4a",
        "folder without frames": folder / "frames",
        "folder without numbers": folder / "notes",
    }


def test_not_a_video_error_names_file_and_fix(tmp_path: Path) -> None:
    for what, path in _bad_files(tmp_path).items():
        with pytest.raises(DataError) as caught:
            open_reader(path)
        message = str(caught.value)
        assert str(path) in message, what
        assert ";" in message, what
        assert "\n" not in message, what


def test_frame_folder_returns_stored_bytes(tmp_path: Path) -> None:
    folder = make("folder", tmp_path, list(range(0, 400, 40)))
    stored = (folder / "00003.jpg").read_bytes()
    assert FrameFolderReader(folder, 25).frames([0.09])[0].jpeg() is not None
    assert FrameFolderReader(folder, 25).frames([0.09])[0].jpeg() == stored


def test_frame_folder_gap_shows_the_frame_before(tmp_path: Path) -> None:
    folder = make("folder", tmp_path, list(range(0, 400, 40)))
    (folder / "00005.jpg").unlink()
    (folder / "thumbs.jpg").write_bytes(b"")
    video = FrameFolderReader(folder, 1)
    assert [frame.time_s for frame in video.frames([3.5, 4.5, 5.5])] == [3.0, 3.0, 5.0]
    assert any("no number" in warning for warning in video.warnings)


@pytest.mark.parametrize("name", ["999999999.jpg", f"{'9' * 200}.jpg", "0000\N{ARABIC-INDIC DIGIT THREE}.jpg"])
def test_frame_folder_odd_numbers(name: str, tmp_path: Path) -> None:
    for each in ("00002.jpg", "9000000.jpg", name):
        Image.new("RGB", (8, 8)).save(tmp_path / each)
    folder = FrameFolderReader(tmp_path)
    assert folder.duration_s == duration_of_frames(tmp_path) == 3_000_000
    assert folder.missing_numbers() == [range(1, 2), range(3, 9_000_000)]
    assert folder.warnings == [f"{tmp_path.name}: 1 frames have no number of their own in their name and were ignored"]
    (tmp_path / "00002.jpg").unlink()
    (tmp_path / "9000000.jpg").unlink()
    with pytest.raises(DataError, match=r"no numbered \.jpg frames"):
        duration_of_frames(tmp_path)


def test_frame_folder_error_names_the_file(tmp_path: Path) -> None:
    folder = make("folder", tmp_path, list(range(0, 200, 40)))
    (folder / "00002.jpg").write_bytes(b"\xff\xd8 broken")
    with pytest.raises(DataError, match=r"00002\.jpg"):
        FrameFolderReader(folder, 1).frames([1.0])[0].rgb()


@pytest.mark.shared
def test_real_footage() -> None:
    films = [
        path
        for path in sorted((SHARED / "media").iterdir())
        if path.suffix in (".mp4", ".mkv", ".avi", ".webm", ".mov")
    ]
    assert len(films) >= 8
    for path in films:
        video = open_reader(path)
        frames = video.frames([0.0, video.duration_s / 2, video.duration_s])
        assert frames[0].time_s < 0.1, path
        assert frames[1].time_s <= video.duration_s / 2 + 1e-3, path
        assert all(frame.rgb().size for frame in frames), path
    assert open_reader(SHARED / "media" / "video_90.mov").frames([0.0])[0].rgb().shape[0] == 568
