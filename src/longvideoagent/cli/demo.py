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
from longvideoagent.views.html.page import PageContext, Verdict, write_page

INTRODUCTION = (
    "lva demo generated this episode: drawn people talk in a few places, a minute in each, and the questions about it "
    "have known answers.",
    "Three agents answered, without a language model. The grounding agent searches the subtitles for the clip that the "
    "question is about. The vision agent looks at frames of that clip: it reads text and sees colours, movement and "
    "faces. The master reads what both report, asks them for more, and answers when one option has enough evidence.",
    "Below each question: the answer, whether it is right, the evidence with its times, and all steps. A click on a "
    "time plays the video from there. Ask your own video with lva ask VIDEO QUESTION; add -m SPEC for a model in place "
    "of these agents.",
)
"""What the page is and who the agents are."""


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
        verdict = _verdict(sample, trace)
        console.print(_verdict_text(sample, verdict))
        num_correct += verdict.is_correct
        traces.append(trace)
    page = folder / "demo.html"
    verdicts = [_verdict(sample, trace) for sample, trace in zip(episode.samples, traces, strict=True)]
    title = f"{len(traces)} questions about a sample episode, {num_correct} answered correctly"
    write_page(page, title, video, traces, PageContext(INTRODUCTION, verdicts))
    console.print(f"\n{num_correct} of {len(traces)} answers are correct. Traces with frames: {page}")
    return num_correct == len(traces)


def _verdict(sample: Sample, trace: Trace) -> Verdict:
    gold = sample.gold
    is_correct = score(trace, gold.option_index).correct
    return Verdict(is_correct, f"a{gold.option_index} {gold.answer}", gold.start_s, gold.end_s)


def _verdict_text(sample: Sample, verdict: Verdict) -> str:
    span = f"{format_timestamp(verdict.start_s or 0)} to {format_timestamp(verdict.end_s or 0)}"
    shown = "correct" if verdict.is_correct else "WRONG"
    return f"  {shown}: the answer is {verdict.answer}, {span} ({sample.gold.clip})"
