"""The library over HTTP: listed, contained, watched, brought."""

from __future__ import annotations

import gc
import os
import string
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from longvideoagent.errors import DataError, UsageError
from longvideoagent.media.readers.file import VideoFileReader
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.server import video_cache
from longvideoagent.server.playback import plan
from longvideoagent.server.playback.plan import check_safe_container, opened
from longvideoagent.server.playback.response import MOST_OPEN
from longvideoagent.server.uploads import plain_name
from tests.plugins.media import EVERY_40_MS, brightness, shade, write_video
from tests.plugins.web_server import AppState, serving

SRT = "1\n00:00:01,000 --> 00:00:03,000\nMira: The kettle is on the roof.\n\n"


def names(app_state: AppState) -> list[str]:
    return [each["name"] for each in app_state.get("/api/videos")["videos"]]


def test_only_what_lies_inside_is_listed_and_served(tmp_path: Path, short_video: Path) -> None:
    outside, library = tmp_path / "outside", tmp_path / "library"
    (library / "season 1").mkdir(parents=True)
    (library / ".hidden").mkdir()
    outside.mkdir()
    for path in (outside / "secret.mp4", library / "season 1" / "a.mp4", library / ".hidden" / "b.mp4"):
        path.write_bytes(short_video.read_bytes())
    (library / "link.mp4").symlink_to(outside / "secret.mp4")
    (library / "linked").symlink_to(outside)
    (library / "inner.mp4").symlink_to(library / "season 1" / "a.mp4")
    (library / "notes.txt").write_text("no video")
    (outside / "secret.srt").write_text(SRT)
    (library / "season 1" / "a.srt").symlink_to(outside / "secret.srt")
    with serving(library) as app_state:
        assert names(app_state) == ["inner.mp4", "season 1/a.mp4"]
        inside = app_state.video("season 1/a.mp4")
        told = app_state.client.get(f"/api/videos/{inside}/timeline")
        assert (told.status_code, "a.srt beside it leads out of the library" in told.text) == (422, True)
        for tried in ("../outside/secret.mp4", "..%2Foutside%2Fsecret.mp4", "/etc/passwd", "season 1/a.mp4", "0" * 16):
            for what in ("", "/file", "/timeline", "/frame?time_s=0", "/stream"):
                assert app_state.client.get(f"/api/videos/{tried}{what}").status_code == 404, (tried, what)
        (library / "season 1" / "a.mp4").unlink()
        (library / "season 1" / "a.mp4").symlink_to(outside / "secret.mp4")  # the id was good before
        assert app_state.client.get(f"/api/videos/{inside}/file").status_code == 404


def test_a_part_of_a_file_of_many_gigabytes_is_sent_alone(tmp_path: Path) -> None:
    path = tmp_path / "huge.mp4"
    with path.open("wb") as file:
        file.truncate(30_000_000_000)
        file.seek(20_000_000_000)
        file.write(b"in the middle")
    with serving(tmp_path) as app_state:
        url = f"/api/videos/{app_state.video('huge.mp4')}/file"
        told = app_state.client.get(url, headers={"Range": "bytes=20000000000-20000000012"})
        assert (told.status_code, told.content) == (206, b"in the middle")
        assert told.headers["content-range"] == "bytes 20000000000-20000000012/30000000000"
        beyond = app_state.client.get(url, headers={"Range": "bytes=30000000000-"})
        assert beyond.status_code == 416
        assert app_state.get("/api/videos")["videos"][0]["size_bytes"] == 30_000_000_000


