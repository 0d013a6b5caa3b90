"""The demonstration: a sample episode, one question of each kind, and a page with the traces."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from longvideoagent.agents.build import load_team
from longvideoagent.cli.console import StepPrinter, print_video, progress_bar
from longvideoagent.cli.terminal import stdout_console
from longvideoagent.core.scoring import score
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.synthetic.episode import generate_episode
from longvideoagent.index.open import open_video
from longvideoagent.run import answer
from longvideoagent.views.html.page import write_page


def run_demo(folder: Path, seed: int, minutes: int) -> bool:
    """Run the demonstration. Returns True if every answer is correct."""
    console = stdout_console()
    with progress_bar() as progress:
        episode = generate_episode(folder, seed, minutes, 1, progress)
    video = open_video(episode.video, episode.subtitles)
    console.print(f"Sample episode: {episode.video} ({episode.video.stat().st_size / 1e6:.1f} MB), seed {seed}")
    print_video(video, console)
    team = load_team("offline")
    traces: list[Trace] = []
    num_correct = 0
    for sample in episode.samples:
        title = f"\nQuestion {len(traces) + 1} of {len(episode.samples)}"
        console.print(Text.assemble((title, "bold"), f", kind {sample.kind}"))
        printer = StepPrinter(sample.question)
        trace = answer(sample.question, video, team, on_step=printer)
        printer.finish(trace)
        console.print(_verdict(sample, trace))
        num_correct += score(trace, sample.gold.option_index).correct
        traces.append(trace)
    page = folder / "demo.html"
    write_page(page, "Four questions about a sample episode", video, traces)
    console.print(f"\n{num_correct} of {len(traces)} answers are correct. Traces with frames: {page}")
    return num_correct == len(traces)


def _verdict(sample: Sample, trace: Trace) -> str:
    gold = sample.gold
    verdict = "correct" if score(trace, gold.option_index).correct else "WRONG"
    span = f"{format_timestamp(gold.start_s or 0)} to {format_timestamp(gold.end_s or 0)}"
    return f"  {verdict}: the answer is a{gold.option_index} {gold.answer}, {span} ({gold.clip})"
