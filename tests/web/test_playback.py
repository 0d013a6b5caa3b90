"""Playback over HTTP: frames, and streams of formats that browsers do not play."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import av
import httpx
import numpy as np
import pytest
from PIL import Image

from longvideoagent.errors import DataError
from longvideoagent.media import container
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.server.playback.plan import open_cached
from longvideoagent.server.playback.response import MAX_OPEN_STREAMS
from tests.plugins.media import EVERY_40_MS, brightness, shade, write_video
from tests.plugins.web_server import RunningServer, serving


def test_frame_at_time(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", EVERY_40_MS)
    with serving(tmp_path) as server:
        video = server.video("a.mp4")
        for time_s in (0.0, 3.0, 5.9, 99.0):
            response = server.client.get(f"/api/videos/{video}/frame", params={"time_s": time_s, "side_px": 32})
            with Image.open(BytesIO(response.content)) as image:
                assert max(image.size) == 32
                rgb = np.asarray(image.convert("RGB"))
            index = min(int(time_s * 25 + 0.001), len(EVERY_40_MS) - 1)
            assert brightness(rgb) == pytest.approx(shade(index), abs=6)
        for invalid in ("-1", "nan", "inf", "soon"):
            response = server.client.get(f"/api/videos/{video}/frame", params={"time_s": invalid})
            assert response.status_code == 422
            assert response.json()["detail"].startswith("time_s: ")


FORMATS = [
    ("a.mp4", "libx264", "direct"),
    ("a.webm", "libvpx", "direct"),
    ("a.mkv", "libx264", "remux"),
    ("a.avi", "mpeg4", "transcode"),
    ("a.mov", "libx264", "remux"),
]


@pytest.mark.parametrize(("name", "codec", "mode"), FORMATS)
def test_stream_every_format(name: str, codec: str, mode: str, tmp_path: Path) -> None:
    write_video(tmp_path / name, EVERY_40_MS, codec=codec, gop=25)
    with serving(tmp_path) as server:
        video = server.video(name)
        video_json = server.get(f"/api/videos/{video}")
        assert video_json["playback_mode"] == mode
        assert video_json["duration_s"] == pytest.approx(6.0, abs=0.1)
        assert (video_json["width_px"], video_json["height_px"]) == (64, 48)
        for wanted_s in (0.0, 3.5, 1000.0):
            start_s = server.get(f"/api/videos/{video}/stream/start", params={"time_s": wanted_s})["start_s"]
            assert start_s <= wanted_s
            assert min(wanted_s, 5.5) - start_s <= (0.5 if mode == "remux" else 0.0001)
            frames = frames_of(server.client.get(f"/api/videos/{video}/stream", params={"start_s": start_s}))
            assert frames[-1][0] == pytest.approx(6.0 - start_s, abs=0.15)
            for time_s, rgb in frames[:: max(1, len(frames) // 4)]:
                near = [shade(int((start_s + time_s) * 25) + more) for more in (-1, 0, 1)]
                assert min(abs(brightness(rgb) - each) for each in near) < 12


def frames_of(response: httpx.Response) -> list[tuple[float, Any]]:
    """Times and pixels of what a stream shows."""
    assert (response.status_code, response.headers["content-type"]) == (200, "video/mp4")
    with av.open(BytesIO(response.content), "r") as container:
        return [(float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_stream_rotated_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", EVERY_40_MS, rotation=90)
    write_video(tmp_path / "b.mp4", EVERY_40_MS, rotation=90)
    with serving(tmp_path) as server:
        video = server.video("b.mp4")
        video_json = server.get(f"/api/videos/{video}")
        assert (video_json["width_px"], video_json["height_px"]) == (48, 64)
        first = frames_of(server.client.get(f"/api/videos/{video}/stream"))[0][1]
        assert first.shape[:2] == (64, 48)
        to_rgb = VideoFileReader(tmp_path / "b.mp4").frames([0.0])[0].rgb()
        assert np.abs(first.astype(int) - to_rgb).mean() < 25


AUDIO_FORMATS = [
    ("a.mkv", "libx264", "libopus", "mono", 48_000),
    ("a.mkv", "libx264", "aac", "stereo", 44_100),
    ("a.mkv", "libx264", "ac3", "5.1", 48_000),
    ("a.mkv", "libx264", "pcm_s16le", "stereo", 192_000),
    ("a.ts", "libx264", "aac", "mono", 48_000),
    ("a.avi", "mpeg4", "mp3", "stereo", 44_100),
    ("a.mkv", "libvpx", "libopus", "stereo", 48_000),
]


@pytest.mark.parametrize(("name", "codec", "audio_codec", "layout", "rate_hz"), AUDIO_FORMATS)
def test_stream_audio(name: str, codec: str, audio_codec: str, layout: str, rate_hz: int, tmp_path: Path) -> None:
    write_video_with_audio(tmp_path / name, codec, audio_codec, layout, rate_hz)
    with serving(tmp_path) as server:
        video = server.video(name)
        duration_s = server.get(f"/api/videos/{video}")["duration_s"]
        assert duration_s == pytest.approx(4.0, abs=0.1)
        for wanted_s in (0.0, 2.3):
            start_s = server.get(f"/api/videos/{video}/stream/start", params={"time_s": wanted_s})["start_s"]
            response = server.client.get(f"/api/videos/{video}/stream", params={"start_s": start_s})
            for kind in ("video", "audio"):
                with av.open(BytesIO(response.content), "r") as container:
                    frames: Any = container.decode(**{kind: 0})
                    times_s = [float(frame.time or 0) for frame in frames]
                assert times_s[0] == pytest.approx(0.0, abs=0.15), kind
                assert times_s[-1] == pytest.approx(duration_s - start_s, abs=0.25), kind


def write_video_with_audio(path: Path, codec: str, audio_codec: str, layout: str, hz: int) -> None:
    """Four seconds with a tone."""
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream(codec, rate=25), output.add_stream(audio_codec, rate=hz)
        assert isinstance(video, av.VideoStream)
        assert isinstance(audio, av.AudioStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio.layout = layout
        resampler = av.AudioResampler(format=audio.format, layout=layout, rate=hz)
        for index in range(100):
            grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade(index), np.uint8), "rgb24")
            grey.pts, grey.time_base = index, Fraction(1, 25)
            output.mux(video.encode(grey))
            tone = np.sin(np.arange(index * hz // 25, (index + 1) * hz // 25) / 20).astype(np.float32)[None] * 0.3
            frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = hz, index * hz // 25, Fraction(1, hz)
            for part in resampler.resample(frame):
                output.mux(audio.encode(part))
        output.mux(video.encode())
        output.mux(audio.encode())


LATE_TRACKS = [("libx264", "aac"), ("libvpx", "aac"), ("libx264", "libopus")]


@pytest.mark.parametrize(("codec", "audio"), LATE_TRACKS)
@pytest.mark.parametrize(("video_s", "audio_s"), [(0.0, 2.0), (2.0, 0.0)])
def test_stream_late_track(codec: str, audio: str, video_s: float, audio_s: float, tmp_path: Path) -> None:
    write_video_with_late_tracks(tmp_path / "a.mkv", Track(codec, video_s), Track(audio, audio_s))
    with serving(tmp_path) as server:
        for wanted_s in (0.0, 1.0):
            start_s, response = get_stream(server, "a.mkv", wanted_s)
            for kind, track_start_s in (("video", video_s), ("audio", audio_s)):
                times_s = times_of(response, kind)
                assert times_s[0] == pytest.approx(max(0.0, track_start_s - start_s), abs=0.1), kind
                assert times_s[-1] == pytest.approx(6.0 - start_s, abs=0.2), kind


class Stream(NamedTuple):
    start_s: float
    response: httpx.Response


class Track(NamedTuple):
    codec: str
    start_s: float


def get_stream(server: RunningServer, name: str, wanted_s: float) -> Stream:
    """Where the stream that shows a second starts, and the stream."""
    video = server.video(name)
    start_s = server.get(f"/api/videos/{video}/stream/start", params={"time_s": wanted_s})["start_s"]
    assert start_s <= wanted_s
    return Stream(start_s, server.client.get(f"/api/videos/{video}/stream", params={"start_s": start_s}))


def times_of(response: httpx.Response, kind: str) -> list[float]:
    with av.open(BytesIO(response.content), "r") as container:
        frames: Any = container.decode(**{kind: 0})
        return [float(frame.time or 0) for frame in frames]


def write_video_with_late_tracks(path: Path, video: Track, audio: Track) -> None:
    """Six seconds with a tone."""
    with av.open(str(path), "w") as output:
        video_stream, audio_stream = (
            output.add_stream(video.codec, rate=25),
            output.add_stream(audio.codec, rate=48_000),
        )
        assert isinstance(video_stream, av.VideoStream)
        assert isinstance(audio_stream, av.AudioStream)
        video_stream.width, video_stream.height, video_stream.pix_fmt = 64, 48, "yuv420p"
        video_stream.gop_size, audio_stream.layout = 25, "mono"
        resampler = av.AudioResampler(format=audio_stream.format, layout="mono", rate=48_000)
        for index in range(150):
            if index / 25 >= video.start_s:
                grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade(index), np.uint8), "rgb24")
                grey.pts, grey.time_base = index, Fraction(1, 25)
                output.mux(video_stream.encode(grey))
            if index / 25 >= audio.start_s:
                tone = (np.sin(np.arange(index * 1920, (index + 1) * 1920) / 20) * 9000).astype(np.int16)[None]
                part = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
                part.sample_rate, part.pts, part.time_base = 48_000, index * 1920, Fraction(1, 48_000)
                for each in resampler.resample(part):
                    output.mux(audio_stream.encode(each))
        output.mux(video_stream.encode())
        output.mux(audio_stream.encode())


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_stream_start_within_long_frame(codec: str, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [0, 1000, 2000, 20_000, 21_000], codec=codec, gop=1)
    with serving(tmp_path) as server:
        for wanted_s in (2.0, 3.0, 19.0, 20.5):
            start_s, response = get_stream(server, "a.mkv", wanted_s)
            frames = frames_of(response)
            frame = next(rgb for time_s, rgb in reversed(frames) if start_s + time_s <= wanted_s + 0.01)
            assert brightness(frame) == pytest.approx(shade(2 if wanted_s < 20 else 3), abs=8)
            if wanted_s < 20:
                assert min(abs(start_s + time_s - 20) for time_s, _ in frames) < 0.05


def test_stream_b_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", EVERY_40_MS, gop=25, options={"bf": "2"})
    with serving(tmp_path) as server:
        for wanted_s in (0.0, 3.2):
            _, response = get_stream(server, "a.mkv", wanted_s)
            times_s = times_of(response, "video")
            assert times_s[0] == pytest.approx(0.0, abs=0.01)
            assert times_s == sorted(times_s)


def test_stream_high_frame_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [round(index * 1000 / 120) for index in range(240)], codec="libvpx", gop=60)
    with serving(tmp_path) as server:
        _, response = get_stream(server, "a.mkv", 0.0)
        assert 110 <= len(times_of(response, "video")) <= 125


@pytest.mark.parametrize(("codec", "audio"), [("libx264", "aac"), ("libx264", "libopus"), ("libvpx", "libopus")])
def test_stream_damaged_middle(codec: str, audio: str, tmp_path: Path) -> None:
    write_video_with_late_tracks(tmp_path / "a.mkv", Track(codec, 0.0), Track(audio, 0.0))
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    for offset in range(len(data) // 3, len(data) // 2, 61):
        data[offset] ^= 0xFF
    (tmp_path / "a.mkv").write_bytes(data)
    with serving(tmp_path) as server:
        _, response = get_stream(server, "a.mkv", 0.0)
        with av.open(BytesIO(response.content), "r") as container:  # copied packets stay damaged
            packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
            assert float((packets[-1].pts or 0) * (packets[-1].time_base or 0)) > 5.0


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_stream_far_timestamp(codec: str, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [*range(0, 2000, 40), 4_244_686_216], codec=codec)
    with serving(tmp_path) as server:
        _, response = get_stream(server, "a.mkv", 0.0)
        assert times_of(response, "video")[-1] == pytest.approx(2.0, abs=0.1)


PIXELS = [("yuv420p", "remux"), ("yuv444p", "transcode")]


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each pixel format, a library of one video, ``a.mkv``."""
    folders = {pixel_format: tmp_path_factory.mktemp(pixel_format) for pixel_format, _ in PIXELS}
    for pixel_format, folder in folders.items():
        write_noise(folder / "a.mkv", pixel_format)
    return folders


