"""Load test of the page's server: many concurrent questions, its health meanwhile, and ranges of a huge file.

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
from typing import NamedTuple

import httpx

from longvideoagent.datasets.synthetic.episode import generate_episode
from table import peak_of, row

NUM_QUESTIONS, MINUTES, NUM_RANGES = 50, 20, 200
HUGE_BYTES = 30_000_000_000
TIMEOUT_S = 300


@contextmanager
def serve(library: Path) -> Iterator[tuple[httpx.Client, int]]:
    """``lva serve`` in its own process: a client of it, and the process id."""
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
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            yield client, server.pid
    finally:
        server.terminate()
        server.wait()


def health_ms(client: httpx.Client) -> float:
    """How long a health request takes."""
    started = time.perf_counter()
    client.get("/api/health").raise_for_status()
    return 1000 * (time.perf_counter() - started)


class LoadResult(NamedTuple):
    """Wall time, health latencies meanwhile, and the number of answered questions."""

    wall_s: float
    health_ms: list[float]
    num_answered: int


def ask_all(client: httpx.Client, library: Path) -> LoadResult:
    """Submit all questions at the same time and watch each job to its end."""
    videos = {video["name"]: video["id"] for video in client.get("/api/videos").json()["videos"]}
    samples = json.loads((library / "sample-7.json").read_text())["samples"]
    bodies = [
        {
            "video_id": videos["sample-7.mp4"],
            "question": samples[number % len(samples)]["question"]["text"],
            "options": samples[number % len(samples)]["question"]["options"],
        }
        for number in range(NUM_QUESTIONS)
    ]

    def watch(body: dict[str, object]) -> bool:
        job_id = client.post("/api/jobs", json=body).raise_for_status().json()["id"]
        with client.stream("GET", f"/api/jobs/{job_id}/events") as events:
            for _ in events.iter_lines():
                pass
        return bool(client.get(f"/api/jobs/{job_id}").json()["outcome"] == "answered")

    latencies_ms: list[float] = []
    started = time.perf_counter()
    with ThreadPoolExecutor(NUM_QUESTIONS) as pool:
        futures = [pool.submit(watch, body) for body in bodies]
        while not all(each.done() for each in futures):
            latencies_ms.append(health_ms(client))
            time.sleep(0.02)
    wall_s = time.perf_counter() - started
    return LoadResult(wall_s, latencies_ms, sum(each.result() for each in futures))


def read_ranges(client: httpx.Client) -> None:
    """Read ranges of a file that is larger than the memory, as a player does when it seeks."""
    videos = {video["name"]: video["id"] for video in client.get("/api/videos").json()["videos"]}
    for number in range(NUM_RANGES):
        start = number * (HUGE_BYTES // NUM_RANGES)
        headers = {"Range": f"bytes={start}-{start + 999_999}"}
        response = client.get(f"/api/videos/{videos['huge.mp4']}/file", headers=headers)
        assert len(response.content) == 1_000_000


def measure(library: Path) -> None:
    """Print all rows."""
    generate_episode(library, 7, MINUTES)
    with (library / "huge.mp4").open("wb") as file:
        file.truncate(HUGE_BYTES)
    with serve(library) as (client, process):
        idle_ms = [health_ms(client) for _ in range(100)]
        before_mb = peak_of(process)
        read_ranges(client)
        after_mb = peak_of(process)
        result = ask_all(client, library)
    p95_ms = statistics.quantiles(result.health_ms, n=20)[-1]
    answered = f"{result.num_answered} in {result.wall_s:.0f} s"
    row(f"{NUM_QUESTIONS} concurrent questions to `lva serve`, offline team: answered", answered, f"{NUM_QUESTIONS}")
    row(
        "the same: /api/health meanwhile, p95",
        f"{p95_ms:.0f} ms (idle {statistics.median(idle_ms):.1f} ms)",
        "< 100 ms",
    )
    row(f"memory that {NUM_RANGES} ranges of a 30 GB file add", f"{after_mb - before_mb:.0f} MB", "flat")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))
