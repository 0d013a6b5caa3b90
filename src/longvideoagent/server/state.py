"""What the routes of the server share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from longvideoagent.server.jobs import Asks
from longvideoagent.server.library import Library
from longvideoagent.server.runs import Runs
from longvideoagent.server.video_cache import Shelf


@dataclass(frozen=True, slots=True)
class Served:
    """Everything that is served, made once."""

    library: Library
    shelf: Shelf
    asks: Asks
    runs: Runs
    teams: Mapping[str, str]
    """Who plays in each team, by its name; the first is asked unless another is named."""
    most_bytes: int
    """Of an upload."""


def served(request: Request) -> Served:
    """What the application that got this request serves."""
    told: Served = request.app.state.served
    return told
