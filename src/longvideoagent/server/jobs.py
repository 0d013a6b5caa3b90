"""The job queue: each job is one question put to one video; a limited number of jobs runs at the same time.

Everything runs in the server's event loop; computations run in threads. Records of jobs are in ``job_record``.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from longvideoagent.agents.base import Team
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Question
from longvideoagent.errors import DataError, LongVideoAgentError, UsageError
from longvideoagent.log import logger
from longvideoagent.media import isolation
from longvideoagent.models.retry import report_retries
from longvideoagent.run import steps
from longvideoagent.server.fingerprint import Fingerprint
from longvideoagent.server.job_record import JobRecord, JobState, JobStore
from longvideoagent.server.library import LibraryVideo, NotFoundError
from longvideoagent.server.server_lock import ServerLock
from longvideoagent.server.video_cache import VideoCache
from longvideoagent.views.trace_dict import trace_from_dict, trace_to_dict

MAX_QUEUED = 200
REFRESH_S = 1.0
"""How often the records of other servers are looked for."""
PROGRESS_POLL_S = 0.3
"""How often the progress of opening a video is read."""
ACTIVE = (JobState.QUEUED, JobState.RUNNING)
_KILLED = "the server ended while this job was running"


class JobStoppedError(LongVideoAgentError):
    """Nobody waits for the answer of a question any more."""


@dataclass
class Job:
    """One question put to one video."""

    id: str
    video_id: str
    video_name: str
    question: Question
    team: str
    settings: RolloutSettings
    created_at: str
    """ISO 8601, UTC."""
    state: JobState = JobState.QUEUED
    cause: str = ""
    stage: str = ""
    """What is being prepared before the first step, or why a call is tried again."""
    fraction: float | None = None
    """How much of the stage is done, 0 to 1."""
    queue_position: int | None = None
    """From 1."""
    trace: Trace | None = None
    title: str = ""
    """What it was renamed to; empty: its question."""
    is_elsewhere: bool = False
    """Whether another server of this library runs it."""
    is_stopping: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def is_active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in ACTIVE

    def update(self, **values: Any) -> None:
        """Set fields, and wake all readers of ``changes``."""
        for name, value in values.items():
            setattr(self, name, value)
        self._changed.set()
        self._changed = asyncio.Event()

    def check_not_stopping(self, _stage: str, _fraction: float, /) -> None:
        """Raise ``JobStoppedError`` if the job is being stopped. Called in the threads that wait for media files, which
        are not interrupted otherwise; raising ends the child process that reads one."""
        if self.is_stopping:
            raise JobStoppedError("the question was stopped")

    def end(self, state: JobState, cause: str) -> None:
        """Set the final state."""
        self.update(state=state, cause=cause, stage="", fraction=None, queue_position=None)

    async def changes(self) -> AsyncIterator[None]:
        """Yield once now and after each change, until the job ends; changes in quick succession are one."""
        while True:
            changed, is_active = self._changed, self.is_active
            yield
            if not is_active:
                return
            await changed.wait()

    def summary(self) -> dict[str, Any]:
        """The job's fields in a list of jobs."""
        outcome = self.trace.outcome if self.trace else None
        return {
            "id": self.id,
            "video_id": self.video_id,
            "video_name": self.video_name,
            "question": self.question.text,
            "title": self.title,
            "state": str(self.state),
            "outcome": None if outcome is None else str(outcome),
            "answer": self.trace.answer if self.trace else "",
            "created_at": self.created_at,
        }


