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
from longvideoagent.core.types import VisionResult
from longvideoagent.errors import ModelError
from longvideoagent.media.readers.base import VideoReader

LOOK, ANSWER = "<think>hm</think><visual_query>the wall</visual_query>", "<think>so</think><answer>a1</answer>"
LINES = (
    "Mira: The kettle is on the roof.",
    "Otto: Nobody knows why the lamp is torn.",
    "Mira: The train leaves at nine.",
)


@pytest.fixture
def library(tmp_path: Path, short_video: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    shutil.copy(short_video, folder / "a.mp4")
    cues = [f"{i + 1}\n00:00:0{3 * i},000 --> 00:00:0{3 * i + 2},000\n{line}\n" for i, line in enumerate(LINES)]
    (folder / "a.srt").write_text("\n".join(cues))
    return folder


@dataclass(frozen=True)
class SlowVision:
    """Sees nothing, and takes as long as it is let."""

    seconds: float
    looks: list[str] = field(default_factory=list)

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:  # noqa: ARG002
        self.looks.append(request.query)
        await asyncio.sleep(self.seconds)
        return VisionResult("a wall")


@dataclass(frozen=True)
class BrokenVision:
    """Is down."""

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:  # noqa: ARG002
        raise ModelError("the server at 10.0.0.7 does not answer")


def scripted(folder: Path, *replies: str) -> Team:
    """A team whose master says what it is told to; one ask alone, since a script has an end."""
    script = folder / "script.json"
    script.write_text(json.dumps(replies))
    return load_team(TeamConfig(master=AgentConfig(model=f"scripted:{script}")))
