"""The client's cost of an evaluation: CPU, wall time and memory, against a plain loop that posts the same bytes.

Each question is a first grounding over a whole episode's subtitles, a look of 15 JPEGs of 50 kB, a second
grounding, and three replies of the master; the server answers after 50 ms, with 30 questions at once.

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

LATENCY_MS, CONCURRENCY, NUM_QUESTIONS, MANY_QUESTIONS = 50, 30, 300, 3017
EPISODES, CLIPS, CLIP_S, LINES = 13, 24, 20.0, 18
JPEG_BYTES = 50_000
PAIRS = 3
RUN = """
import sys, time
from pathlib import Path
from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.evaluation.config import make_eval_config
from longvideoagent.evaluation.evaluate import RunOptions, run_evaluation
from longvideoagent.evaluation.runner import RunLimits

url, folder, run, limit = sys.argv[1:]
agents = {name: AgentConfig(model=f"openai:{name}@{url}") for name in ("master", "grounding", "vision")}
config = make_eval_config(Path(folder), "val", TeamConfig(**agents), RolloutSettings(), {"limit": int(limit)})
started_s, cpu_s = time.perf_counter(), time.process_time()
result = run_evaluation(config, Path(run), RunOptions(RunLimits(concurrency=30)), lambda *_: None)
assert result.summary["outcomes"]["answered"] == int(limit), result
assert result.summary["agents"]["vision"]["images"] == 15 * int(limit)
assert result.summary["per_question"]["relocations"]["mean"] == 1
print(time.perf_counter() - started_s, time.process_time() - cpu_s)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def write_set(folder: Path, questions: int) -> None:
    """Write a LongTVQA+ folder with frames of typical size."""
    names = [f"s01e{e + 1:02}_seg01_clip_{c:02}" for e in range(EPISODES) for c in range(CLIPS)]
    words = " ".join(f"Mira : line {n} of a long talk about that night." for n in range(LINES))
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
    """An image of about ``JPEG_BYTES``."""
    coarse = Image.fromarray(rng.integers(0, 255, (90, 160, 3), np.uint8)).resize((640, 360))
    for quality in range(95, 20, -5):
        buffer = io.BytesIO()
        coarse.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= JPEG_BYTES:
            break
    return buffer.getvalue()


def shared_prefix(folder: Path) -> float:
    """Share of the characters of grounding prompts that are a prefix of the previous question about the same video."""
    data = read_longtvqa(folder)
    samples = order_by_video(data.samples)

    async def ask() -> list[str]:
        model = ScriptedModel(["<clip>none</clip>"] * 2 * len(samples))
        for sample in samples:
            video = data.open_video(sample.video)
            request = Rollout(sample.question, video.timeline).request
            assert isinstance(request, GroundingRequest)
            await ModelGrounding(model).locate(request, video.reader)
        return [
            str(messages[0]["content"]) for messages in model.requests[::2]
        ]  # each has a second request for a label

    prompts = list(zip(samples, asyncio.run(ask()), strict=True))
    pairs = [(one, other) for (first, one), (second, other) in pairwise(prompts) if first.video == second.video]
    shared = sum(next((n for n, (a, b) in enumerate(zip(*pair, strict=False)) if a != b), 0) for pair in pairs)
    return shared / sum(len(other) for _, other in pairs)


def run_ours(url: str, folder: Path, run: Path, limit: int) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak resident MB of an evaluation in a process of its own."""
    wall_s, cpu_s, peak_kb = map(float, run_python(RUN, url, folder, run, limit).split())
    return wall_s, cpu_s, peak_kb / 1024


def run_plain(url: str, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of posting as many prepared bytes and reading the replies."""
    texts = json.loads((folder / "LongTVQA_plus_subtitle_clip_level.json").read_text())
    block = "x" * (sum(map(len, texts.values())) // EPISODES)
    image = "x" * (15 * JPEG_BYTES * 4 // 3)
    texts_sent = (block, "x" * 3000, image, "x" * 4000, block, "x" * 7000)
    bodies = [
        json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode() for text in texts_sent
    ]

    async def post() -> None:
        left = iter(range(NUM_QUESTIONS))

        async def worker(session: aiohttp.ClientSession) -> None:
            for _ in left:
                for body in bodies:
                    async with session.post(f"{url}/chat/completions", data=body) as response:
                        json.loads(await response.read())

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(worker(session) for _ in range(CONCURRENCY)))

    started_s, cpu_s = time.perf_counter(), time.process_time()
    asyncio.run(post())
    return time.perf_counter() - started_s, time.process_time() - cpu_s


def measure(folder: Path) -> None:
    """Print all rows."""
    data = folder / "set"
    data.mkdir()
    write_set(data, MANY_QUESTIONS)
    with stub(LATENCY_MS) as url:
        pairs = [(run_ours(url, data, folder / f"run-{n}", NUM_QUESTIONS), run_plain(url, data)) for n in range(PAIRS)]
        wall_s, cpu_s, peak_mb = (statistics.median(ours[index] for ours, _ in pairs) for index in range(3))
        plain_wall_s, plain_cpu_s = (statistics.median(plain[index] for _, plain in pairs) for index in range(2))
        name = f"evaluate {NUM_QUESTIONS} questions, {CONCURRENCY} at once, {LATENCY_MS} ms latency"
        figure = f"{cpu_s / NUM_QUESTIONS:.4f} CPU-s a question (plain loop {plain_cpu_s / NUM_QUESTIONS:.4f})"
        row(f"{name}: client", figure, "≤ 0.03, aim 0.012")
        row("the same: wall", f"{wall_s:.1f} s (plain loop {plain_wall_s:.1f} s)", "≤ 6 s")
        row("the same: peak memory", f"{peak_mb:.0f} MB", "≤ 250 MB")
        _, _, many_mb = run_ours(url, data, folder / "run-many", MANY_QUESTIONS)
        row(f"peak memory with {MANY_QUESTIONS:,} questions", f"{many_mb:.0f} MB", "flat")
    row(
        "share of grounding prompts shared with the previous question",
        f"{100 * shared_prefix(data):.0f} %",
        "≥ 60 %",
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch))