@dataclass
class JobQueue:
    """All jobs of a server: those that are active, and the records of the others."""

    video_cache: VideoCache
    teams: Mapping[str, Team]
    store: JobStore
    concurrency: int = 2
    _active: dict[str, Job] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _saved: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Summaries of the records, by id; the traces stay on disk."""
    _unsaved: dict[str, Job] = field(default_factory=dict)
    """Ended jobs whose record could not be written."""
    _fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    """Of the records that were read, by job id."""
    _refreshed_at_s: float = -math.inf
    """On the monotonic clock."""

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._lock = ServerLock(self.store.data_dir)
        self._refresh()

    def _refresh(self) -> None:
        """Read the records that are new or changed: other servers of the same library write some, too."""
        if time.monotonic() - self._refreshed_at_s < REFRESH_S:
            return
        found = self.store.fingerprints()
        for job_id in self._fingerprints.keys() - found.keys():
            self._saved.pop(job_id, None)
        for job_id, fingerprint in found.items():
            is_elsewhere = self._saved.get(job_id, {}).get("state") in ACTIVE  # its server may end without a word
            is_known = fingerprint == self._fingerprints.get(job_id) and not is_elsewhere
            if is_known or job_id in self._active or job_id in self._unsaved:
                continue
            try:
                self._saved[job_id] = self._load(job_id).summary()
            except DataError as error:
                self._saved.pop(job_id, None)
                logger.warning("%s (this job is not shown)", error)
        self._fingerprints = found
        self._refreshed_at_s = time.monotonic()

    def submit(self, item: LibraryVideo, question: Question, team: str, settings: RolloutSettings) -> Job:
        """Put a question into the queue. Raises UsageError if the queue is full or the team is unknown."""
        if team not in self.teams:
            raise UsageError(f"{team}: not a team of this server; choose one of {', '.join(self.teams)}")
        if self.count(JobState.QUEUED) >= MAX_QUEUED:
            raise UsageError(f"{MAX_QUEUED} questions are in the queue; ask again when some are answered")
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        job = Job(secrets.token_hex(6), item.id, item.name, question, team, settings, now)
        self._active[job.id] = job
        task = asyncio.create_task(self._run(job, item))
        self._tasks[job.id] = task
        task.add_done_callback(lambda done: self._on_done(job, done))
        self._update_positions()
        return job

    def stop(self, job_id: str) -> None:
        """Stop a job if it is active; its trace so far is kept. Raises NotFoundError if it is unknown, and UsageError
        if another server runs it."""
        if self.get(job_id).is_elsewhere:
            raise UsageError("another server of this library answers this question; stop it there")
        if self.get(job_id).is_active and not self._active[job_id].is_stopping:
            self._active[job_id].is_stopping = True  # cancel once: a second time would interrupt the saving
            self._tasks[job_id].cancel()

    async def rename(self, job_id: str, title: str) -> Job:
        """Show a job under another title; an empty one shows its question again. Raises NotFoundError, and UsageError
        if another server runs it."""
        job = self.get(job_id)
        if job.is_elsewhere:
            raise UsageError("another server of this library answers this question; rename it when it has ended")
        job.update(title=title.strip())
        if not job.is_active:  # or the final record will have it
            await self._save(job, _to_record(job, job.state, job.cause))
            if job.id not in self._unsaved:
                self._saved[job.id] = job.summary()
        return job

    async def delete(self, job_id: str) -> None:
        """Delete an ended job. Raises NotFoundError, UsageError if it is active, and OSError."""
        if self.get(job_id).is_active:
            raise UsageError("this question is being answered; stop it first")
        await asyncio.to_thread(self.store.delete, job_id)
        self._saved.pop(job_id, None)
        self._unsaved.pop(job_id, None)

    def is_asking(self, video_id: str) -> bool:
        """Whether a job about this video is active."""
        self._refresh()
        summaries = (*(job.summary() for job in self._active.values()), *self._saved.values())
        return any(summary["video_id"] == video_id and summary["state"] in ACTIVE for summary in summaries)

    def get(self, job_id: str) -> Job:
        """The job of that id, active or ended. Raises NotFoundError if it is unknown or its record is unreadable."""
        job = self._active.get(job_id) or self._unsaved.get(job_id)
        if job is not None:
            return job
        if job_id not in self._saved:
            self._refresh()
        if job_id not in self._saved:
            raise NotFoundError("no job has this id; reload the list")
        try:
            return self._load(job_id)
        except DataError as error:
            raise NotFoundError(f"the record of job {job_id} cannot be read any more ({error})") from error

    def summaries(self, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` jobs, newest first."""
        self._refresh()
        current = (job.summary() for job in (*self._active.values(), *self._unsaved.values()))
        newest_first = sorted(
            (*self._saved.values(), *current), key=lambda summary: (summary["created_at"], summary["id"]), reverse=True
        )
        return newest_first[:limit]

    def count(self, state: JobState) -> int:
        """The number of active jobs in a state."""
        return sum(job.state is state for job in self._active.values())

    async def close(self) -> None:
        """Stop all active jobs, and close the teams' connections."""
        tasks = list(self._tasks.values())
        for job_id in list(self._active):
            self.stop(job_id)
        await asyncio.gather(*tasks, return_exceptions=True)
        for team in self.teams.values():
            await team.close()
        self._lock.close()

    async def watch(self, job: Job) -> AsyncIterator[Job]:
        """Yield a job now and after each change, until it ends; a job of another server whenever its record may have
        changed."""
        async for _ in job.changes() if not job.is_elsewhere else _now():
            yield job
        while job.is_elsewhere:
            await asyncio.sleep(REFRESH_S)
            job = self.get(job.id)
            yield job

    async def _run(self, job: Job, item: LibraryVideo) -> None:
        """From the queue to the final record. The record written at the start counts if the server is killed."""
        first_record = _to_record(job, JobState.STOPPED, _KILLED).model_copy(update={"server": self._lock.id})
        first_save = asyncio.create_task(self._save(job, first_record))
        try:
            async with self._slots:  # before anything else is awaited, so that jobs run in the order of submission
                await asyncio.shield(first_save)
                await self._run_steps(job, item)
            state, cause = JobState.FINISHED, ""
        except asyncio.CancelledError:
            state, cause = JobState.STOPPED, ""
        except (LongVideoAgentError, OSError) as error:
            state, cause = JobState.FAILED, self.video_cache.library.redact_paths(str(error))
        await first_save  # a stop may have come before it was written, and it must not be written last
        await self._save(job, _to_record(job, state, cause))
        job.end(state, cause)

    async def _run_steps(self, job: Job, item: LibraryVideo) -> None:
        job.update(state=JobState.RUNNING, queue_position=None)
        self._update_positions()
        load = self.video_cache.load(item)
        try:
            while not await load.is_done_within(PROGRESS_POLL_S, job.id):
                job.update(stage=load.stage, fraction=load.fraction)
        finally:
            load.leave(job.id)
        video = await load.video()
        job.update(stage="", fraction=None)
        report_retries(lambda problem: job.update(stage=problem))
        team = self.teams[job.team]
        settings = replace(job.settings, timeline_tools=team.timeline_tools)
        with isolation.reporting(job.check_not_stopping):
            async for trace in steps(job.question, video, team, settings):
                job.update(trace=trace, stage="")

    async def _save(self, job: Job, record: JobRecord) -> None:
        """Write a record. A job without one is known as long as the server runs."""
        try:
            await asyncio.to_thread(self.store.write, job.id, record)
            self._unsaved.pop(job.id, None)
        except OSError as error:
            logger.error("job %s could not be saved: %s", job.id, error)
            self._unsaved[job.id] = job

    def _load(self, job_id: str) -> Job:
        """A job from its record. Raises DataError."""
        record = self.store.read(job_id)
        question = Question(record.question, tuple(record.options))
        try:
            trace = None if record.trace is None else trace_from_dict(record.trace)
        except ValueError as error:
            raise DataError(f"job {job_id}: its trace cannot be read ({error})") from error
        job = Job(
            id=job_id,
            video_id=record.video_id,
            video_name=record.video_name,
            question=question,
            team=record.team,
            settings=RolloutSettings(record.max_rounds),
            created_at=record.created_at,
            state=record.state,
            cause=record.cause,
            trace=trace,
            title=record.title,
        )
        if record.server not in ("", self._lock.id) and self._lock.is_running(record.server):
            job.state, job.cause, job.is_elsewhere = JobState.RUNNING, "", True
        return job

    def _on_done(self, job: Job, task: asyncio.Task[None]) -> None:
        """Move a job out of the active ones. An error of the program is logged and ends the job as failed."""
        error = None if task.cancelled() else task.exception()
        state, cause = JobState.STOPPED, ""  # it was cancelled before it started
        if error is not None:
            logger.error("job %s failed: %r", job.id, error, exc_info=error)
            state, cause = JobState.FAILED, f"the program failed ({type(error).__name__}); see the server's log"
        if job.is_active:
            self._unsaved[job.id] = job
            job.end(state, cause)
        if job.id not in self._unsaved:
            self._saved[job.id] = job.summary()
        del self._active[job.id], self._tasks[job.id]
        self._update_positions()

    def _update_positions(self) -> None:
        queued = [job for job in self._active.values() if job.state is JobState.QUEUED]
        for position, job in enumerate(queued, 1):
            if job.queue_position != position:
                job.update(queue_position=position)


async def _now() -> AsyncIterator[None]:
    yield


def _to_record(job: Job, state: JobState, cause: str) -> JobRecord:
    return JobRecord(
        video_id=job.video_id,
        video_name=job.video_name,
        question=job.question.text,
        options=list(job.question.options),
        team=job.team,
        max_rounds=job.settings.max_rounds,
        created_at=job.created_at,
        state=state,
        cause=cause,
        trace=None if job.trace is None else trace_to_dict(job.trace),
        title=job.title,
    )
