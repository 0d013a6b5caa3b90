"""Questions that are being asked: a queue, at most so many at once, and a record of each that has ended.

    KEEP/asks/ID.json   one ask that has ended: what was asked of which video, and the whole trace

Everything runs in the server's event loop; what computes does so in threads of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from longvideoagent.agents.base import Team
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Question
from longvideoagent.errors import LongVideoAgentError, UsageError, one_line
from longvideoagent.fs import atomic_write_text
from longvideoagent.run import steps
from longvideoagent.server.library import NotHereError, VideoItem
from longvideoagent.server.video_cache import VideoCache
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_line

MOST_WAITING = 200
TOLD_EVERY_S = 0.3
"""How often the progress of opening a video is looked at."""
_log = logging.getLogger(__name__)


class State(StrEnum):
    """Where an ask is. A rollout that an agent's outage ended is finished: its trace says so."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    """The video could not be opened."""


ACTIVE = (State.QUEUED, State.RUNNING)


@dataclass
class Job:
    """One question about one video, from when it was asked on."""

    id: str
    video: str
    video_name: str
    question: Question
    team: str
    settings: RolloutSettings
    asked_at: str
    """ISO 8601, UTC."""
    state: State = State.QUEUED
    cause: str = ""
    doing: str = ""
    """What is being made ready before the first step."""
    share: float | None = None
    place: int | None = None
    """In the queue, from 1."""
    trace: Trace | None = None
    is_stopping: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def change(self, **values: Any) -> None:
        """Set fields, and wake whoever watches."""
        for name, value in values.items():
            setattr(self, name, value)
        self._changed.set()
        self._changed = asyncio.Event()

    async def changes(self) -> AsyncIterator[None]:
        """Once now and after each change, until it has ended; changes that follow closely come as one."""
        while True:
            changed, has_ended = self._changed, self.state not in ACTIVE
            yield
            if has_ended:
                return
            await changed.wait()

    def line(self) -> dict[str, Any]:
        """What a list of asks shows."""
        outcome = self.trace.outcome if self.trace else None
        return {
            "id": self.id,
            "video_id": self.video,
            "video_name": self.video_name,
            "question": self.question.text,
            "state": str(self.state),
            "outcome": None if outcome is None else str(outcome),
            "answer": self.trace.answer if self.trace else "",
            "created_at": self.asked_at,
        }


