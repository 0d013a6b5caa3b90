"""Opening files: a name is never an address, a list of other files is not a video, pictures have bounds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from longvideoagent.errors import DataError
from longvideoagent.media.container import MAX_PICTURE_PIXELS, has_audio, open_container
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.readers.frame_folder import FrameFolderReader
from longvideoagent.media.timeline import find_silence
from tests.plugins.media import write_video
from tests.plugins.odd_videos import empty_png, fake_videos, write_png_film

NAMES = [
    "Talk: part one.mp4",
    "http:x.mp4",
    "concat:a|b.mp4",
    "data:x.mp4",
    "pipe:0",
    "subfile,,start,0,end,0,,:x.mp4",
    "-",
    "img%03d.mp4",
    "a b?c=d#e.mp4",
    "zwei\nZeilen.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_name_is_not_an_address(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "real.mp4", range(0, 400, 40))
    (tmp_path / "real.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        assert open_reader(path).duration_s == pytest.approx(0.4, abs=0.01)


class Listener:
    """A server that counts the connections to it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.num_connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.num_connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.m3u8", "a.ffconcat", "a.sdp", "a.mpd", "img%03d.jpg"])
def test_lists_and_images_are_refused_under_any_name(name: str, tmp_path: Path, listener: Listener) -> None:
    write_video(tmp_path / "real.mp4", range(0, 400, 40))
    Image.new("RGB", (64, 48)).save(tmp_path / "img001.jpg")
    for kind, content in fake_videos(listener.host).items():
        path = tmp_path / name
        path.write_bytes(content)
        for use in (open_reader, has_audio, find_silence):
            with pytest.raises(DataError) as caught:
                use(path)
            assert str(path) in str(caught.value), kind
            assert "\n" not in str(caught.value), kind
    assert listener.num_connections == 0


def test_damaged_files_raise_data_error_only(tmp_path: Path) -> None:
    write_video(tmp_path / "real.mp4", range(0, 2000, 40))
    data = (tmp_path / "real.mp4").read_bytes()
    path = tmp_path / "a.mp4"
    for step in range(40):
        damaged = bytearray(data)
        for offset in range(step, len(data), 211):
            damaged[offset] ^= 0x55
        path.write_bytes(damaged)
        with suppress(DataError):
            reader = open_reader(path)
            reader.frames([0.0, reader.duration_s])


def test_fifo_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="not a regular file"):
        open_container(tmp_path / "a.mp4")


def test_picture_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    side = int(MAX_PICTURE_PIXELS**0.5) + 10
    write_png_film(tmp_path / "a.mov", [empty_png(side, side)], (side, side))
    with pytest.raises(DataError, match=f"{side}x{side} pixels are too many"):
        open_reader(tmp_path / "a.mov")


@pytest.mark.parametrize("size", [(60_000, 16), (16, 60_000)])
def test_picture_with_a_long_side(size: tuple[int, int], tmp_path: Path) -> None:
    write_png_film(tmp_path / "a.mov", [empty_png(*size)] * 3, size)
    frame = open_reader(tmp_path / "a.mov").frames([1.0])[0]
    assert max(frame.rgb().shape) == 768
    assert min(frame.rgb().shape[:2]) == 2


PEAK = """
import sys
from pathlib import Path
from longvideoagent.media.readers.base import open_reader
reader = open_reader(Path(sys.argv[1]))
print([frame.rgb().shape for frame in reader.frames([index + 0.5 for index in range(int(reader.duration_s))])][-1])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("side", [3000, 8000])
def test_picture_bomb_within_film(side: int, tmp_path: Path) -> None:
    small, bomb = empty_png(64, 48), empty_png(side, side)
    write_png_film(tmp_path / "a.mov", [small, bomb, bomb, small])
    done = subprocess.run([sys.executable, "-c", PEAK, tmp_path / "a.mov"], capture_output=True, text=True, check=True)
    shape, peak_kb = done.stdout.splitlines()
    assert shape == "(48, 64, 3)"
    assert int(peak_kb) < 200_000


def test_stored_frame_bomb(tmp_path: Path) -> None:
    (tmp_path / "00001.jpg").write_bytes(empty_png(9000, 9000))
    with pytest.raises(DataError, match="9000x9000 pixels are too many"):
        FrameFolderReader(tmp_path, 1).frames([0.0])[0].rgb()


def test_stored_frame_is_not_run_as_postscript(tmp_path: Path) -> None:
    (tmp_path / "00001.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\nshowpage\n"
    )
    assert not FrameFolderReader(tmp_path, 1).frames([0.0])[0].is_readable()


def test_folder_numbered_for_years_is_refused(tmp_path: Path) -> None:
    for name in ("00001.jpg", "9999999.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    with pytest.raises(DataError, match="days"):
        open_reader(tmp_path)
