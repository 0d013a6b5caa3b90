"""What tests share: no network, and real files made on the spot."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import hypothesis
import numpy as np
import pytest

from longvideoagent.core.types import Clip, Subtitle, Timeline
from longvideoagent.media.frames import Pixels
from tests.fakes.release import some, write_release

needs_torch = [
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch: make test-all installs it"),
]
SHARED = Path(__file__).resolve().parents[2] / "shared"


# The same examples every time in CI, others on each run elsewhere; no time limit for one example, since
# machines are shared.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that was remembered before a test run decides it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "unix"
        assert host in ("127.0.0.1", "::1", "localhost", "unix"), f"a test tried to reach {host}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", local_only)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason="needs the shared footage beside the checkout"))


def write_video(  # noqa: PLR0913
    path: Path,
    times_ms: Sequence[int],
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    gop: int = 12,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> list[float]:
    """A video whose frame i has brightness ``shade(i)`` and is shown from ``times_ms[i]`` on. Returns
    the times in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.gop_size = gop
        if codec != "mpeg4":  # avi counts frames, not milliseconds
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for index, time_ms in enumerate(times_ms):
            picture = np.full((size[1], size[0], 3), shade(index), np.uint8)
            picture[: size[1] // 4, : size[0] // 4] = 255  # a mark in the top left corner
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (index, Fraction(1, 25)) if codec == "mpeg4" else (time_ms, Fraction(1, 1000))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [time_ms / 1000 for time_ms in times_ms]


def shade(index: int) -> int:
    """Brightness of frame ``index``; neighbours differ by far more than coding noise."""
    return (index * 37) % 200 + 10


def brightness(rgb: Pixels) -> float:
    """Brightness of the middle of a frame, away from the mark."""
    height, width = rgb.shape[:2]
    return float(rgb[height // 2 :, width // 2 :].mean())


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of grey at 25 frames a second."""
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    write_video(path, range(0, 10_000, 40), gop=50)
    return path


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A LongTVQA+ folder with a dozen questions over two episodes."""
    return write_release(tmp_path / "data", some(12))


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny language model of random weights. Needs PyTorch."""
    return _tiny_model(tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="session")
def taught_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny language model that looks first, and answers after an observation in the
    continuation style. Needs PyTorch."""
    looks = ("<|im_start|>assistant\n", "<think>hm</think><search>the wall</search>")
    answers = ("</information>\n\n", "so <answer>a1</answer> and more")
    return _tiny_model(tmp_path_factory.mktemp("taught"), *looks, *answers)


def _tiny_model(folder: Path, *lessons: str) -> Path:
    script = Path(__file__).parent / "fakes" / "tiny_model.py"
    subprocess.run([sys.executable, script, folder / "model", *lessons], check=True)
    return folder / "model"


@pytest.fixture
def fake_vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module that stands in for vLLM, which needs a GPU."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "fakes"))
    yield importlib.import_module("vllm")
    for name in [name for name in sys.modules if name.split(".")[0] == "vllm"]:
        del sys.modules[name]


def make_timeline(*texts: Sequence[str], clip_s: float = 60.0) -> Timeline:
    """One clip of a minute for each group of lines, the lines spread over it."""
    clips = []
    for number, lines in enumerate(texts):
        start_s = number * clip_s
        step_s = clip_s / (len(lines) + 1)
        subtitles = tuple(
            Subtitle(start_s + (i + 0.5) * step_s, start_s + (i + 0.5) * step_s + 2.0, text)
            for i, text in enumerate(lines)
        )
        clips.append(Clip(f"c{number + 1:02}", start_s, start_s + clip_s, subtitles))
    return Timeline(tuple(clips))
