"""The videos that a server has opened, and what it reads of them while nobody waits."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from PIL import Image

from longvideoagent.index.location import DIR_VARIABLE
from longvideoagent.server.library import Library
from longvideoagent.server.video_cache import VideoCache

NUM_FRAMES = 1500
"""500 seconds: more than a first pass."""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library with a folder of frames without text that all look alike."""
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "indexes"))
    folder = tmp_path / "library" / "frames"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 48), (40, 90, 40)).save(folder / "00001.jpg")
    for number in range(2, NUM_FRAMES + 1):
        os.link(folder / "00001.jpg", folder / f"{number:05}.jpg")
    return Library(tmp_path / "library", tmp_path / "library" / ".data")


def test_text_on_screen_is_read_on(library: Library) -> None:
    async def scenario() -> None:
        (item,) = library.videos()
        cache = VideoCache(library)
        try:
            first = await cache.video(item)
            assert "(40 of 125)" in first.timeline.unread
            assert any("lva index frames" in warning for warning in first.warnings)
            latest = first
            while latest.timeline.unread:
                latest = await cache.video(item)
                await asyncio.sleep(0.02)
            assert latest.warnings == ()
            assert latest.timeline.clips == first.timeline.clips
        finally:
            cache.close()

    asyncio.run(asyncio.wait_for(scenario(), 600))
