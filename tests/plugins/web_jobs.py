"""A library of one captioned video, and teams whose replies and vision are scripted."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from longvideoagent.agents.base import Team
from longvideoagent.agents.build import load_team
from longvideoagent.agents.config import AgentConfig, TeamConfig
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import Subtitle, VisionResult
from longvideoagent.errors import ModelError
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.media.subtitles import subtitle_text
from tests.plugins.media import write_video

LOOK, ANSWER = "<think>hm</think><visual_query>the wall</visual_query>", "<think>so</think><answer>a1</answer>"
LINES = (
    "Mira: The kettle is on the roof.",
    "Otto: Nobody knows why the lamp is torn.",
    "Mira: The train leaves at nine.",
)
TOPICS = ("The boat sails to the harbour.", "The baker bakes bread in the oven.")


@pytest.fixture
def library(tmp_path: Path, short_video: Path) -> Path:
    """A folder with a.mp4 and a.srt, whose lines are ``LINES``."""
    folder = tmp_path / "library"
    folder.mkdir()
    shutil.copy(short_video, folder / "a.mp4")
    cues = [f"{i + 1}\n00:00:0{3 * i},000 --> 00:00:0{3 * i + 2},000\n{line}\n" for i, line in enumerate(LINES)]
    (folder / "a.srt").write_text("\n".join(cues))
    return folder


@pytest.fixture
def talk_library(tmp_path: Path) -> Path:
    """A folder with talk.mp4, four minutes about a boat and then about bread, a line each five seconds."""
    folder = tmp_path / "talks"
    folder.mkdir()
    write_video(folder / "talk.mp4", range(0, 240_000, 1000))
    lines = [Subtitle(5.0 * number, 5.0 * number + 4, TOPICS[number // 24]) for number in range(48)]
    (folder / "talk.srt").write_text(subtitle_text(lines, "srt"))
    return folder


@dataclass(frozen=True)
class SlowVision:
    """Sees a wall after some seconds."""

    seconds: float
    queries: list[str] = field(default_factory=list)

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:  # noqa: ARG002
        self.queries.append(request.action.query)
        await asyncio.sleep(self.seconds)
        return VisionResult("a wall")


@dataclass(frozen=True)
class BrokenVision:
    """Fails like a model server that is down."""

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:  # noqa: ARG002
        raise ModelError("the server at 10.0.0.7 does not answer")


def scripted_team(folder: Path, *replies: str) -> Team:
    """A team whose master gives these replies, which are enough for one job."""
    script = folder / "script.json"
    script.write_text(json.dumps(replies))
    return load_team(TeamConfig(master=AgentConfig(model=f"scripted:{script}")))
