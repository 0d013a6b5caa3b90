"""What the routes of the server share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from longvideoagent.server.jobs import JobQueue
from longvideoagent.server.library import Library
from longvideoagent.server.runs import Runs
from longvideoagent.server.video_cache import VideoCache


@dataclass(frozen=True, slots=True)
class AppState:
    """Everything that is served, made once."""

    library: Library
    video_cache: VideoCache
    asks: JobQueue
    runs: Runs
    teams: Mapping[str, str]
    """Who plays in each team, by its name; the first is asked unless another is named."""
    max_upload_bytes: int
    """Of an upload."""


def app_state(request: Request) -> AppState:
    """What the application that got this request serves."""
    told: AppState = request.app.state.app_state
    return told
