"""The demonstration: a sample episode, one question of each kind, and a page with the trajectories."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from longvideoagent.agents.build import load_team
from longvideoagent.cli.console import Steps, announce, progress_bar
from longvideoagent.core.scoring import score
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.datasets.gold import Sample
from longvideoagent.datasets.synthetic.episode import generate_episode
from longvideoagent.media.video import open_video
from longvideoagent.run import answer
from longvideoagent.views.html.page import write_page


def run_demo(folder: Path, seed: int, minutes: int) -> bool:
    """Run it; True where every answer agrees with what the sample was made to show."""
    console = Console(highlight=False)
    with progress_bar() as progress:
        made = generate_episode(folder, seed, minutes, 1, progress)
    episode = open_video(made.video, made.subtitles)
    console.print(f"Sample episode: {made.video} ({made.video.stat().st_size / 1e6:.1f} MB), seed {seed}")
    announce(episode, console)
    team = load_team("offline")
    traces: list[Trace] = []
    right = 0
    for sample in made.samples:
        console.print(f"\n[bold]Question {len(traces) + 1} of {len(made.samples)}[/bold], kind {sample.kind}")
        show = Steps(sample.question)
        trace = answer(sample.question, episode, team, on_step=show)
        show.finish(trace)
        console.print(_judged(sample, trace))
        right += score(trace, sample.gold.option_index).correct
        traces.append(trace)
    page = folder / "demo.html"
    write_page(page, "Four questions about a sample episode", episode, traces)
    console.print(f"\n{right} of {len(traces)} answers are right. Trajectories with frames: {page}")
    return right == len(traces)


def _judged(sample: Sample, trace: Trace) -> str:
    gold = sample.gold
    verdict = "right" if score(trace, gold.option_index).correct else "WRONG"
    span = f"{format_timestamp(gold.start_s or 0)} to {format_timestamp(gold.end_s or 0)}"
    return f"  {verdict}: it is a{gold.option_index} {gold.answer}, {span} ({gold.clip})"