def test_a_frame_is_that_of_its_second(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", EVERY_40_MS)
    with serving(tmp_path) as app_state:
        video = app_state.video("a.mp4")
        for time_s in (0.0, 3.0, 5.9, 99.0):
            told = app_state.client.get(f"/api/videos/{video}/frame", params={"time_s": time_s, "side_px": 32})
            with Image.open(BytesIO(told.content)) as picture:
                assert max(picture.size) == 32
                rgb = np.asarray(picture.convert("RGB"))
            index = min(int(time_s * 25 + 0.001), len(EVERY_40_MS) - 1)
            assert brightness(rgb) == pytest.approx(shade(index), abs=6)
        for bad in ("-1", "nan", "inf", "soon"):
            told = app_state.client.get(f"/api/videos/{video}/frame", params={"time_s": bad})
            assert told.status_code == 422
            assert told.json()["detail"].startswith("time_s: ")


KINDS = [
    ("a.mp4", "libx264", "direct"),
    ("a.webm", "libvpx", "direct"),
    ("a.mkv", "libx264", "remux"),
    ("a.avi", "mpeg4", "transcode"),
    ("a.mov", "libx264", "remux"),
]


@pytest.mark.parametrize(("name", "codec", "plays"), KINDS)
def test_every_format_is_told_how_it_plays_and_is_streamed_from_any_second(
    name: str, codec: str, plays: str, tmp_path: Path
) -> None:
    write_video(tmp_path / name, EVERY_40_MS, codec=codec, gop=25)
    with serving(tmp_path) as app_state:
        video = app_state.video(name)
        told = app_state.get(f"/api/videos/{video}")
        assert told["playback_mode"] == plays
        assert told["duration_s"] == pytest.approx(6.0, abs=0.1)
        assert (told["width_px"], told["height_px"]) == (64, 48)
        for wanted_s in (0.0, 3.5, 1000.0):
            start_s = app_state.get(f"/api/videos/{video}/stream/start", params={"time_s": wanted_s})["start_s"]
            assert start_s <= wanted_s
            assert min(wanted_s, 5.5) - start_s <= (0.5 if plays == "remux" else 0.0001)
            shown = frames_of(app_state.client.get(f"/api/videos/{video}/stream", params={"start_s": start_s}))
            assert shown[-1][0] == pytest.approx(6.0 - start_s, abs=0.15)
            for time_s, rgb in shown[:: max(1, len(shown) // 4)]:
                near = [shade(int((start_s + time_s) * 25) + more) for more in (-1, 0, 1)]
                assert min(abs(brightness(rgb) - each) for each in near) < 12


def frames_of(told: httpx.Response) -> list[tuple[float, Any]]:
    """Times and pixels of what a stream shows."""
    assert (told.status_code, told.headers["content-type"]) == (200, "video/mp4")
    with av.open(BytesIO(told.content), "r") as container:
        return [(float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_a_video_that_lies_on_its_side_is_streamed_upright(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", EVERY_40_MS, rotation=90)
    write_video(tmp_path / "b.mp4", EVERY_40_MS, rotation=90)
    with serving(tmp_path) as app_state:
        video = app_state.video("b.mp4")
        told = app_state.get(f"/api/videos/{video}")
        assert (told["width_px"], told["height_px"]) == (48, 64)
        first = frames_of(app_state.client.get(f"/api/videos/{video}/stream"))[0][1]
        assert first.shape[:2] == (64, 48)
        to_rgb = VideoFileReader(tmp_path / "b.mp4").frames([0.0])[0].rgb()
        assert np.abs(first.astype(int) - to_rgb).mean() < 25


SOUNDS = [
    ("a.mkv", "libx264", "libopus", "mono", 48_000),
    ("a.mkv", "libx264", "aac", "stereo", 44_100),
    ("a.mkv", "libx264", "ac3", "5.1", 48_000),
    ("a.mkv", "libx264", "pcm_s16le", "stereo", 192_000),
    ("a.ts", "libx264", "aac", "mono", 48_000),
    ("a.avi", "mpeg4", "mp3", "stereo", 44_100),
    ("a.mkv", "libvpx", "libopus", "stereo", 48_000),
]


@pytest.mark.parametrize(("name", "pictures", "sound", "layout", "hz"), SOUNDS)
def test_sound_is_streamed_beside_the_pictures(
    name: str, pictures: str, sound: str, layout: str, hz: int, tmp_path: Path
) -> None:
    write_video_with_sound(tmp_path / name, pictures, sound, layout, hz)
    with serving(tmp_path) as app_state:
        video = app_state.video(name)
        duration_s = app_state.get(f"/api/videos/{video}")["duration_s"]
        assert duration_s == pytest.approx(4.0, abs=0.1)
        for wanted_s in (0.0, 2.3):
            start_s = app_state.get(f"/api/videos/{video}/stream/start", params={"time_s": wanted_s})["start_s"]
            told = app_state.client.get(f"/api/videos/{video}/stream", params={"start_s": start_s})
            for kind in ("video", "audio"):
                with av.open(BytesIO(told.content), "r") as container:
                    frames: Any = container.decode(**{kind: 0})
                    shown_s = [float(frame.time or 0) for frame in frames]
                assert shown_s[0] == pytest.approx(0.0, abs=0.15), kind
                assert shown_s[-1] == pytest.approx(duration_s - start_s, abs=0.25), kind


def write_video_with_sound(path: Path, codec: str, sound_codec: str, layout: str, hz: int) -> None:
    """Four seconds with a tone."""
    with av.open(str(path), "w") as made:
        pictures, sound = made.add_stream(codec, rate=25), made.add_stream(sound_codec, rate=hz)
        assert isinstance(pictures, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound.layout = layout
        fitting = av.AudioResampler(format=sound.format, layout=layout, rate=hz)
        for index in range(100):
            grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade(index), np.uint8), "rgb24")
            grey.pts, grey.time_base = index, Fraction(1, 25)
            made.mux(pictures.encode(grey))
            tone = np.sin(np.arange(index * hz // 25, (index + 1) * hz // 25) / 20).astype(np.float32)[None] * 0.3
            heard = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16), format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = hz, index * hz // 25, Fraction(1, hz)
            for part in fitting.resample(heard):
                made.mux(sound.encode(part))
        made.mux(pictures.encode())
        made.mux(sound.encode())


LATE = [("libx264", "aac"), ("libvpx", "aac"), ("libx264", "libopus")]


@pytest.mark.parametrize(("codec", "sound"), LATE)
@pytest.mark.parametrize(("pictures_s", "sound_s"), [(0.0, 2.0), (2.0, 0.0)])
def test_what_begins_late_in_the_video_begins_late_in_the_stream(
    codec: str, sound: str, pictures_s: float, sound_s: float, tmp_path: Path
) -> None:
    write_video_with_late_tracks(tmp_path / "a.mkv", (codec, pictures_s), (sound, sound_s))
    with serving(tmp_path) as app_state:
        for wanted_s in (0.0, 1.0):
            start_s, told = streamed(app_state, "a.mkv", wanted_s)
            for kind, begins_s in (("video", pictures_s), ("audio", sound_s)):
                times_s = times_of(told, kind)
                assert times_s[0] == pytest.approx(max(0.0, begins_s - start_s), abs=0.1), kind
                assert times_s[-1] == pytest.approx(6.0 - start_s, abs=0.2), kind


def streamed(app_state: AppState, name: str, wanted_s: float) -> tuple[float, httpx.Response]:
    """Where the stream that shows a second begins, and the stream."""
    video = app_state.video(name)
    start_s = app_state.get(f"/api/videos/{video}/stream/start", params={"time_s": wanted_s})["start_s"]
    assert start_s <= wanted_s
    return start_s, app_state.client.get(f"/api/videos/{video}/stream", params={"start_s": start_s})


def times_of(told: httpx.Response, kind: str) -> list[float]:
    with av.open(BytesIO(told.content), "r") as container:
        frames: Any = container.decode(**{kind: 0})
        return [float(frame.time or 0) for frame in frames]


def write_video_with_late_tracks(path: Path, pictures: tuple[str, float], sound: tuple[str, float]) -> None:
    """Six seconds with a tone; each track is a codec, and the second it begins at."""
    with av.open(str(path), "w") as made:
        shown, heard = made.add_stream(pictures[0], rate=25), made.add_stream(sound[0], rate=48_000)
        assert isinstance(shown, av.VideoStream)
        assert isinstance(heard, av.AudioStream)
        shown.width, shown.height, shown.pix_fmt = 64, 48, "yuv420p"
        shown.gop_size, heard.layout = 25, "mono"
        fitting = av.AudioResampler(format=heard.format, layout="mono", rate=48_000)
        for index in range(150):
            if index / 25 >= pictures[1]:
                grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade(index), np.uint8), "rgb24")
                grey.pts, grey.time_base = index, Fraction(1, 25)
                made.mux(shown.encode(grey))
            if index / 25 >= sound[1]:
                tone = (np.sin(np.arange(index * 1920, (index + 1) * 1920) / 20) * 9000).astype(np.int16)[None]
                part = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
                part.sample_rate, part.pts, part.time_base = 48_000, index * 1920, Fraction(1, 48_000)
                for each in fitting.resample(part):
                    made.mux(heard.encode(each))
        made.mux(shown.encode())
        made.mux(heard.encode())


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_a_picture_that_stays_long_is_shown_wherever_a_stream_begins(codec: str, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [0, 1000, 2000, 20_000, 21_000], codec=codec, gop=1)
    with serving(tmp_path) as app_state:
        for wanted_s in (2.0, 3.0, 19.0, 20.5):
            start_s, told = streamed(app_state, "a.mkv", wanted_s)
            shown = frames_of(told)
            frame = next(rgb for time_s, rgb in reversed(shown) if start_s + time_s <= wanted_s + 0.01)
            assert brightness(frame) == pytest.approx(shade(2 if wanted_s < 20 else 3), abs=8)
            if wanted_s < 20:
                assert min(abs(start_s + time_s - 20) for time_s, _ in shown) < 0.05


def test_pictures_between_which_others_are_shown_first_keep_their_times(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", EVERY_40_MS, gop=25, options={"bf": "2"})
    with serving(tmp_path) as app_state:
        for wanted_s in (0.0, 3.2):
            _, told = streamed(app_state, "a.mkv", wanted_s)
            times_s = times_of(told, "video")
            assert times_s[0] == pytest.approx(0.0, abs=0.01)
            assert times_s == sorted(times_s)


def test_frames_that_come_faster_than_screens_show_are_left_out(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [round(index * 1000 / 120) for index in range(240)], codec="libvpx", gop=60)
    with serving(tmp_path) as app_state:
        _, told = streamed(app_state, "a.mkv", 0.0)
        assert 110 <= len(times_of(told, "video")) <= 125


@pytest.mark.parametrize(("codec", "sound"), [("libx264", "aac"), ("libx264", "libopus"), ("libvpx", "libopus")])
def test_damage_in_the_middle_does_not_end_a_stream(codec: str, sound: str, tmp_path: Path) -> None:
    write_video_with_late_tracks(tmp_path / "a.mkv", (codec, 0.0), (sound, 0.0))
    whole = bytearray((tmp_path / "a.mkv").read_bytes())
    for place in range(len(whole) // 3, len(whole) // 2, 61):
        whole[place] ^= 0xFF
    (tmp_path / "a.mkv").write_bytes(whole)
    with serving(tmp_path) as app_state:
        _, told = streamed(app_state, "a.mkv", 0.0)
        with av.open(BytesIO(told.content), "r") as container:  # what is copied stays damaged
            sent = [packet for packet in container.demux(video=0) if packet.pts is not None]
            assert float((sent[-1].pts or 0) * (sent[-1].time_base or 0)) > 5.0


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_a_time_that_is_weeks_away_is_left_out(codec: str, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [*range(0, 2000, 40), 4_244_686_216], codec=codec)
    with serving(tmp_path) as app_state:
        _, told = streamed(app_state, "a.mkv", 0.0)
        assert times_of(told, "video")[-1] == pytest.approx(2.0, abs=0.1)


PIXELS = [("yuv420p", "remux"), ("yuv444p", "transcode")]


def write_noise(path: Path, pixels: str) -> None:
    """Sixteen seconds whose stream is larger than what waits between a server and a client that does not read."""
    some_noise = np.random.default_rng(7).integers(0, 255, (10, 240, 320, 3), np.uint8)
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, pixels, 25
        for index in range(400):
            frame = av.VideoFrame.from_ndarray(some_noise[index * 7 % 10], "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files, which Linux tells of")
@pytest.mark.parametrize(("pixels", "plays"), PIXELS)
def test_who_leaves_leaves_nothing_open(pixels: str, plays: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_noise(path, pixels)

    def still_open() -> list[Path]:
        return [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink() and leads_to(each, path)]

    with serving(tmp_path) as app_state:
        video = app_state.video("a.mkv")
        assert app_state.get(f"/api/videos/{video}")["playback_mode"] == plays
        gc.disable()  # it would hide what is only closed by chance
        try:
            for _ in range(3):
                with app_state.client.stream("GET", f"/api/videos/{video}/stream") as told:
                    next(told.iter_bytes())
                    assert app_state.until(still_open, bool)
            app_state.until(still_open, lambda left: not left)
        finally:
            gc.enable()


def leads_to(link: Path, path: Path) -> bool:
    try:
        return link.readlink() == path
    except FileNotFoundError:  # closed since
        return False


def test_many_who_only_pause_keep_nobody_from_watching(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.mkv", "yuv444p")
    with serving(tmp_path) as app_state, ExitStack() as paused:
        url = f"/api/videos/{app_state.video('a.mkv')}/stream"
        for _ in range(MOST_OPEN + 1):
            told = paused.enter_context(app_state.client.stream("GET", url))
            next(told.iter_bytes())
        assert frames_of(app_state.client.get(url, params={"start_s": 15}))


def not_videos() -> dict[str, bytes]:
    """Files that FFmpeg reads and that are no videos."""
    found = {}
    for kind, size in (("PNG", (14_000, 14_000)), ("GIF", (64, 48)), ("JPEG", (64, 48))):
        picture = BytesIO()
        Image.new("L", size).save(picture, kind)
        found[f"{kind}.mp4"] = picture.getvalue()
    found["list.mp4"] = b"ffconcat version 1.0\nfile 'link.mp4'\n"
    found["lines.mp4"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nlink.mp4\n#EXT-X-ENDLIST\n"
    found["session.mp4"] = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n"
    return found


def test_a_picture_or_a_list_of_other_files_is_no_video(tmp_path: Path, short_video: Path) -> None:
    library, outside = tmp_path / "library", tmp_path / "outside.mp4"
    library.mkdir()
    outside.write_bytes(short_video.read_bytes())
    (library / "link.mp4").symlink_to(outside)
    for name, content in not_videos().items():
        (library / name).write_bytes(content)
    with serving(library) as app_state:
        for name, content in not_videos().items():
            for what in ("", "/frame?time_s=1", "/stream", "/stream/start?time_s=1"):
                told = app_state.client.get(f"/api/videos/{app_state.video(name)}{what}")
                assert told.status_code == 422, (name, what)
                assert "video" in told.json()["detail"]
            told = app_state.client.post("/api/videos", params={"name": name}, content=content)
            assert told.status_code == 422, name
            assert str(tmp_path) not in told.json()["detail"]


def test_pictures_too_large_to_decode_are_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", range(0, 400, 40))
    monkeypatch.setattr(plan, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(DataError, match="64x48 pixels are too many"):
        check_safe_container(tmp_path / "a.mp4")


def test_a_video_is_read_once_for_all_who_ask_and_anew_when_it_changes(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", range(0, 4000, 40))
    first = opened(tmp_path / "a.mp4")
    assert opened(tmp_path / "a.mp4") is first
    write_video(tmp_path / "a.mp4", range(0, 2000, 40))
    assert opened(tmp_path / "a.mp4").duration_s == pytest.approx(2.0, abs=0.1)


def test_a_folder_of_frames_is_a_video_too(tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    folder.mkdir()
    for number in range(1, 13):
        Image.new("RGB", (60, 40), (number * 20,) * 3).save(folder / f"{number:05}.jpg")
    with serving(tmp_path) as app_state:
        (told,) = app_state.get("/api/videos")["videos"]
        assert (told["name"], told["kind"], told["size_bytes"]) == ("scene", "frames", None)
        whole = app_state.get(f"/api/videos/{told['id']}")
        assert (whole["playback_mode"], whole["duration_s"]) == ("transcode", FrameFolderReader(folder).duration_s)
        shown = frames_of(app_state.client.get(f"/api/videos/{told['id']}/stream?start_s=2"))
        assert brightness(shown[0][1]) == pytest.approx(7 * 20, abs=6)
        assert app_state.client.get(f"/api/videos/{told['id']}/file").status_code == 404


def test_an_upload_is_listed_plays_and_survives_a_restart(tmp_path: Path, short_video: Path) -> None:
    whole = short_video.read_bytes()
    for _ in range(2):
        with serving(tmp_path) as app_state:
            if not names(app_state):
                told = app_state.client.post("/api/videos", params={"name": "C:\\films\\../a b.mp4"}, content=whole)
                assert told.status_code == 201
                assert (told.json()["name"], told.json()["is_upload"]) == ("a b.mp4", True)
            (video,) = app_state.get("/api/videos")["videos"]
            assert app_state.client.get(f"/api/videos/{video['id']}/file").content == whole


@pytest.mark.parametrize(
    ("name", "content", "status", "told"),
    [
        ("a.mp4", b"no video at all", 422, "not a readable video"),
        ("a.mp4", b"", 422, "empty"),
        ("a.exe", b"MZ", 422, "its name is not that of a video"),
        ("..", b"x", 422, "no usable file name"),
        ("a.mp4", b"x" * 2_000_001, 413, "larger than"),
    ],
)
def test_what_is_no_video_or_too_large_leaves_nothing(
    name: str, content: bytes, status: int, told: str, tmp_path: Path
) -> None:
    with serving(tmp_path, max_upload_bytes=2_000_000) as app_state:
        answer = app_state.client.post("/api/videos", params={"name": name}, content=content)
        assert answer.status_code == status
        assert told in answer.json()["detail"]
        assert str(tmp_path) not in answer.json()["detail"]
        assert names(app_state) == []
    assert not list((tmp_path / ".longvideoagent" / "uploads").rglob("*"))


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, short_video: Path) -> None:
    uploads = tmp_path / ".longvideoagent" / "uploads"

    def halves() -> Any:
        yield short_video.read_bytes()[:1000]
        raise ConnectionError("the cable was pulled")

    with serving(tmp_path) as app_state:
        with pytest.raises(ConnectionError):
            app_state.client.post("/api/videos", params={"name": "a.mp4"}, content=halves())
        app_state.until(lambda: list(uploads.iterdir()), lambda left: not left)


def test_subtitles_that_are_brought_are_used(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    with serving(tmp_path) as app_state:
        video = app_state.video("a.mp4")
        assert app_state.timeline(video)["subtitles"] == []
        for name, text in (
            ("mine.srt", SRT),
            ("later.vtt", "WEBVTT\n\n" + SRT.replace(",", ".").replace("roof", "moon")),
        ):
            told = app_state.client.post(f"/api/videos/{video}/subtitles", params={"name": name}, content=text.encode())
            assert told.json()["has_uploaded_subtitles"] is True
            (line,) = app_state.timeline(video)["subtitles"]
            assert line["start_s"] == 1.0
            assert line["text"] in text
        assert "moon" in app_state.client.get(f"/api/videos/{video}/subtitles.vtt").text
        for name, content in (("a.srt", b"\x00\x01\x02" * 99), ("a.srt", b"nothing"), ("a.exe", SRT.encode())):
            told = app_state.client.post(f"/api/videos/{video}/subtitles", params={"name": name}, content=content)
            assert told.status_code == 422, content
        assert "moon" in app_state.timeline(video)["subtitles"][0]["text"]


def test_a_timeline_tells_clips_lines_and_questions_to_begin_with(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    (tmp_path / "a.srt").write_text(SRT + SRT.replace("1\n", "2\n", 1).replace(":01,", ":05,").replace(":03,", ":07,"))
    with serving(tmp_path) as app_state:
        told = app_state.timeline(app_state.video("a.mp4"))
        assert told["text_source"] == "a.srt"
        assert [set(clip) for clip in told["clips"]] == [{"label", "start_s", "end_s", "density"}] * len(told["clips"])
        assert told["clips"][-1]["end_s"] == told["duration_s"] == pytest.approx(10.0, abs=0.1)
        assert all(0 <= clip["density"] <= 1 for clip in told["clips"])
        assert all(each["question"] and isinstance(each["options"], list) for each in told["suggestions"])


def test_a_broken_file_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with serving(tmp_path) as app_state:
        video = app_state.video("a.mp4")
        for what in ("", "/timeline", "/frame?time_s=1", "/stream"):
            told = app_state.client.get(f"/api/videos/{video}{what}")
            assert told.status_code == 422, what
            assert "not a readable video" in told.json()["detail"]


@given(st.text(max_size=300))
def test_a_name_is_never_a_path(name: str) -> None:
    try:
        plain = plain_name(name)
    except UsageError:
        return
    assert plain == Path(plain).name
    assert plain not in (".", "..")
    assert not set(plain) & set('/\\:\x00\n"<>|')
    assert len(plain.encode()) <= 200
    assert plain[0] not in " ."


@given(st.text(string.ascii_letters + string.digits + " -_", min_size=1, max_size=80).map(str.strip).filter(bool))
def test_a_plain_name_stays_as_it_is(stem: str) -> None:
    assert plain_name(f"{stem}.mp4") == f"{stem}.mp4"


def test_odd_names_and_links_hide_no_other_video(tmp_path: Path, short_video: Path) -> None:
    good = short_video.read_bytes()
    (tmp_path / "good.mp4").write_bytes(good)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.mp4")).write_bytes(good)
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "self.mp4").symlink_to(tmp_path / "self.mp4")
    (tmp_path / "pipe.mp4").mkdir()
    with serving(tmp_path) as app_state:
        assert names(app_state) == ["b\N{REPLACEMENT CHARACTER}.mp4", "good.mp4"]
        for name in names(app_state):
            assert app_state.client.get(f"/api/videos/{app_state.video(name)}/file").content == good
            assert app_state.ended(app_state.ask(app_state.video(name), "What?"))["video_name"] == name
    with serving(tmp_path) as app_state:
        assert len(app_state.get("/api/jobs")["jobs"]) == 2


def test_a_folder_whose_frames_lie_elsewhere_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "library" / "scene").mkdir(parents=True)
    Image.new("RGB", (60, 40)).save(tmp_path / "secret.jpg")
    Image.new("RGB", (60, 40)).save(tmp_path / "library" / "scene" / "00001.jpg")
    (tmp_path / "library" / "scene" / "00002.jpg").symlink_to(tmp_path / "secret.jpg")
    with serving(tmp_path / "library") as app_state:
        told = app_state.client.get(f"/api/videos/{app_state.video('scene')}/frame?time_s=0.4")
        assert (told.status_code, "lie outside" in told.text) == (404, True)


@pytest.mark.parametrize("name", ["my.partial.mp4", "\N{CJK UNIFIED IDEOGRAPH-7530}" * 115 + ".mp4", "a\u202egpm.mp4"])
def test_names_that_mean_something_to_the_disk_are_taken(name: str, tmp_path: Path, short_video: Path) -> None:
    with serving(tmp_path) as app_state:
        told = app_state.client.post("/api/videos", params={"name": name}, content=short_video.read_bytes())
        assert told.status_code == 201, told.text
        assert names(app_state) == [told.json()["name"]]
        assert "\u202e" not in told.json()["name"]


def test_of_subtitles_that_come_at_once_those_stay_that_were_taken(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    with serving(tmp_path) as app_state, ThreadPoolExecutor(4) as crowd:
        path = f"/api/videos/{app_state.video('a.mp4')}/subtitles"
        texts = [SRT.replace("roof", f"roof {number}") for number in range(4)]
        told = list(crowd.map(lambda text: app_state.client.post(path, params={"name": "a.srt"}, content=text), texts))
        assert [each.status_code for each in told] == [200] * 4
        assert app_state.timeline(app_state.video("a.mp4"))["text_source"] == "a.srt"


def test_a_video_that_nobody_waits_for_is_not_made_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_cache, "PATIENCE_S", 0.3)
    for number in range(3):
        write_video(tmp_path / f"{number}.mp4", range(0, 60_000, 200), size=(320, 240))
    with serving(tmp_path) as app_state:
        for name in names(app_state):
            app_state.client.get(f"/api/videos/{app_state.video(name)}/timeline")
        time.sleep(1.5)
        told = app_state.client.get(f"/api/videos/{app_state.video('2.mp4')}/timeline")
        assert told.status_code in (200, 202)  # asked for again, it is begun again
        assert app_state.timeline(app_state.video("2.mp4"))["clips"]


def test_messages_do_not_tell_where_the_library_lies(tmp_path: Path, short_video: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(short_video.read_bytes())
    (tmp_path / "a.srt").write_bytes(b"\x00\x01\x02" * 99)
    with serving(tmp_path) as app_state:
        (warning,) = [each for each in app_state.timeline(app_state.video("a.mp4"))["warnings"] if "a.srt" in each]
        assert str(tmp_path) not in warning
