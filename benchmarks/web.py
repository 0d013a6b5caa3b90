"""What the page's server bears: many questions at once, while somebody asks whether it is well.

python benchmarks/web.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from longvideoagent.datasets.synthetic.episode import make_episode
from table import peak_of, row

ASKS, MINUTES, RANGES = 50, 20, 200
HUGE_BYTES = 30_000_000_000
PATIENCE_S = 300


@contextmanager
def served(library: Path) -> Iterator[tuple[httpx.Client, int]]:
    """``lva serve`` in a process of its own: a client of it, and the process."""
    command = [
        str(Path(sys.executable).with_name("lva")),
        "serve",
        "--library",
        str(library),
        "--port",
        "0",
        "--no-cache",
    ]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
    try:
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            yield client, server.pid
    finally:
        server.terminate()
        server.wait()


def health_ms(client: httpx.Client) -> float:
    """How long the server takes to say that it is well."""
    started = time.perf_counter()
    client.get("/api/health").raise_for_status()
    return 1000 * (time.perf_counter() - started)


def ask_all(client: httpx.Client, library: Path) -> tuple[float, list[float], int]:
    """Ask all at once and watch each to its end: wall seconds, the milliseconds of health meanwhile, how many were
    answered."""
    videos = {each["name"]: each["id"] for each in client.get("/api/videos").json()["videos"]}
    samples = json.loads((library / "sample-7.json").read_text())["samples"]
    bodies = [
        {
            "video_id": videos["sample-7.mp4"],
            "question": samples[number % len(samples)]["question"]["text"],
            "options": samples[number % len(samples)]["question"]["options"],
        }
        for number in range(ASKS)
    ]

    def watch(body: dict[str, object]) -> bool:
        number = client.post("/api/jobs", json=body).raise_for_status().json()["id"]
        with client.stream("GET", f"/api/jobs/{number}/events") as events:
            for _ in events.iter_lines():
                pass
        return bool(client.get(f"/api/jobs/{number}").json()["outcome"] == "answered")

    waited: list[float] = []
    started = time.perf_counter()
    with ThreadPoolExecutor(ASKS) as crowd:
        watched = [crowd.submit(watch, body) for body in bodies]
        while not all(each.done() for each in watched):
            waited.append(health_ms(client))
            time.sleep(0.02)
    return time.perf_counter() - started, waited, sum(each.result() for each in watched)


def ranges(client: httpx.Client) -> None:
    """Parts of a file that is larger than any memory, as a player asks for them when it seeks."""
    videos = {each["name"]: each["id"] for each in client.get("/api/videos").json()["videos"]}
    for number in range(RANGES):
        at = number * (HUGE_BYTES // RANGES)
        told = client.get(f"/api/videos/{videos['huge.mp4']}/file", headers={"Range": f"bytes={at}-{at + 999_999}"})
        assert len(told.content) == 1_000_000


def measure(library: Path) -> None:
    """All rows."""
    make_episode(library, 7, MINUTES)
    with (library / "huge.mp4").open("wb") as file:
        file.truncate(HUGE_BYTES)
    with served(library) as (client, process):
        idle = [health_ms(client) for _ in range(100)]
        before_mb = peak_of(process)
        ranges(client)
        after_mb = peak_of(process)
        wall_s, waited, answered = ask_all(client, library)
    p95 = statistics.quantiles(waited, n=20)[-1]
    row(f"{ASKS} questions at once to `lva serve`, offline team: answered", f"{answered} in {wall_s:.0f} s", f"{ASKS}")
    row("the same: /api/health meanwhile, p95", f"{p95:.0f} ms (idle {statistics.median(idle):.1f} ms)", "< 100 ms")
    row(f"memory that {RANGES} ranges of a 30 GB file add", f"{after_mb - before_mb:.0f} MB", "flat")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))
