"""What a person sees in the terminal: progress on stderr, steps and the answer on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from longvideoagent.errors import UsageError
from longvideoagent.media.episode import Episode
from longvideoagent.media.episode import Progress as Report
from longvideoagent.protocol import clock
from longvideoagent.report.json import action_content, action_name, to_json
from longvideoagent.report.page import write_page
from longvideoagent.types import Clip, Evidence, Located, Notice, Observation, Outcome, Question, Round, Seen, Trace

LINES_SHOWN = 5
_COLOUR_OF = {"look": "cyan", "relocate": "magenta", "answer": "green", "invalid": "red"}


@contextmanager
def progress() -> Iterator[Report]:
    """A progress line on stderr for as long as something is being told to it."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def report(doing: str, share: float) -> None:
        if doing not in tasks:
            tasks[doing] = bar.add_task(doing, total=1.0)
        bar.update(tasks[doing], completed=share)

    with bar:
        yield report


def note(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"lva: {' '.join(text.split())}\n")


class Steps:
    """Prints what happens as it happens. Called with the trace after each step."""

    def __init__(self, episode: Episode, question: Question, *, is_quiet: bool = False) -> None:
        self._console = Console(quiet=is_quiet, highlight=False)
        self._shown = 0
        timeline = episode.timeline
        self._line(
            f"{episode.video.path.name} · {clock(timeline.duration_s)} · {len(timeline.clips)} clips · "
            f"text from {episode.text_from}",
            "dim",
        )
        for warning in episode.warnings:
            note(f"warning: {warning}")
        self._line(f"? {question.text[:500]}", "bold")
        if question.options:
            self._line("  " + "   ".join(f"a{index} {option}" for index, option in enumerate(question.options)))

    def __call__(self, trace: Trace) -> None:
        """Print what is new in the trace."""
        events: list[Observation | Round] = [] if trace.first is None else [trace.first]
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
                name = action_name(event.action)
                if event.thought:
                    self._line(f"  thinks  {event.thought}", "dim italic")
                self._line(f"  {name:7} {action_content(event.action)}", _COLOUR_OF[name])
            case Located(clip=clip, reason=reason):
                self._line(f"  located {clip.label}, {_span(clip)}: {reason}", "blue")
            case Seen(text=text):
                lines = text.splitlines()
                for line in lines[: LINES_SHOWN + 1]:
                    self._line(f"  saw     {line}")
                if len(lines) > LINES_SHOWN + 1:
                    self._line(f"          and {len(lines) - LINES_SHOWN - 1} more lines", "dim")
            case Notice(text=text):
                self._line(f"  notice  {text}", "yellow")

    def finish(self, trace: Trace, *, as_json: bool) -> None:
        """Print the answer with its evidence, or the whole as one JSON object."""
        if as_json:
            sys.stdout.write(json.dumps(to_json(trace), ensure_ascii=False) + "\n")
            return
        self._console.print(_verdict(trace))
        for each in trace.evidence:
            self._line(f"  {_evidence_line(each)}")
        self._console.print()

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style, overflow="fold"))


def _verdict(trace: Trace) -> Text:
    if trace.outcome is not Outcome.ANSWERED:
        return Text(f"{trace.outcome}{': ' + trace.cause if trace.cause else ''}", style="bold red")
    label = "" if trace.option_index is None else f"a{trace.option_index} "
    confidence = trace.final.reply.confidence if trace.final else None
    sure = "" if confidence is None else f"  (confidence {confidence:.2f})"
    return Text.assemble((f"= {label}{trace.answer}", "bold green"), (sure, "dim"))


def _span(clip: Clip) -> str:
    return f"{clock(clip.start_s)} to {clock(clip.end_s)}"


def _evidence_line(each: Evidence) -> str:
    return f"{clock(each.time_s):>7}  {each.kind:8} {each.text}"


def write_html(path: Path, episode: Episode, traces: Sequence[Trace]) -> None:
    """Write the page. Raises UsageError where the path cannot be written."""
    try:
        write_page(path, f"What {episode.video.path.name} was asked", episode, traces)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); choose another --html path") from error
    note(f"wrote {path}")
