"""Videos that have been made ready for questions, kept for as long as they and their subtitles stay what they were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from longvideoagent.errors import LongVideoAgentError
from longvideoagent.media.video import Video, open_video
from longvideoagent.progress import Progress
from longvideoagent.server.library import Library, VideoItem
from longvideoagent.server.playback.plan import check_safe_container

MOST_KEPT = 16
AT_ONCE = 2
"""Videos that are made ready at the same time: each may read text off its screen for minutes."""
PATIENCE_S = 30.0
"""How long a video is made ready for nobody."""
POLL_S = 1.0

Fingerprint = tuple[object, ...]


class GivenUpError(LongVideoAgentError):
    """Nobody waits for the video any more, or the server ends."""


class VideoLoad:
    """A video that is being made ready, or is. Whoever waits for it has to ask now and then."""

    def __init__(self, begin: Callable[[Progress], asyncio.Future[Video]]) -> None:
        self.doing, self.share = "waiting for other videos to be opened", 0.0
        self._is_closed = False
        self._asked_s = time.monotonic()
        self._task = begin(self._tell)

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._task.done()

    @property
    def has_failed(self) -> bool:
        """Whether it has ended without a video."""
        return self._task.done() and (self._task.cancelled() or self._task.exception() is not None)

    async def is_done_within(self, seconds: float) -> bool:
        """Whether it has ended, well or not, before so much time has passed."""
        self._asked_s = time.monotonic()
        return bool((await asyncio.wait([self._task], timeout=seconds))[0])

    async def episode(self) -> Video:
        """The video, once it is ready. Raises DataError where it cannot be read."""
        while not await self.is_done_within(POLL_S):
            pass
        return self._task.result()

    def close(self) -> None:
        """Have it end at the next thing that it tells."""
        self._is_closed = True

    def _tell(self, doing: str, share: float) -> None:
        """How far it is; called from the thread that works, and the one place where it can be stopped."""
        if self._is_closed or time.monotonic() - self._asked_s > PATIENCE_S:
            raise GivenUpError("nobody waits for this video any more; ask for it again")
        self.doing, self.share = doing, share


@dataclass
class VideoCache:
    """Opens each video once, however many ask for it."""

    library: Library
    _openings: dict[Fingerprint, VideoLoad] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE, "opening"))

    def opening(self, item: VideoItem) -> VideoLoad:
        """Begin to make a video ready, or go on with it; what has failed is tried again. Raises DataError where its
        subtitles may not be used."""
        subtitles = self.library.subtitles(item)
        mark = (item.path, _state(item.path), subtitles, subtitles and _state(subtitles))
        found = self._openings.pop(mark, None)
        if found is None or found.has_failed:
            found = VideoLoad(lambda progress: self._begin(item.path, subtitles, progress))
        self._openings[mark] = found  # the latest asked for is the last to go
        done = [mark for mark, each in self._openings.items() if each.is_done and each is not found]
        for old in done[: max(0, len(self._openings) - MOST_KEPT)]:
            del self._openings[old]
        return found

    async def episode(self, item: VideoItem) -> Video:
        """The video made ready. Raises DataError where it cannot be read."""
        return await self.opening(item).episode()

    def close(self) -> None:
        """Begin nothing more, and let what is under way end soon."""
        for opening in self._openings.values():
            opening.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, path: Path, subtitles: Path | None, progress: Progress) -> asyncio.Future[Video]:
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(self._open, path, subtitles, progress))

    def _open(self, path: Path, subtitles: Path | None, progress: Progress) -> Video:
        progress("opening the video", 0.0)
        check_safe_container(path)
        episode = open_video(path, subtitles, progress)
        return replace(episode, warnings=tuple(map(self.library.redact_paths, episode.warnings)))


def _state(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_mtime_ns, told.st_size