def write_noise(path: Path, pixel_format: str) -> None:
    """Sixteen seconds whose stream is larger than the socket buffers between a server and an idle client."""
    some_noise = np.random.default_rng(7).integers(0, 255, (10, 240, 320, 3), np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, pixel_format, 25
        for index in range(400):
            frame = av.VideoFrame.from_ndarray(some_noise[index * 7 % 10], "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files, which needs Linux")
@pytest.mark.parametrize(("pixel_format", "mode"), PIXELS)
def test_stream_disconnect_closes_file(pixel_format: str, mode: str, noise: dict[str, Path]) -> None:
    path = noise[pixel_format] / "a.mkv"

    def still_open() -> list[Path]:
        return [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink() and leads_to(each, path)]

    with serving(path.parent) as server:
        video = server.video("a.mkv")
        assert server.get(f"/api/videos/{video}")["playback_mode"] == mode
        gc.disable()  # it would close files that the server left open
        try:
            for _ in range(3):
                with server.client.stream("GET", f"/api/videos/{video}/stream") as response:
                    next(response.iter_bytes())  # the server has opened the file; it may have sent all of it by now
            server.until(still_open, lambda left: not left)
        finally:
            gc.enable()


def leads_to(link: Path, path: Path) -> bool:
    try:
        return link.readlink() == path
    except FileNotFoundError:  # closed meanwhile
        return False


def test_stream_many_paused(noise: dict[str, Path]) -> None:
    with serving(noise["yuv444p"]) as server, ExitStack() as paused:
        url = f"/api/videos/{server.video('a.mkv')}/stream"
        for _ in range(MAX_OPEN_STREAMS + 1):
            response = paused.enter_context(server.client.stream("GET", url))
            next(response.iter_bytes())
        assert frames_of(server.client.get(url, params={"start_s": 15}))


def test_video_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", range(0, 400, 40))
    monkeypatch.setattr(container, "MAX_FILM_PIXELS", 64 * 48 - 1)
    with pytest.raises(DataError, match="64x48 pixels are too many"):
        open_cached(tmp_path / "a.mp4")


def test_reader_cached_until_file_changes(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", range(0, 4000, 40))
    first = open_cached(tmp_path / "a.mp4")
    assert open_cached(tmp_path / "a.mp4") is first
    write_video(tmp_path / "a.mp4", range(0, 2000, 40))
    assert open_cached(tmp_path / "a.mp4").duration_s == pytest.approx(2.0, abs=0.1)


def test_frame_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    folder.mkdir()
    for number in range(1, 13):
        Image.new("RGB", (60, 40), (number * 20,) * 3).save(folder / f"{number:05}.jpg")
    with serving(tmp_path) as server:
        (listed,) = server.get("/api/videos")["videos"]
        assert (listed["name"], listed["kind"], listed["size_bytes"]) == ("scene", "frames", None)
        video_json = server.get(f"/api/videos/{listed['id']}")
        assert (video_json["playback_mode"], video_json["duration_s"]) == (
            "transcode",
            FrameFolderReader(folder).duration_s,
        )
        frames = frames_of(server.client.get(f"/api/videos/{listed['id']}/stream?start_s=2"))
        assert brightness(frames[0][1]) == pytest.approx(7 * 20, abs=6)
        assert server.client.get(f"/api/videos/{listed['id']}/file").status_code == 404
