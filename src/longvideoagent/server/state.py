"""The state that the routes of the server share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from longvideoagent.server.jobs import JobQueue
from longvideoagent.server.library import Library
from longvideoagent.server.runs import RunCache
from longvideoagent.server.video_cache import VideoCache


@dataclass(frozen=True, slots=True)
class AppState:
    """What an application serves, created once."""

    library: Library
    video_cache: VideoCache
    job_queue: JobQueue
    run_cache: RunCache
    team_descriptions: Mapping[str, str]
    """Descriptions of the teams, by name; the first team is the default."""
    max_upload_bytes: int


def app_state(request: Request) -> AppState:
    """The state of the application that received this request."""
    state: AppState = request.app.state.app_state
    return state