@dataclass
class JobQueue:
    """All asks of a server: those that live, and the records of the others."""

    video_cache: VideoCache
    teams: Mapping[str, Team]
    folder: Path
    max_concurrency: int = 2
    _living: dict[str, Job] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Lines of the records, by id; the traces stay on the disk."""
    _unsaved: dict[str, Job] = field(default_factory=dict)
    """Those whose record could not be written."""

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.max_concurrency)
        for path in sorted(self.folder.glob("*.json")):
            try:
                ask = _read(path)
            except (OSError, ValueError, RecursionError) as error:
                _log.warning("%s: no record of an ask (%s); it is not shown", path, one_line(error))
                continue
            self._ended[ask.id] = ask.line()

    def add(self, item: VideoItem, question: Question, team: str, settings: RolloutSettings) -> Job:
        """Put a question into the queue. Raises UsageError where the queue is full or there is no such team."""
        if team not in self.teams:
            raise UsageError(f"{team}: no such team here; there are {', '.join(self.teams)}")
        if self.count(State.QUEUED) >= MOST_WAITING:
            raise UsageError(f"{MOST_WAITING} questions wait already; ask again when some are answered")
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        ask = Job(secrets.token_hex(6), item.id, item.name, question, team, settings, now)
        self._living[ask.id] = ask
        task = asyncio.create_task(self._live(ask, item))
        self._tasks[ask.id] = task
        task.add_done_callback(lambda done: self._leave(ask, done))
        self._tell_places()
        return ask

    def stop(self, ask_id: str) -> None:
        """End an ask that lives; what it has found out so far is kept. Raises NotHereError for an unknown one."""
        if self.get(ask_id).state in ACTIVE and not self._living[ask_id].is_stopping:
            self._living[ask_id].is_stopping = True  # once: a second time would cut the keeping short
            self._tasks[ask_id].cancel()

    def get(self, ask_id: str) -> Job:
        """The ask of that id, living or ended. Raises NotHereError where there is none."""
        found = self._living.get(ask_id) or self._unsaved.get(ask_id)
        if found is not None:
            return found
        if ask_id not in self._ended:
            raise NotHereError("no ask of that id is known here; reload the list")
        try:
            return _read(self.folder / f"{ask_id}.json")
        except (OSError, ValueError, RecursionError) as error:
            raise NotHereError(f"the record of ask {ask_id} cannot be read any more ({error})") from error

    def lines(self, most: int) -> list[dict[str, Any]]:
        """One for each ask, the newest first, and at most so many."""
        told = [*self._ended.values(), *(each.line() for each in (*self._living.values(), *self._unsaved.values()))]
        return sorted(told, key=lambda line: (line["created_at"], line["id"]), reverse=True)[:most]

    def count(self, state: State) -> int:
        """How many are queued, or running."""
        return sum(each.state is state for each in self._living.values())

    async def close(self) -> None:
        """Stop what lives, and let the teams' connections go."""
        tasks = list(self._tasks.values())
        for ask_id in list(self._living):
            self.stop(ask_id)
        await asyncio.gather(*tasks, return_exceptions=True)
        for team in self.teams.values():
            await team.close()

    async def _live(self, ask: Job, item: VideoItem) -> None:
        """From the queue to the record. There is one from the beginning, which counts where the server is killed."""
        begun = asyncio.create_task(
            self._keep(ask, _written(ask, State.STOPPED, "the server ended while this was asked"))
        )
        try:
            await asyncio.shield(begun)
            async with self._places:
                await self._run(ask, item)
            state, cause = State.FINISHED, ""
        except asyncio.CancelledError:
            state, cause = State.STOPPED, ""
        except (LongVideoAgentError, OSError) as error:
            state, cause = State.FAILED, self.video_cache.library.redact_paths(str(error))
        await begun  # a stop may have come before it was written, and it must not be written last
        await self._keep(ask, _written(ask, state, cause))
        ask.change(state=state, cause=cause, doing="", share=None, place=None)

    async def _run(self, ask: Job, item: VideoItem) -> None:
        ask.change(state=State.RUNNING, place=None)
        self._tell_places()
        opening = self.video_cache.opening(item)
        while not await opening.is_done_within(TOLD_EVERY_S):
            ask.change(doing=opening.doing, share=opening.share)
        episode = await opening.episode()
        ask.change(doing="", share=None)
        async for trace in steps(ask.question, episode, self.teams[ask.team], ask.settings):
            ask.change(trace=trace)

    async def _keep(self, ask: Job, told: str) -> None:
        """Write its record; without one it is known for as long as the server runs."""
        try:
            await asyncio.to_thread(self._write, ask.id, told)
            self._unsaved.pop(ask.id, None)
        except OSError as error:
            _log.error("ask %s could not be kept: %s", ask.id, error)
            self._unsaved[ask.id] = ask

    def _write(self, ask_id: str, told: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self.folder / f"{ask_id}.json", told)

    def _leave(self, ask: Job, done: asyncio.Task[None]) -> None:
        """It has ended; an error of the program itself is told, so that nobody waits for ever."""
        error = None if done.cancelled() else done.exception()
        state, cause = State.STOPPED, ""  # before it had begun
        if error is not None:
            _log.error("ask %s", ask.id, exc_info=error)
            state, cause = State.FAILED, f"the program failed ({type(error).__name__}); see the server's log"
        if ask.state in ACTIVE:
            self._unsaved[ask.id] = ask
            ask.change(state=state, cause=cause, doing="", share=None, place=None)
        if ask.id not in self._unsaved:
            self._ended[ask.id] = ask.line()
        del self._living[ask.id], self._tasks[ask.id]
        self._tell_places()

    def _tell_places(self) -> None:
        queued = [each for each in self._living.values() if each.state is State.QUEUED]
        for place, ask in enumerate(queued, 1):
            if ask.place != place:
                ask.change(place=place)


class _Record(BaseModel):
    """An ask as it lies on the disk."""

    model_config = ConfigDict(strict=True)

    video: str
    video_name: str
    question: str
    options: list[str]
    team: str
    max_rounds: Annotated[int, Field(ge=1)]
    asked_at: str
    state: Annotated[State, Field(strict=False)]
    cause: str
    trace: dict[str, Any] | None


def _written(ask: Job, state: State, cause: str) -> str:
    """The record as JSON; in ASCII, which holds whatever a model may have said."""
    record = _Record(
        video=ask.video,
        video_name=ask.video_name,
        question=ask.question.text,
        options=list(ask.question.options),
        team=ask.team,
        max_rounds=ask.settings.max_rounds,
        asked_at=ask.asked_at,
        state=state,
        cause=cause,
        trace=None if ask.trace is None else json.loads(trace_to_line(ask.trace)),
    )
    return json.dumps(record.model_dump())


def _read(path: Path) -> Job:
    """Raises OSError, ValueError or RecursionError where the file is no record."""
    told = _Record.model_validate(json.loads(path.read_text(encoding="utf-8")))
    question, settings = Question(told.question, tuple(told.options)), RolloutSettings(told.max_rounds)
    ask = Job(path.stem, told.video, told.video_name, question, told.team, settings, told.asked_at)
    ask.state, ask.cause = told.state, told.cause
    ask.trace = None if told.trace is None else trace_from_dict(told.trace)
    return ask
