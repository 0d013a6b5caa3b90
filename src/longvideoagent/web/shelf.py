"""Videos that have been made ready for questions, kept for as long as they and their subtitles stay what they were."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from longvideoagent.media.episode import Episode, open_episode
from longvideoagent.web.library import Library, VideoItem

MOST_KEPT = 16
AT_ONCE = 2
"""Videos that are made ready at the same time: each may read text off its screen for minutes."""

Mark = tuple[object, ...]


@dataclass
class Opening:
    """A video that is being made ready, or is."""

    task: asyncio.Future[Episode] | None = None
    doing: str = "opening the video"
    share: float = 0.0

    def tell(self, doing: str, share: float) -> None:
        """How far it is; called from the thread that works."""
        self.doing, self.share = doing, share

    async def is_done_within(self, seconds: float) -> bool:
        """Whether it has ended, well or not, before so much time has passed."""
        assert self.task is not None  # every opening has begun
        return bool((await asyncio.wait([self.task], timeout=seconds))[0])


@dataclass
class Shelf:
    """Opens each video once, however many ask for it."""

    library: Library
    _openings: dict[Mark, Opening] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE, "opening"))

    def opening(self, item: VideoItem) -> Opening:
        """Begin to make a video ready, or go on with it. Its task raises DataError where it cannot be read; the next
        call tries again."""
        subtitles = self.library.subtitles(item)
        mark = (item.path, _state(item.path), subtitles, subtitles and _state(subtitles))
        found = self._openings.pop(mark, None)
        if found is None or (found.task is not None and found.task.done() and _has_failed(found.task)):
            found = Opening()
            work = partial(open_episode, item.path, subtitles, found.tell)
            found.task = asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._openings[mark] = found  # the latest asked for is the last to go
        for old in list(self._openings)[: max(0, len(self._openings) - MOST_KEPT)]:
            del self._openings[old]
        return found

    async def episode(self, item: VideoItem) -> Episode:
        """The video made ready. Raises DataError where it cannot be read."""
        task = self.opening(item).task
        assert task is not None  # every opening has begun
        return await asyncio.shield(task)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _has_failed(task: asyncio.Future[Episode]) -> bool:
    return task.cancelled() or task.exception() is not None


def _state(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_mtime_ns, told.st_size
