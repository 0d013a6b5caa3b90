"""What an evaluation costs its client: CPU, wall time and memory, against a bare loop that posts the same bytes.

Each question is a first grounding over a whole episode's subtitles, a look of 15 JPEGs of 50 kB, a second
grounding, and three replies of the master; the server answers after 50 ms, 30 questions are under way.

    python benchmarks/evaluation.py
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import aiohttp
import numpy as np
from PIL import Image

from calls import stub
from longvideoagent.agents.grounding import ModelGrounding
from longvideoagent.core.rollout import GroundingRequest, Rollout
from longvideoagent.datasets.longtvqa.read import read_longtvqa
from longvideoagent.datasets.open_videos import order_by_video
from longvideoagent.models.scripted import ScriptedModel
from table import row, run_python

LATENCY_MS, AT_ONCE, QUESTIONS, MANY = 50, 30, 300, 3017
EPISODES, CLIPS, CLIP_S, LINES = 13, 24, 20.0, 18
JPEG_BYTES = 50_000
PAIRS = 3
RUN = """
import sys, time
from pathlib import Path
from longvideoagent.agents.config import Role, Roster
from longvideoagent.evaluation.config import make_protocol
from longvideoagent.evaluation.evaluate import How, run_evaluation
from longvideoagent.evaluation.runner import Bounds
from longvideoagent.core.trace import Settings

url, folder, run, limit = sys.argv[1:]
roster = Roster(**{role: Role(model=f"openai:{role}@{url}") for role in ("master", "grounding", "vision")})
protocol = make_protocol(Path(folder), "val", roster, Settings(), {"limit": int(limit)})
started_s, cpu_s = time.perf_counter(), time.process_time()
result = run_evaluation(protocol, Path(run), How(Bounds(concurrency=30)), lambda *_: None)
assert result.summary["outcomes"]["answered"] == int(limit), result
assert result.summary["agents"]["vision"]["images"] == 15 * int(limit)
assert result.summary["per_question"]["relocations"]["mean"] == 1
print(time.perf_counter() - started_s, time.process_time() - cpu_s)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def write_set(folder: Path, questions: int) -> None:
    """A LongTVQA+ folder with frames of the usual weight."""
    names = [f"s01e{e + 1:02}_seg01_clip_{c:02}" for e in range(EPISODES) for c in range(CLIPS)]
    words = " ".join(f"Mira : line {n} of what was said that night about it." for n in range(LINES))
    (folder / "LongTVQA_plus_subtitle_clip_level.json").write_text(json.dumps(dict.fromkeys(names, words)))
    (folder / "clip_durations.json").write_text(json.dumps(dict.fromkeys(names, CLIP_S)))
    options = {f"a{index}": f"option {index}" for index in range(5)}
    records = [
        {"qid": n, "q": f"What is held in scene {n} ?", **options, "answer": "a0", "ts": [1.0, 2.0]}
        | {"episode_name": names[n % len(names)][:6], "occur_clip": names[n % len(names)]}
        for n in range(questions)
    ]
    (folder / "LongTVQA_plus_val.json").write_text(json.dumps(records))
    rng = np.random.default_rng(0)
    frames = []
    for number in range(int(CLIP_S * 3)):
        frame = folder / f"{number}.frame"
        frame.write_bytes(_jpeg(rng))
        frames.append(frame)
    for name in names:
        clip = folder / "frames" / name
        clip.mkdir(parents=True)
        for number, frame in enumerate(frames, 1):
            os.link(frame, clip / f"{number:05}.jpg")


def _jpeg(rng: np.random.Generator) -> bytes:
    """A picture of about ``JPEG_BYTES``."""
    coarse = Image.fromarray(rng.integers(0, 255, (90, 160, 3), np.uint8)).resize((640, 360))
    for quality in range(95, 20, -5):
        buffer = io.BytesIO()
        coarse.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= JPEG_BYTES:
            break
    return buffer.getvalue()


def shared_prefix(folder: Path) -> float:
    """Share of the characters of grounding prompts that the previous question of the same episode began with."""
    data = read_longtvqa(folder)
    asked = order_by_video(data.samples)

    async def ask() -> list[str]:
        model = ScriptedModel(["<clip>none</clip>"] * 2 * len(asked))
        for sample in asked:
            episode = data.open_video(sample.video)
            request = Rollout(sample.question, episode.timeline).request
            assert isinstance(request, GroundingRequest)
            await ModelGrounding(model).locate(request, episode.reader)
        return [str(heard[0]["content"]) for heard in model.requests[::2]]  # each is asked for a label once more

    told = list(zip(asked, asyncio.run(ask()), strict=True))
    pairs = [(one, other) for (first, one), (second, other) in pairwise(told) if first.video == second.video]
    shared = sum(next((n for n, (a, b) in enumerate(zip(*pair, strict=False)) if a != b), 0) for pair in pairs)
    return shared / sum(len(other) for _, other in pairs)


def run_ours(url: str, folder: Path, run: Path, limit: int) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and largest resident MB of an evaluation in a process of its own."""
    wall_s, cpu_s, peak_kb = map(float, run_python(RUN, url, folder, run, limit).split())
    return wall_s, cpu_s, peak_kb / 1024


def run_bare(url: str, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of posting as many bytes, made beforehand, and reading the replies."""
    texts = json.loads((folder / "LongTVQA_plus_subtitle_clip_level.json").read_text())
    block = "x" * (sum(map(len, texts.values())) // EPISODES)
    picture = "x" * (15 * JPEG_BYTES * 4 // 3)
    said = (block, "x" * 3000, picture, "x" * 4000, block, "x" * 7000)
    bodies = [json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode() for text in said]

    async def post() -> None:
        left = iter(range(QUESTIONS))

        async def worker(session: aiohttp.ClientSession) -> None:
            for _ in left:
                for body in bodies:
                    async with session.post(f"{url}/chat/completions", data=body) as response:
                        json.loads(await response.read())

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(worker(session) for _ in range(AT_ONCE)))

    started_s, cpu_s = time.perf_counter(), time.process_time()
    asyncio.run(post())
    return time.perf_counter() - started_s, time.process_time() - cpu_s


def measure(folder: Path) -> None:
    """All rows."""
    data = folder / "set"
    data.mkdir()
    write_set(data, MANY)
    with stub(LATENCY_MS) as url:
        pairs = [(run_ours(url, data, folder / f"run-{n}", QUESTIONS), run_bare(url, data)) for n in range(PAIRS)]
        wall_s, cpu_s, peak_mb = (statistics.median(ours[place] for ours, _ in pairs) for place in range(3))
        bare_wall_s, bare_cpu_s = (statistics.median(bare[place] for _, bare in pairs) for place in range(2))
        what = f"evaluate {QUESTIONS} questions, {AT_ONCE} at once, {LATENCY_MS} ms latency"
        figure = f"{cpu_s / QUESTIONS:.4f} CPU-s a question (bare loop {bare_cpu_s / QUESTIONS:.4f})"
        row(f"{what}: client", figure, "≤ 0.03, aim 0.012")
        row("the same: wall", f"{wall_s:.1f} s (bare loop {bare_wall_s:.1f} s)", "≤ 6 s")
        row("the same: peak memory", f"{peak_mb:.0f} MB", "≤ 250 MB")
        _, _, many_mb = run_ours(url, data, folder / "run-many", MANY)
        row(f"peak memory with {MANY:,} questions", f"{many_mb:.0f} MB", "flat")
    row(
        "share of grounding prompts that the episode's last question began with",
        f"{100 * shared_prefix(data):.0f} %",
        "≥ 60 %",
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch))
