"""What a person sees in the terminal: progress on stderr, steps and the answer on stdout."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from longvideoagent.agents.cost import BYTES_PER_TOKEN, TOKENS_PER_PICTURE, CostForecast
from longvideoagent.core.actions import action_text, spec_of
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Round, Trace
from longvideoagent.core.types import ClipObservation, Observation, Question, SystemNotice, VisionResult
from longvideoagent.errors import UsageError
from longvideoagent.log import logger
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress
from longvideoagent.views.trace_dict import trace_to_dict

LINES_SHOWN = 6
LONGEST_LINE = 2000
LABEL_WIDTH = 8
_COLOUR_OF = {"look": "cyan", "relocate": "magenta", "answer": "green", "invalid": "red"}


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on stderr, one line for each stage; a note if it is interrupted."""
    console = Console(stderr=True)
    bar = rich_progress.Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def update(stage: str, fraction: float) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=1.0)
        bar.update(tasks[stage], completed=fraction)

    try:
        with bar:
            yield update
    except KeyboardInterrupt:
        note("stopped")
        raise


def note(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"lva: {' '.join(_printable(text).split())}\n")


class _NoteHandler(logging.Handler):
    """Prints the package's log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


_NOTES = _NoteHandler(logging.WARNING)


def show_warnings() -> None:
    """Print the warnings that the package logs, such as a server that does not answer, as notes."""
    logger.addHandler(_NOTES)


def announce(episode: Video, console: Console) -> None:
    """Say what is being asked: the video, its length, where its text comes from; warnings on stderr."""
    timeline = episode.timeline
    clips = f"{len(timeline.clips)} clip{'' if len(timeline.clips) == 1 else 's'}"
    told = f"{format_timestamp(timeline.duration_s)} · {clips} · text from {episode.text_source}"
    console.print(Text(f"{episode.video.path.name} · {told}", style="dim"))
    for warning in episode.warnings:
        note(f"warning: {warning}")


@contextmanager
def live_words(*, quiet: bool = False) -> Iterator[Live]:
    """The reply that is being given, on one passing line of stderr where that is a terminal, and warnings as notes."""
    show_warnings()
    console = Console(stderr=True)
    live = Live(console.status("", spinner="dots") if console.is_terminal and not quiet else None, console.width)
    try:
        yield live
    finally:
        live.pause()


@dataclass
class Live:
    """Shows the end of what it hears until something else is to be printed."""

    status: Status | None
    width: int

    @property
    def on_text(self) -> Callable[[str], None] | None:
        """What to give to a model; None where nobody watches."""
        return self._show if self.status is not None else None

    def pause(self) -> None:
        """Take the line away; it comes back with the next words."""
        if self.status is not None:
            self.status.stop()

    def _show(self, text: str) -> None:
        if self.status is not None:
            end = " ".join(_printable(text[-4 * self.width :]).split())
            self.status.update(Text(end[-max(20, self.width - 8) :], style="dim italic"))
            self.status.start()


class Steps:
    """Prints what happens as it happens. Called with the trace after each step."""

    def __init__(
        self, question: Question, episode: Video | None = None, live: Live | None = None, *, quiet: bool = False
    ) -> None:
        self._console = Console(quiet=quiet, highlight=False)
        self._live = live
        self._shown = 0
        if episode is not None:
            announce(episode, self._console)
        self._line("?", question.text[:LONGEST_LINE], "bold")
        for index, option in enumerate(question.options):
            self._line(f"a{index}", option[:LONGEST_LINE])

    def __call__(self, trace: Trace) -> None:
        """Print what is new in the trace."""
        if self._live is not None:
            self._live.pause()
        events: list[Observation | Round] = [] if trace.first_grounding is None else [trace.first_grounding]
        for said in trace.rounds:
            events.append(said)
            if said.observation is not None:
                events.append(said.observation)
        for event in events[self._shown :]:
            self._show(event)
        self._shown = len(events)

    def _show(self, event: Observation | Round) -> None:
        match event:
            case Round():
                name = spec_of(event.action).name
                if event.thought:
                    self._line("thinks", event.thought[:LONGEST_LINE], "dim italic")
                self._line(name, action_text(event.action)[:LONGEST_LINE], _COLOUR_OF[name])
            case ClipObservation(clip=clip, reason=reason):
                self._line(
                    "located",
                    f"{clip.label}, {format_timestamp(clip.start_s)} to {format_timestamp(clip.end_s)}: {reason}",
                    "blue",
                )
            case VisionResult(text=text):
                lines = text.splitlines()
                for number, line in enumerate(lines[:LINES_SHOWN]):
                    self._line("" if number else "saw", line)
                if len(lines) > LINES_SHOWN:
                    self._line("", f"… {len(lines) - LINES_SHOWN} more", "dim")
            case SystemNotice(text=text):
                self._line("notice", text, "yellow")

    def finish(self, trace: Trace) -> None:
        """Print the answer and what it rests on."""
        self._console.print(_verdict(trace), soft_wrap=True)
        for each in trace.evidence:
            self._line(f"  {format_timestamp(each.time_s)}", f"{each.kind:8} {each.text}")

    def _line(self, label: str, text: str, style: str = "") -> None:
        """The text beside its label, folded to the width, every line indented alike."""
        for line in Text(_printable(text), style=style).wrap(
            self._console, max(20, self._console.width - LABEL_WIDTH - 3)
        ):
            line.rstrip()
            self._console.print(Text.assemble("  ", (f"{label:{LABEL_WIDTH}} ", style or "dim"), line), soft_wrap=True)
            label = ""


def _verdict(trace: Trace) -> Text:
    if not trace.answer:
        return Text(f"{trace.outcome}{': ' + trace.cause if trace.cause else ''}", style="bold red")
    label = "" if trace.option_index is None else f"a{trace.option_index} "
    confidence = trace.answer_round.reply.confidence if trace.answer_round else None
    sure = "" if confidence is None else f"  (confidence {confidence:.2f})"
    if trace.outcome is Outcome.SPENT:
        sure += f"  as far as its budget went: {trace.cause}"
    if trace.evidence == ():
        sure += "  nothing in the video supports it"
    return Text.assemble((f"= {label}{_printable(trace.answer)}", "bold green"), (sure, "dim"))


def print_counts(counts: Mapping[str, int]) -> None:
    """Names and numbers, one pair a line."""
    width = max(map(len, counts), default=0)
    console = Console(highlight=False)
    for name, count in counts.items():
        console.print(Text.assemble((f"{name:{width}}  ", "dim"), f"{count:,}"), soft_wrap=True)


def print_forecast(told: Sequence[CostForecast]) -> None:
    """What a question may cost at most, as a table."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("at most", "model"):
        table.add_column(name, overflow="fold")
    for name in ("calls", "images", "prompt tokens", "reply tokens", "dollars"):
        table.add_column(name, justify="right")
    for each in told:
        counts = (
            each.max_usage.calls,
            each.max_usage.images,
            each.max_usage.prompt_tokens,
            each.max_usage.completion_tokens,
        )
        dollars = "no price" if each.usd is None else f"{each.usd:.4f}"
        style = "bold" if each is told[-1] else ""
        table.add_row(each.agent, _printable(each.model), *(f"{count:,}" for count in counts), dollars, style=style)
    console = Console(highlight=False)
    console.print(table)
    assumed = f"A token is taken as {BYTES_PER_TOKEN} bytes and a picture as {TOKENS_PER_PICTURE:,} tokens."
    console.print(Text(f"{assumed} Calls tried again come on top. Nothing was asked.", style="dim"))


def _printable(text: str) -> str:
    """Control characters from a video or a model must not reach the terminal, which obeys them."""
    return "".join(mark if mark.isprintable() else " " for mark in text)


def print_json(trace: Trace) -> None:
    """The trace as one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(trace_to_dict(trace), ensure_ascii=False) + "\n")


def check_page(path: Path, option: str = "--html") -> None:
    """Refuse a place where the page that ``option`` names cannot go, before any work is done. Leaves nothing
    behind but the folder. Raises UsageError."""
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise UsageError(f"{path}: no name for a page; let {option} end in .html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another {option} path") from error
