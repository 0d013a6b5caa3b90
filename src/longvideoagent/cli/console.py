"""What the commands print: steps, answers and tables on stdout; progress, notes and warnings on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich import progress as rich_progress
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from longvideoagent.agents.config import TeamConfig, missing_keys
from longvideoagent.agents.cost import BYTES_PER_TOKEN, TOKENS_PER_IMAGE, CostForecast, old_prices
from longvideoagent.cli.terminal import TerminalConsole, printable, stderr_console, stdout_console, write_json
from longvideoagent.core.actions import ACTIONS
from longvideoagent.core.outcome import Outcome
from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import Question, Usage
from longvideoagent.errors import UsageError
from longvideoagent.log import logger
from longvideoagent.media.video import Video
from longvideoagent.models.reachability import missing_local_servers
from longvideoagent.progress import Progress
from longvideoagent.views.trace_dict import trace_to_dict
from longvideoagent.views.trace_view import ObservationView, RoundView, view_trace

MAX_OBSERVATION_LINES = 6
MAX_EVIDENCE_LINES = 12
MAX_CHARS = 2000
"""Of one question, option, thought or action; the JSON form has all of it."""
LABEL_WIDTH = 8
_ACTION_STYLES = {spec.name: spec.terminal_style for spec in ACTIONS}


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on stderr, one line for each stage; a note if it is interrupted."""
    console = stderr_console()
    bar = rich_progress.Progress(
        TextColumn("{task.description}", markup=False),
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
    """Print one line on stderr."""
    sys.stderr.write(f"lva: {' '.join(printable(text).split())}\n")


def note_old_prices(team_config: TeamConfig) -> None:
    """Print a line for each price of the team's models that is months old."""
    for sentence in old_prices(team_config, datetime.now(UTC).date()):
        note(sentence)


def note_missing_servers(team_config: TeamConfig) -> None:
    """Warn of servers on this machine that are not there."""
    for problem in missing_local_servers(agent.spec for agent in team_config.agents.values()):
        note(f"warning: {problem}")


def note_missing_keys(team_config: TeamConfig) -> None:
    """Print a line about the keys that the team's servers need and that are not set."""
    if problem := missing_keys(team_config):
        note(problem)


class _NoteHandler(logging.Handler):
    """Prints the package's log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


_NOTES = _NoteHandler(logging.WARNING)


def show_warnings() -> None:
    """Print the warnings that the package logs, such as a server that does not answer, as notes."""
    logger.addHandler(_NOTES)


def print_video(video: Video, console: TerminalConsole) -> None:
    """Print a video's name, length, number of clips and source of text; its warnings go to stderr."""
    timeline = video.timeline
    clips = f"{len(timeline.clips)} {plural('clip', len(timeline.clips))}"
    summary = f"{format_timestamp(timeline.duration_s)} · {clips} · {video.text_origin}"
    console.print(Text(printable(f"{video.reader.path.name} · {summary}"), style="dim"))
    for warning in video.warnings:
        note(f"warning: {warning}")


@contextmanager
def live_reply(*, quiet: bool = False) -> Iterator[LiveReply]:
    """Show the reply that a model generates on one transient line of stderr if that is a terminal; print warnings."""
    show_warnings()
    console = stderr_console()
    live = LiveReply(console.status("", spinner="dots") if console.is_terminal and not quiet else None, console.width)
    try:
        yield live
    finally:
        live.pause()


@dataclass
class LiveReply:
    """Shows the end of a streamed text until something else is printed."""

    status: Status | None
    width: int
    cost: str = ""
    """What the rollout has cost so far; shown before the text."""

    @property
    def on_text(self) -> Callable[[str], None] | None:
        """The callback for a model, or None if nothing is shown."""
        return self._show if self.status is not None else None

    def pause(self) -> None:
        """Remove the line; it returns with the next text."""
        if self.status is not None:
            self.status.stop()

    def _show(self, text: str) -> None:
        if self.status is not None:
            tail = " ".join(printable(text[-4 * self.width :]).split())
            shown = tail[-max(20, self.width - 8 - len(self.cost)) :]
            self.status.update(Text.assemble((self.cost, "dim"), (shown, "dim italic")))
            self.status.start()


class StepPrinter:
    """Prints the steps of a rollout. Called with the trace after each step; prints what is new."""

    def __init__(
        self, question: Question, video: Video | None = None, live: LiveReply | None = None, *, quiet: bool = False
    ) -> None:
        self._console = stdout_console(quiet=quiet)
        self._live = live
        self._printed = 0
        self._printed_warnings = () if video is None else video.warnings
        if video is not None:
            print_video(video, self._console)
        self._line("?", question.text[:MAX_CHARS], "bold")
        for index, option in enumerate(question.options):
            self._line(f"a{index}", option[:MAX_CHARS])

    def __call__(self, trace: Trace) -> None:
        """Print what is new in the trace."""
        if self._live is not None:
            self._live.pause()
        steps = list(view_trace(trace).steps)
        for step in steps[self._printed :]:
            self._print_step(step)
        self._printed = len(steps)
        if self._live is not None:
            self._live.cost = f"{cost}  " if (cost := cost_text(trace.usage)) else ""

    def _print_step(self, step: RoundView | ObservationView) -> None:
        if isinstance(step, RoundView):
            if step.thought:
                self._line("thinks", step.thought[:MAX_CHARS], "dim italic")
            self._line(step.action.partition("_")[0], step.argument[:MAX_CHARS], _ACTION_STYLES[step.action])
        elif step.clip is not None:
            start, end = format_timestamp(step.clip.start_s), format_timestamp(step.clip.end_s)
            self._line("located", f"{step.clip.label}, {start} to {end}: {step.reason}", "blue")
        elif step.kind in ("vision", "timeline"):
            lines = step.text.splitlines()
            name = "saw" if step.kind == "vision" else "timeline"
            for number, line in enumerate(lines[:MAX_OBSERVATION_LINES]):
                self._line("" if number else name, line)
            if len(lines) > MAX_OBSERVATION_LINES:
                self._line("", f"… {len(lines) - MAX_OBSERVATION_LINES} more", "dim")
        else:
            self._line("notice", step.text, "yellow")

    def finish(self, trace: Trace) -> None:
        """Print the answer and its evidence; on stderr, the warnings of the rollout."""
        self._console.print(_answer_line(trace), soft_wrap=True)
        for evidence in trace.evidence[:MAX_EVIDENCE_LINES]:
            self._line(f"  {format_timestamp(evidence.time_s)}", f"{evidence.kind:8} {evidence.text}")
        if len(trace.evidence) > MAX_EVIDENCE_LINES:
            self._line("", f"… {len(trace.evidence) - MAX_EVIDENCE_LINES} more; --json has all", "dim")
        if cost := cost_text(trace.usage):
            self._line("cost", f"{cost}, {trace.usage.seconds:.0f} s")
        if trace.hint:
            self._line("hint", trace.hint, "yellow")
        for warning in trace.warnings:
            if warning not in self._printed_warnings:
                note(f"warning: {warning}")

    def _line(self, label: str, text: str, style: str = "") -> None:
        """Print a label and its text, wrapped to the width with a hanging indent."""
        for line in Text(printable(text), style=style).wrap(
            self._console, max(20, self._console.width - LABEL_WIDTH - 3)
        ):
            line.rstrip()
            self._console.print(Text.assemble("  ", (f"{label:{LABEL_WIDTH}} ", style or "dim"), line), soft_wrap=True)
            label = ""


def cost_text(usage: Usage) -> str:
    """Tokens, and dollars if a price is known; empty if no model was called."""
    dollars = f", ${usage.usd:.4f}" if usage.usd else ""
    return f"{usage.tokens:,} {plural('token', usage.tokens)}{dollars}" if usage.tokens else ""


def _answer_line(trace: Trace) -> Text:
    if not trace.answer:
        return Text(printable(f"{trace.outcome}{': ' + trace.cause if trace.cause else ''}"), style="bold red")
    label = "" if trace.option_index is None else f"a{trace.option_index} "
    view = view_trace(trace)
    remark = "" if trace.confidence is None else f"  (confidence {trace.confidence:.2f})"
    if view.is_unsure:
        remark = "  a guess" if view.is_guess else f"  not sure{remark[1:]}"
    if trace.outcome is Outcome.SPENT:
        remark += f"  answered at the end of its budget: {trace.cause}"
    if trace.evidence == ():
        remark += "  nothing in the video supports it"
    return Text.assemble((f"= {label}{printable(trace.answer)}", "bold green"), (remark, "dim"))


def print_counts(counts: Mapping[str, int]) -> None:
    """Print names and numbers, one pair per line."""
    width = max(map(len, counts), default=0)
    console = stdout_console()
    for name, count in counts.items():
        console.print(Text.assemble((f"{name:{width}}  ", "dim"), f"{count:,}"), soft_wrap=True)


def print_forecast(forecasts: Sequence[CostForecast]) -> None:
    """Print what a question may cost at most, as a table; the last row is the total."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("at most", "model"):
        table.add_column(name, overflow="fold")
    add_usage_columns(table)
    for row in forecasts:
        style = "bold" if row is forecasts[-1] else ""
        table.add_row(row.agent, printable(row.model), *usage_cells(row), style=style)
    print_forecast_table(table)


def add_usage_columns(table: Table) -> None:
    """Add the columns of ``usage_cells``."""
    for name in ("calls", "images", "prompt tokens", "reply tokens", "dollars"):
        table.add_column(name, justify="right")


def usage_cells(forecast: CostForecast) -> list[str]:
    """The most that one agent, or all of them, may use."""
    usage = forecast.max_usage
    counts = (usage.calls, usage.images, usage.prompt_tokens, usage.completion_tokens)
    return [*(f"{count:,}" for count in counts), "no price" if forecast.usd is None else f"{forecast.usd:.4f}"]


def print_forecast_table(table: Table) -> None:
    """Print a table of upper bounds, and what they rest on."""
    console = stdout_console()
    console.print(table)
    images = f"{TOKENS_PER_IMAGE:,} tokens per image of a model whose price has no tokens_per_image"
    assumed = f"Assumes {BYTES_PER_TOKEN} bytes per token and {images}."
    excluded = "Retries are not included, and a model on this machine without a price is free."
    console.print(Text(f"{assumed} {excluded} Nothing was asked.", style="dim"))


def print_json(trace: Trace) -> None:
    """Print the trace as one JSON object on one line of stdout."""
    write_json(trace_to_dict(trace))


def check_page(path: Path, option: str = "--html") -> None:
    """Check that the page of ``option`` can be written, before any work is done. Creates its folder, no file.
    Raises UsageError."""
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise UsageError(f"{path}: not the name of a page; let {option} end in .html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another {option} path") from error
