"""Questions in the order of their videos, and each video opened once for all of its questions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from longvideoagent.datasets.base import Dataset
from longvideoagent.datasets.gold import Sample
from longvideoagent.media.video import Video

MAX_OPEN = 8


def order_by_video(samples: Sequence[Sample]) -> list[Sample]:
    """The samples grouped by video, videos in the order of their first sample."""
    ranks = {video: rank for rank, video in enumerate(dict.fromkeys(sample.video for sample in samples))}
    return sorted(samples, key=lambda sample: ranks[sample.video])


class OpenVideos:
    """Videos opened once, in a thread, for all questions that wait for them; the latest ``MAX_OPEN`` stay open."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._tasks: OrderedDict[str, asyncio.Task[Video]] = OrderedDict()

    async def get(self, video: str) -> Video:
        """The open video. Raises DataError if it cannot be opened."""
        if video not in self._tasks:
            self._tasks[video] = asyncio.create_task(asyncio.to_thread(self._data.open_video, video))
        self._tasks.move_to_end(video)
        while len(self._tasks) > MAX_OPEN:
            self._tasks.popitem(last=False)
        return await asyncio.shield(self._tasks[video])
