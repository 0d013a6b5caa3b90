"""Opened videos, cached as long as the video file and its subtitle file stay unchanged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from longvideoagent.errors import LongVideoAgentError
from longvideoagent.index.open import index_video
from longvideoagent.index.screen_text import FIRST_FRAMES, PASS_FRAMES, USUAL_FRAMES
from longvideoagent.log import logger
from longvideoagent.media.readers.base import open_reader
from longvideoagent.media.subtitles import SubtitleOptions
from longvideoagent.media.video import Video
from longvideoagent.progress import Progress
from longvideoagent.server.fingerprint import Fingerprint, file_fingerprint
from longvideoagent.server.library import Library, LibraryVideo

MAX_VIDEOS = 16
MAX_LOADS = 2
"""Videos that are opened at the same time: reading text on screen takes seconds for each, and speech minutes."""
READ_ON_FRAMES = [count for count in PASS_FRAMES if FIRST_FRAMES < count <= USUAL_FRAMES]
"""Frames whose text is read once a video was opened, while nobody waits."""
ABANDONED_S = 30.0
"""How long a video is loaded without anybody waiting for it."""
POLL_S = 1.0


class LoadAbandonedError(LongVideoAgentError):
    """Nobody waits for the video any more, or the server is shutting down."""


class VideoLoad:
    """A video that is being opened, or is open. Whoever waits for it has to poll it, or it is abandoned."""

    def __init__(self, start: Callable[[Progress], asyncio.Future[Video]]) -> None:
        self.stage, self.fraction = "waiting for other videos to be opened", 0.0
        self._is_closed = False
        self._started_at_s = time.monotonic()
        self._polled_at_s = {"": self._started_at_s}
        """When those who wait have last polled it, by name."""
        self._task = start(self._on_progress)
        self._task.add_done_callback(_retrieve_exception)

    @property
    def is_done(self) -> bool:
        """Whether the load has ended, successfully or not."""
        return self._task.done()

    @property
    def has_failed(self) -> bool:
        """Whether the load has ended without a video."""
        return self._task.done() and (self._task.cancelled() or self._task.exception() is not None)

    async def is_done_within(self, timeout_s: float, waiter: str = "") -> bool:
        """Wait for at most that long; whether the load has ended, successfully or not. A ``waiter`` with a name says
        when it leaves."""
        self._polled_at_s[waiter] = time.monotonic()
        done, _ = await asyncio.wait([self._task], timeout=timeout_s)
        return bool(done)

    async def video(self) -> Video:
        """Wait for the video. Raises DataError if it cannot be read."""
        while not await self.is_done_within(POLL_S):
            pass
        return self._task.result()

    def leave(self, waiter: str) -> None:
        """End the wait of a waiter. The load is abandoned at once if nobody else has polled it for a while."""
        self._polled_at_s.pop(waiter, None)
        if self._polled_at_s.get("") == self._started_at_s:
            del self._polled_at_s[""]  # nobody without a name has polled it

    def close(self) -> None:
        """Abandon the load at its next progress report."""
        self._is_closed = True

    def _on_progress(self, stage: str, fraction: float) -> None:
        """Called from the thread that opens the video; raising here is the only way to interrupt it."""
        polled_at_s = max(list(self._polled_at_s.values()), default=-ABANDONED_S)
        if self._is_closed or time.monotonic() - polled_at_s > ABANDONED_S:
            raise LoadAbandonedError("nobody waits for this video any more; open it again")
        self.stage, self.fraction = stage, fraction


def _retrieve_exception(task: asyncio.Future[Video]) -> None:
    """Or asyncio logs the traceback of an abandoned load, whose exception nobody reads."""
    if not task.cancelled():
        task.exception()


@dataclass
class VideoCache:
    """Opens each video once, however many requests need it."""

    library: Library
    _loads: dict[Fingerprint, VideoLoad] = field(default_factory=dict)
    """Least recently used first."""
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(MAX_LOADS, "video-load"))
    _reader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "video-read-on"))
    """Reads the text on screen of videos that were opened with a part of it."""
    _read_on: set[Fingerprint] = field(default_factory=set)
    """Videos that it reads, or has read."""
    _outdated: set[Fingerprint] = field(default_factory=set)
    """Videos of which more is in the index than their load has."""
    _is_closed: bool = False

    def load(self, item: LibraryVideo) -> VideoLoad:
        """Start to open a video, or join a load that exists; a failed load is started again. Raises DataError if the
        video's subtitles are outside of the library."""
        uploaded, sidecars = self.library.uploaded_subtitles(item), self.library.sidecars(item)
        files = (item.path, *sidecars) if uploaded is None else (item.path, *sidecars, uploaded)
        fingerprint = tuple(map(file_fingerprint, files))
        load = self._loads.pop(fingerprint, None)
        if load is None or load.has_failed or (load.is_done and fingerprint in self._outdated):
            self._outdated.discard(fingerprint)
            load = VideoLoad(partial(self._start, fingerprint, item.path, uploaded))
        self._loads[fingerprint] = load
        self._evict(load)
        return load

    async def video(self, item: LibraryVideo) -> Video:
        """The opened video. Raises DataError if it cannot be read."""
        return await self.load(item).video()

    def close(self) -> None:
        """Start no more loads, and end the current ones soon."""
        for load in self._loads.values():
            load.close()
        self._is_closed = True
        for threads in (self._threads, self._reader):
            threads.shutdown(wait=False, cancel_futures=True)

    def _evict(self, latest: VideoLoad) -> None:
        done = [fingerprint for fingerprint, load in self._loads.items() if load.is_done and load is not latest]
        for fingerprint in done[: max(0, len(self._loads) - MAX_VIDEOS)]:
            del self._loads[fingerprint]

    def _start(
        self, fingerprint: Fingerprint, path: Path, subtitles: Path | None, progress: Progress
    ) -> asyncio.Future[Video]:
        opening = partial(self._open, fingerprint, path, subtitles, progress)
        return asyncio.get_running_loop().run_in_executor(self._threads, opening)

    def _open(self, fingerprint: Fingerprint, path: Path, subtitles: Path | None, progress: Progress) -> Video:
        progress("opening the video", 0.0)
        options = SubtitleOptions(() if subtitles is None else (subtitles,), self.library.encoding)
        indexed = index_video(open_reader(path), options, progress, (), FIRST_FRAMES)
        video, is_kept = indexed.video, not indexed.problem
        if video.timeline.unread and is_kept and fingerprint not in self._read_on and not self._is_closed:
            self._read_on.add(fingerprint)
            self._reader.submit(self._read_rest, fingerprint, path, options)
        return replace(video, warnings=tuple(map(self.library.redact_paths, video.warnings)))

    def _read_rest(self, fingerprint: Fingerprint, path: Path, options: SubtitleOptions) -> None:
        """Read the text on screen pass by pass into the index, from which the next request opens the video again."""
        try:
            for max_frames in READ_ON_FRAMES:
                indexed = index_video(open_reader(path), options, self._stop_if_closed, (), max_frames)
                if indexed.problem:
                    return
                self._outdated.add(fingerprint)
                if not indexed.video.timeline.unread:
                    return
        except LongVideoAgentError as error:  # the server is closing, or the video is gone: what was read is kept
            logger.info("%s", error)

    def _stop_if_closed(self, _stage: str, _fraction: float) -> None:
        if self._is_closed:
            raise LoadAbandonedError("the server is closing")
