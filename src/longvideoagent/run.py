"""Drives rollouts: performs what a rollout requests with a team and a video.

>>> from longvideoagent import ask
>>> trace = ask("talk.mp4", "Which word is on the sign?", ["HARBOR", "CASTLE"])  # doctest: +SKIP
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.default_models import DefaultModels, choose_team
from longvideoagent.agents.hint import make_hint
from longvideoagent.core.rollout import Rollout
from longvideoagent.core.text import replace_surrogates
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Question
from longvideoagent.errors import UsageError
from longvideoagent.index.open import open_for_question
from longvideoagent.media.subtitles import SubtitleOptions
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress, no_progress

OFFLINE_VISION = "vision is offline: it reads text and colours only; add --vision with a model that takes images"
MAX_QUESTION_CHARS = 10_000
"""The rest of a longer question is cut off, with a warning."""


async def steps(question: Question, video: Video, team: Team, settings: RolloutSettings) -> AsyncIterator[Trace]:
    """Run one rollout and yield its trace after each step.

    Rollouts of one event loop run concurrently and may share a team, which the caller closes (``await team.close()``).

    Args:
        question: What is asked.
        video: An opened video; see ``open_video``.
        team: The agents; see ``load_team``.
        settings: Limits of the loop.

    Yields:
        The trace so far. Only the last one has an ``outcome``.

    Raises:
        DataError: A frame of the video cannot be read.
    """
    warnings = video.warnings
    if settings.has_vision and "vision" in team.offline_agents and "master" not in team.offline_agents:
        warnings = (*warnings, OFFLINE_VISION)
    rollout = Rollout(question, video.timeline, settings, warnings)
    while (request := rollout.request) is not None:
        rollout.receive(await team.perform(request, video.reader))
        trace = rollout.trace
        if trace.outcome is not None:
            trace = replace(trace, hint=make_hint(trace, team, video.timeline))
        yield trace


async def finish(
    question: Question,
    video: Video,
    team: Team,
    settings: RolloutSettings,
    on_step: Callable[[Trace], Awaitable[None]] | None = None,
) -> Trace:
    """Run one rollout to its end, awaiting ``on_step`` with the trace after each step. Returns the finished trace."""
    last: Trace | None = None
    async for trace in steps(question, video, team, settings):
        last = trace
        if on_step is not None:
            await on_step(trace)
    assert last is not None  # a new rollout has a request
    return last


def answer(
    question: Question,
    video: Video,
    team: Team,
    settings: RolloutSettings | None = None,
    on_step: Callable[[Trace], None] | None = None,
) -> Trace:
    """Run one rollout to its end.

    Works inside a running event loop, too, as in a notebook. Threads that share a team wait for each other; run
    concurrent rollouts in one event loop with ``steps``.

    Args:
        question: What is asked.
        video: An opened video; it can be used for any number of questions.
        team: The agents; closed at the end, and usable again.
        settings: Limits of the loop; the default is five rounds, with timeline tools if the team's master knows them.
        on_step: Called with the trace after each step.

    Returns:
        The finished trace. A failed agent is the outcome ``failed``, not an exception.

    Raises:
        DataError: A frame of the video cannot be read.

    Example:
        >>> video = open_video("talk.mp4")  # doctest: +SKIP
        >>> answer(Question("Who is late?"), video, load_team()).answer  # doctest: +SKIP
    """

    limits = settings or RolloutSettings(timeline_tools=team.timeline_tools)

    async def report(trace: Trace) -> None:
        if on_step is not None:
            on_step(trace)

    async def run() -> Trace:
        try:
            return await finish(question, video, team, limits, report)
        finally:
            await team.close()

    with team.lock:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(run())
        with ThreadPoolExecutor(1) as executor:  # this thread's loop is running, as in a notebook
            return executor.submit(asyncio.run, run()).result()


def ask(  # noqa: PLR0913 (the main public function)
    video: str | Path,
    question: str,
    options: Sequence[str] = (),
    *,
    subtitles: str | Path | Sequence[str | Path] | SubtitleOptions | None = None,
    team: str | TeamConfig | Team | None = None,
    model: str | None = None,
    master: str | None = None,
    grounding: str | None = None,
    vision: str | None = None,
    settings: RolloutSettings | None = None,
    progress: Progress = no_progress,
) -> Trace:
    """Ask a video a question.

    To ask several questions of one video, open it once with ``open_video`` and call ``answer``.

    Args:
        video: A video file, or a folder of numbered JPEG frames.
        question: What you want to know; up to 10,000 characters are read.
        options: Answer choices; empty for an open question.
        subtitles: The subtitles to use: a file, a language or a stream such as ``#2``, or several; see ``open_video``.
            By default, the best subtitles next to or inside the video are used.
        team: A team's name, a ``TeamConfig`` of models, or a loaded team. None: the models of LVA_MODEL or ``lva
            config``, else the offline team.
        model: The model spec of all agents, such as ``openai:gpt-5-mini``.
        master: The model spec of the master, in place of ``model``; likewise ``grounding`` and ``vision``.
        grounding: The model spec of the grounding agent.
        vision: The model spec of the vision agent.
        settings: Limits of the loop; the default is five rounds.
        progress: Called with a stage and its fraction while the video is opened.

    Returns:
        The finished trace: ``answer``, ``option_index``, ``evidence`` with seconds in the video, and ``outcome``.

    Raises:
        DataError: The video, or a given file, cannot be read.
        UsageError: The question or an option is empty, the team does not exist or needs something that is missing, or
            a loaded team is given together with models.

    Example:
        >>> trace = ask("talk.mp4", "Who is late?", ["Mira", "Otto"])  # doctest: +SKIP
        >>> trace.outcome, trace.answer  # doctest: +SKIP
    """
    checked, warnings = make_question(question, options)
    models = DefaultModels(model=model, master=master, grounding=grounding, vision=vision)
    loaded_team = _load_team(team, models)
    return answer(checked, open_for_question(video, subtitles, progress, warnings=warnings), loaded_team, settings)


def _load_team(team: str | TeamConfig | Team | None, models: DefaultModels) -> Team:
    if isinstance(team, Team):
        if models != DefaultModels():
            raise UsageError("a loaded team has its models already; give a team or models")
        return team
    return load_team(models.applied(team) if isinstance(team, TeamConfig) else choose_team(team, models))


class CheckedQuestion(NamedTuple):
    """A question that can be asked, and warnings about what was ignored in it."""

    question: Question
    warnings: tuple[str, ...]


def make_question(text: str, options: Sequence[str] = ()) -> CheckedQuestion:
    """Check a question and its options. Raises UsageError if one of them is empty."""
    warnings = []
    text = replace_surrogates(text).strip()
    if not text:
        raise UsageError("the question is empty; say what you want to know")
    if len(text) > MAX_QUESTION_CHARS:
        warnings.append(f"the question has {len(text)} characters; those after {MAX_QUESTION_CHARS} were ignored")
        text = text[:MAX_QUESTION_CHARS]
    choices = [replace_surrogates(option).strip() for option in options]
    if any(not option for option in choices):
        raise UsageError("an option is empty; give each --option a text")
    if len(choices) == 1:
        warnings.append("only one option was given, so there is nothing to choose between")
    if len({option.casefold() for option in choices}) < len(choices):
        warnings.append("some options are equal; the first of them stands for all")
    return CheckedQuestion(Question(text, tuple(choices)), tuple(warnings))
