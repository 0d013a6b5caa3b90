"""Media files read in a child process: the same results, limits, and one line if the child does not survive."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from longvideoagent import open_video
from longvideoagent.errors import DataError, LongVideoAgentError, UsageError
from longvideoagent.media import isolation
from longvideoagent.media.container import has_audio
from longvideoagent.media.isolation import WorkerPool
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.timeline import find_silence
from tests.fakes.media_functions import (
    Forbidden,
    allocate,
    burn,
    count,
    crash,
    end,
    environment,
    identify,
    peak_memory_kb,
    raise_unexpected,
    send_object,
    sleep,
    work,
)
from tests.fakes.subtitle_streams import TextStream, mux
from tests.plugins.media import EVERY_40_MS, write_video
from tests.plugins.odd_videos import empty_png, write_film, write_png_film, write_with_sound

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
FILE = Path("some") / "film.mp4"


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isolation.SWITCH, "1")


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    """Children of one test, under its limits."""
    pool = WorkerPool(1)
    yield pool
    pool.close()


def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for switch in ("0", "1"):
        monkeypatch.setenv(isolation.SWITCH, switch)
        yield switch


def test_results_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_film(tmp_path / "a.avi", bf="2")
    write_with_sound(tmp_path / "b.mp4", [0.0, 1.0], 5.0)
    results = []
    for _ in both(monkeypatch):
        readers = [open_reader(tmp_path / name) for name in ("a.avi", "b.mp4")]
        results.append(
            [
                [reader.duration_s, tuple(reader.keyframes_s), tuple(reader.warnings)]
                + [(frame.time_s, frame.rgb().tolist()) for frame in reader.frames([3.0, 0.0, 1.0, 3.0], 32)]
                for reader in readers
            ]
            + [[has_audio(tmp_path / name), find_silence(tmp_path / name)] for name in ("a.avi", "b.mp4")]
        )
    assert results[0] == results[1]


def test_opened_video_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "s.mp4", EVERY_40_MS)
    mux(tmp_path / "s.mp4", [TextStream([(1000, 2000, "Hello")], language="eng")], tmp_path / "a.mkv")
    videos = [open_video(tmp_path / "a.mkv") for _ in both(monkeypatch)]
    assert videos[0].timeline == videos[1].timeline
    assert [cue.text for cue in videos[1].timeline.subtitles] == ["Hello"]
    assert videos[0].text_source == videos[1].text_source


def test_errors_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    write_video(tmp_path / "a.mp4", EVERY_40_MS)
    for path, wanted, error in ((tmp_path / "text.mp4", None, DataError), (tmp_path / "a.mp4", "#7", UsageError)):
        messages = []
        for _ in both(monkeypatch):
            with pytest.raises(error) as caught:
                open_video(path, wanted)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


# --- children that do not survive --------------------------------------------------------------------


@pytest.mark.parametrize("function", [crash, end, raise_unexpected, send_object], ids=lambda each: each.__name__)
def test_dead_child_is_one_line(function: object, pool: WorkerPool) -> None:
    assert callable(function)
    with pytest.raises(DataError) as caught:
        pool.run(function, FILE)
    assert str(FILE) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert pool.run(identify, FILE) != os.getpid()


@pytest.mark.parametrize("function", [burn, sleep], ids=lambda each: each.__name__)
def test_child_takes_too_long(function: object, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(function)
    pool.run(identify, FILE)
    monkeypatch.setenv(isolation.STEP_S, "1.5")
    with pytest.raises(DataError, match=r"film\.mp4: reading it took (longer|more) than 1\.5 s"):
        pool.run(function, FILE)


@LINUX
def test_child_allocates_too_much(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pool.run(allocate, FILE) == 1
    pool.close()
    monkeypatch.setenv(isolation.MEMORY_MB, "300")
    with pytest.raises(DataError, match=r"film\.mp4: needs more than 300 MB"):
        pool.run(allocate, FILE)


def test_child_is_used_again(pool: WorkerPool) -> None:
    assert pool.run(identify, FILE) == pool.run(identify, FILE)


def test_progress_gives_more_time(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.run(identify, FILE)
    monkeypatch.setenv(isolation.STEP_S, "2")
    reports: list[tuple[str, float]] = []
    with isolation.reporting(lambda *stage: reports.append(stage)):
        assert pool.run(work, FILE, 8) == "done"
    assert ("working", 0.5) in reports


class StoppedError(LongVideoAgentError):
    pass


def test_cancel_ends_the_child(pool: WorkerPool) -> None:
    child = pool.run(identify, FILE)

    def stop(_stage: str, _fraction: float, /) -> None:
        raise StoppedError

    with isolation.reporting(stop), pytest.raises(StoppedError):
        pool.run(sleep, FILE)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_iterators_share_a_child(pool: WorkerPool) -> None:
    first, second = pool.iterate(count, FILE, 5), pool.iterate(count, FILE, 3)
    assert [next(first), next(second), next(first)] == [0, 0, 1]
    first.close()
    assert list(second) == [1, 2]
    assert list(pool.iterate(count, FILE, 2)) == [0, 1]


def test_stopped_child_is_not_lost_for_others(pool: WorkerPool) -> None:
    items = pool.iterate(count, FILE, 5)
    assert [next(items), next(items)] == [0, 1]

    def stop(_stage: str, _fraction: float, /) -> None:
        raise StoppedError

    with isolation.reporting(stop), pytest.raises(StoppedError):
        pool.run(sleep, FILE)
    assert list(items) == [2, 3, 4]


def test_child_has_no_secrets(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("OPENAI_API_KEY", "HF_TOKEN", "aws_secret", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "TOKEN")
    for name in (*secrets, "LVA_MEDIA_STEP_S", "MONKEY_HOUSE"):
        monkeypatch.setenv(name, "7")
    inherited = pool.run(environment, FILE)
    assert not {name.upper() for name in secrets} & {name.upper() for name in inherited}
    assert {"LVA_MEDIA_STEP_S", "MONKEY_HOUSE", "PATH"} <= set(inherited)


def test_iterator_of_a_dead_child(pool: WorkerPool) -> None:
    items = pool.iterate(count, FILE, 5)
    assert next(items) == 0
    with suppress(DataError):
        pool.run(crash, FILE)
    with pytest.raises(DataError, match=r"film\.mp4"):
        next(items)


# --- real files -------------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize("side", [3000, 12_000])
def test_picture_bomb_within_film(side: int, tmp_path: Path) -> None:
    bomb, small = empty_png(side, side), empty_png(64, 48)
    write_png_film(tmp_path / "a.mov", [small, bomb, bomb, small])
    reader = open_reader(tmp_path / "a.mov")
    frames = reader.frames([0.5, 1.5, 2.5, 3.5])
    assert [frame.rgb().shape for frame in frames][-1] == (48, 64, 3)
    peak_kb = isolation.READING.run(peak_memory_kb, tmp_path / "a.mov")
    assert peak_kb < 200_000


def test_child_ends_with_its_parent(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", EVERY_40_MS)
    code = (
        "import os, sys; from pathlib import Path; from longvideoagent.media import isolation\n"
        "from tests.fakes.media_functions import identify\n"
        "print(isolation.READING.run(identify, Path(sys.argv[1])), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.mp4"], capture_output=True, text=True, check=False)
    child = int(done.stdout)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and ") Z " in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the child is still there")


def test_results_are_data_only() -> None:
    data = pickle.dumps(("result", Forbidden()))
    with pytest.raises(DataError, match="nonsense"):
        isolation.decode_reply(FILE, data)
