"""Job records on disk: one JSON file for each job, written when it starts and when it ends.

    DATA_DIR/jobs/ID.json   the question, the video, the settings, the state and the whole trace
    DATA_DIR/asks/ID.json   records of version 1; they are read and never changed

A record of an older version is migrated when it is read; a record of a newer one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from longvideoagent.errors import DataError, one_line
from longvideoagent.fs import atomic_write_text
from longvideoagent.server.fingerprint import Fingerprint, file_fingerprint

RECORD_VERSION: Literal[2] = 2
JOBS_DIR = "jobs"
VERSION_1_DIR = "asks"


class JobState(StrEnum):
    """Where a job is. A rollout that an agent's outage ended is finished: its trace says so."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    """The video could not be opened."""


class JobRecord(BaseModel):
    """A job as it is stored. ``trace`` is in the form of ``views.trace_dict``, or None if no step has happened."""

    model_config = ConfigDict(strict=True)

    version: Literal[2] = RECORD_VERSION
    video_id: str
    video_name: str
    question: str
    options: list[str]
    team: str
    max_rounds: Annotated[int, Field(ge=1)]
    created_at: str
    """ISO 8601, UTC."""
    state: Annotated[JobState, Field(strict=False)]
    cause: str
    trace: dict[str, Any] | None
    title: str = ""
    """What the job was renamed to; empty: its question."""
    server: str = ""
    """The id of the server that runs the job, see ``server_lock``; empty when it has ended. ``state`` and ``cause`` are
    those of a job whose server was killed."""


@dataclass(frozen=True, slots=True)
class JobStore:
    """Reads and writes the job records in a data directory."""

    data_dir: Path

    def fingerprints(self) -> dict[str, Fingerprint]:
        """The fingerprints of all records by the ids of their jobs, in order."""
        paths = (path for name in (VERSION_1_DIR, JOBS_DIR) for path in (self.data_dir / name).glob("*.json"))
        found: dict[str, Fingerprint] = {}
        for path in paths:
            with suppress(OSError):  # deleted meanwhile
                found[path.stem] = file_fingerprint(path)
        return dict(sorted(found.items()))

    def read(self, job_id: str) -> JobRecord:
        """The record of a job, migrated to the current version. Raises DataError if it cannot be read."""
        path = self._path(job_id)
        try:
            return JobRecord.model_validate(_migrate(json.loads(path.read_text(encoding="utf-8"))))
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise DataError(f"{path}: not a job record ({field} is invalid); restore or remove it") from error
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path}: not a job record ({one_line(error)}); restore or remove it") from error

    def write(self, job_id: str, record: JobRecord) -> None:
        """Write a record. It is ASCII, which holds any text that a model may write. Raises OSError."""
        folder = self.data_dir / JOBS_DIR
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(folder / f"{job_id}.json", json.dumps(record.model_dump()))

    def delete(self, job_id: str) -> None:
        """Delete the record of a job in every version. Raises OSError."""
        for name in (JOBS_DIR, VERSION_1_DIR):
            (self.data_dir / name / f"{job_id}.json").unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        path = self.data_dir / JOBS_DIR / f"{job_id}.json"
        old_path = self.data_dir / VERSION_1_DIR / path.name
        return old_path if old_path.exists() and not path.exists() else path


# --- migrations: each takes a record of version n and returns one of version n + 1 ---------------


def _from_version_1(record: Mapping[str, Any]) -> dict[str, Any]:
    """Development builds before 0.1.0, which wrote no version. Traces have versions of their own."""
    renamed = {"video": "video_id", "asked_at": "created_at"}
    return {renamed.get(name, name): value for name, value in record.items()} | {"version": 2}


_MIGRATIONS: tuple[Callable[[Mapping[str, Any]], dict[str, Any]], ...] = (_from_version_1,)


def _migrate(record: Any) -> dict[str, Any]:
    """Raises ValueError if the record is not an object or its version is not known."""
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    migrated: dict[str, Any] = record
    version = migrated.get("version", 1)
    if version not in range(1, RECORD_VERSION + 1):
        raise ValueError(f"version {version!r} is not known; update longvideoagent")
    for migrate in _MIGRATIONS[version - 1 :]:
        migrated = migrate(migrated)
    return migrated
