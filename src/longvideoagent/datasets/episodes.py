"""Questions episode by episode, and each episode opened once for all of its questions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from longvideoagent.datasets.base import DataSet
from longvideoagent.datasets.gold import Sample
from longvideoagent.media.video import Video

MOST_OPEN = 8


def by_episode(samples: Sequence[Sample]) -> list[Sample]:
    """Episode by episode, in the order in which episodes first occur."""
    place = {video: number for number, video in enumerate(dict.fromkeys(sample.video for sample in samples))}
    return sorted(samples, key=lambda sample: place[sample.video])


class OpenVideos:
    """Episodes opened once, in a thread, for all questions that wait for them; the latest few are kept."""

    def __init__(self, data: DataSet) -> None:
        self._data = data
        self._open: OrderedDict[str, asyncio.Task[Video]] = OrderedDict()

    async def get(self, video: str) -> Video:
        """Raises DataError where the video cannot be had."""
        if video not in self._open:
            self._open[video] = asyncio.create_task(asyncio.to_thread(self._data.episode, video))
        self._open.move_to_end(video)
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return await asyncio.shield(self._open[video])
