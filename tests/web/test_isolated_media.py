"""The page, with media files read in child processes as ``lva serve`` does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import av
import httpx
import pytest
from PIL import Image

from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import VisionResult
from longvideoagent.media import isolation
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress
from longvideoagent.server.video_cache import LoadAbandonedError, VideoLoad
from tests.fakes.media_functions import identify, sleep
from tests.plugins.cli import LVA
from tests.plugins.media import EVERY_40_MS, write_video
from tests.plugins.odd_videos import empty_png, write_film, write_png_film
from tests.plugins.web_jobs import ANSWER, LOOK, scripted_team
from tests.plugins.web_server import serving


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library that is served in isolation; subtitles next to each video make them cheap to open."""
    monkeypatch.setenv(isolation.SWITCH, "1")
    for name, codec in (("a.mkv", "libx264"), ("b.avi", "mpeg4"), ("c.mp4", "libx264")):
        write_video(tmp_path / name, EVERY_40_MS, codec=codec, gop=25)
        (tmp_path / name).with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    yield tmp_path
    isolation.close()


def test_play_upload_and_open(library: Path) -> None:
    with serving(library) as server:
        for name, mode in (("a.mkv", "remux"), ("b.avi", "transcode"), ("c.mp4", "direct")):
            video = server.video(name)
            fields = server.get(f"/api/videos/{video}")
            assert (fields["playback_mode"], fields["width_px"]) == (mode, 64)
            assert fields["duration_s"] == pytest.approx(6.0, abs=0.1)
            response = server.client.get(f"/api/videos/{video}/frame", params={"time_s": 3.0, "side_px": 64})
            with Image.open(BytesIO(response.content)) as image:
                assert image.size == (64, 48)
            response = server.client.get(f"/api/videos/{video}/stream", params={"start_s": 2.0})
            with av.open(BytesIO(response.content), "r") as container:
                times_s = [float(frame.time or 0) for frame in container.decode(video=0)]
            assert times_s[-1] == pytest.approx(4.0, abs=0.15)
            assert [cue["text"] for cue in server.timeline(video)["subtitles"]] == ["Hello"]
        content = (library / "c.mp4").read_bytes()
        response = server.client.post("/api/videos", params={"name": "new.mp4"}, content=content)
        assert response.status_code == 201
        response = server.client.post("/api/videos", params={"name": "text.mp4"}, content=b"no film")
        assert (response.status_code, response.json()["detail"].partition(":")[0]) == (422, "text.mp4")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a child")
def test_killed_child_is_replaced(library: Path) -> None:
    with serving(library) as server:
        video = server.video("c.mp4")
        url = f"/api/videos/{video}/frame"
        assert server.client.get(url, params={"time_s": 1.0}).status_code == 200
        children = media_children(os.getpid())
        assert children
        for child in children:
            os.kill(child, signal.SIGKILL)
        responses = [server.client.get(url, params={"time_s": time_s}) for time_s in (2.0, 3.0)]
        assert responses[-1].status_code == 200
        for response in responses:
            assert response.status_code == 200 or response.json()["detail"].startswith("c.mp4: ")


class SleepingVision:
    """Looks at a video for minutes in a child process."""

    def __init__(self) -> None:
        self.child = 0

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        self.child = await asyncio.to_thread(isolation.READING.run, identify, video.path)
        await asyncio.to_thread(isolation.READING.run, sleep, video.path)
        raise AssertionError(request)


@pytest.mark.skipif(os.name != "posix", reason="looks for a process by its number")
def test_stopped_job_ends_its_child(library: Path, tmp_path: Path) -> None:
    vision = SleepingVision()
    team = replace(scripted_team(tmp_path, LOOK, ANSWER), vision=vision)
    with serving(library, {"scripted": team}) as server:
        job_id = server.ask(server.video("c.mp4"), "Where is the kettle?", options=["a roof", "a moon"])
        server.until(lambda: vision.child, bool)
        server.client.post(f"/api/jobs/{job_id}/stop")
        assert server.ended(job_id)["state"] == "stopped"
        server.until(lambda: is_running(vision.child), lambda running: not running)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_load_that_only_a_stopped_job_waits_for() -> None:
    async def leave_after_polls(*waiters: str) -> None:
        reports: list[Progress] = []

        def start(progress: Progress) -> asyncio.Future[Video]:
            reports.append(progress)
            return asyncio.get_running_loop().create_future()

        load = VideoLoad(start)
        for waiter in waiters:
            await load.is_done_within(0.0, waiter)
        load.leave("job")
        reports[0]("reading", 0.5)

    with pytest.raises(LoadAbandonedError):
        asyncio.run(leave_after_polls("job"))
    asyncio.run(leave_after_polls("job", ""))  # the page waits for the timeline
    asyncio.run(leave_after_polls("job", "another job"))


def media_children(parent: int) -> list[int]:
    """The child processes of a process that read media files."""
    children = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            is_child = (folder / "stat").read_text().rpartition(")")[2].split()[1] == str(parent)
        except OSError:  # it has ended
            continue
        if is_child and b"isolation_worker" in command:
            children.append(int(folder.name))
    return children


def test_picture_bomb_in_library(library: Path) -> None:
    bomb = empty_png(4000, 4000)
    write_png_film(library / "bomb.mov", [bomb, bomb], (4000, 4000))
    with serving(library) as server:
        video = server.video("bomb.mov")
        for suffix in ("", "/frame?time_s=1", "/stream", "/timeline"):
            request = partial(server.client.get, f"/api/videos/{video}{suffix}")
            response = server.until(request, lambda response: response.status_code != 202)
            assert response.status_code == 422, suffix
            assert "4000x4000 pixels are too many" in response.json()["detail"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for child processes in /proc")
@pytest.mark.parametrize(("options", "is_isolated"), [([], True), (["--no-isolate"], False)])
def test_serve_isolates_by_default(options: list[str], is_isolated: bool, tmp_path: Path) -> None:
    write_film(tmp_path / "a.avi")
    command = [str(LVA), "serve", "--library", str(tmp_path), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(word for line in process.stderr for word in line.split() if word.startswith("http"))
        with httpx.Client(base_url="http://" + urlsplit(address).netloc, timeout=300) as client:
            (video,) = client.get("/api/videos").json()["videos"]
            response = client.get(f"/api/videos/{video['id']}/frame", params={"time_s": 2.0, "side_px": 64})
        with Image.open(BytesIO(response.content)) as image:
            pixels = image.convert("RGB").resize((64, 48)).tobytes()
        assert len(pixels) == 64 * 48 * 3
        assert bool(media_children(process.pid)) == is_isolated
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert not media_children(process.pid)
