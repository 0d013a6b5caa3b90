"""Drives rollouts: the only place where a request of the core meets the world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import TeamConfig
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Question
from longvideoagent.errors import UsageError
from longvideoagent.media.video import Video, open_video
from longvideoagent.progress import Progress, no_progress

LONGEST_QUESTION = 10_000
"""Characters of a question that are read; the rest is cut off with a warning."""


async def steps(question: Question, episode: Video, team: Team, settings: RolloutSettings) -> AsyncIterator[Trace]:
    """The trace after each thing that happened; the last one has an outcome."""
    rollout = Rollout(question, episode.timeline, settings, episode.warnings)
    while rollout.request is not None:
        rollout.receive(await team.perform(rollout.request, episode.video))
        yield rollout.trace


def answer(
    question: Question,
    episode: Video,
    team: Team,
    settings: RolloutSettings | None = None,
    on_step: Callable[[Trace], None] | None = None,
) -> Trace:
    """Run one rollout to its end, telling ``on_step`` after each step. Threads that share a team wait for
    each other; rollouts that shall run side by side belong in one event loop, through ``steps``."""

    async def run() -> Trace:
        try:
            told = [
                trace
                async for trace in _telling(steps(question, episode, team, settings or RolloutSettings()), on_step)
            ]
        finally:
            await team.close()
        return told[-1]

    with team.in_use:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(run())
        with ThreadPoolExecutor(1) as aside:  # a notebook's loop runs in this thread already
            return aside.submit(asyncio.run, run()).result()


async def _telling(traces: AsyncIterator[Trace], on_step: Callable[[Trace], None] | None) -> AsyncIterator[Trace]:
    async for trace in traces:
        if on_step is not None:
            on_step(trace)
        yield trace


def ask(  # noqa: PLR0913 (the public face: one call says it all)
    video: str | Path,
    question: str,
    options: Sequence[str] = (),
    *,
    subtitles: str | Path | None = None,
    team: str | TeamConfig | Team = "offline",
    settings: RolloutSettings | None = None,
    progress: Progress = no_progress,
) -> Trace:
    """Ask a video a question.

    ``video`` is a file or a folder of JPEG frames, ``options`` are answer choices (none for an open
    question). ``team`` is a name, a ``TeamConfig`` of models, or a team made before. Subtitles are found
    by themselves where they lie beside or inside the video. The trace's ``answer``, ``option_index``
    and ``evidence`` hold what was found.
    Raises DataError for an unreadable video and UsageError for an impossible call.
    """
    asked, warnings = make_question(question, options)
    playing = load_team(team) if isinstance(team, TeamConfig | str) else team
    episode = open_video(video, subtitles, progress, warnings=warnings)
    return answer(asked, episode, playing, settings)


def make_question(text: str, options: Sequence[str] = ()) -> tuple[Question, tuple[str, ...]]:
    """A question fit to be asked, and what was ignored in it. Raises UsageError where it is empty."""
    warnings = []
    text = _readable(text)
    if not text:
        raise UsageError("the question is empty; say what you want to know")
    if len(text) > LONGEST_QUESTION:
        warnings.append(f"the question has {len(text)} characters; those after {LONGEST_QUESTION} were ignored")
        text = text[:LONGEST_QUESTION]
    choices = [_readable(option) for option in options]
    if any(not option for option in choices):
        raise UsageError("an option is empty; give each --option a text")
    if len(choices) == 1:
        warnings.append("only one option was given, so there is nothing to choose between")
    if len({option.casefold() for option in choices}) < len(choices):
        warnings.append("some options are equal; the first of them stands for all")
    return Question(text, tuple(choices)), tuple(warnings)


def _readable(text: str) -> str:
    """Bytes of a command line that are no UTF-8 come as lone surrogates, which cannot be printed."""
    return text.encode("utf-8", errors="replace").decode("utf-8").strip()
