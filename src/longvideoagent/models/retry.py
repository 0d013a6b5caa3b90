"""Patience with a model's server, in one place: how often, how long, and how many at once."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ModelError, ThrottledError, TransientError
from longvideoagent.models.base import DEFAULTS, CallSettings, Model, TextCallback

TOLD_AFTER = 3
"""Failures after which waiting is no more a matter of a moment."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits double from ``first_wait_s`` up to ``longest_wait_s``, each cut by a random share so that
    many clients do not come back together; a server's Retry-After is honoured up to the same bound."""

    tries: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    warn: Callable[[str], None] = lambda _: None
    """Told once of each outage, when a call has failed ``TOLD_AFTER`` times, why one waits."""

    def wait_s(self, failed_tries: int, asked_s: float | None) -> float:
        """How long to wait after so many failures."""
        doubled_s = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (failed_tries - 1))
        jittered_s: float = doubled_s * random.uniform(0.5, 1.0)
        return jittered_s if asked_s is None else max(jittered_s, min(asked_s, self.longest_wait_s))


@dataclass
class AdaptiveLimiter:
    """How many calls may be under way: starts small and doubles with each round of successes (slow start)
    until the server says that it is too many; then it halves, once for the calls that were under way,
    and from there on grows by one for each round. ``requests_per_minute`` spaces their beginnings evenly.
    Who waits is let in in order."""

    most: int = 64
    width: float = 4.0
    requests_per_minute: int | None = None
    _doubles_below: float = math.inf
    _next_s: float = 0.0
    _epoch: int = 0
    _busy: int = 0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[int]:
        """Wait for a place; gives the epoch to tell ``on_throttled``."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()
        try:
            await place
            await self._wait_for_turn()
            yield self._epoch
        finally:
            if place.done() and not place.cancelled():
                self._busy -= 1
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._busy < min(int(self.width), self.most):
            place = self._waiting.popleft()
            if not place.cancelled():
                self._busy += 1
                place.set_result(None)

    async def _wait_for_turn(self) -> None:
        if self.requests_per_minute is not None:
            now_s = time.monotonic()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + 60.0 / self.requests_per_minute
            await asyncio.sleep(turn_s - now_s)

    def on_success(self) -> None:
        """A call succeeded."""
        more = 1.0 if self.width < self._doubles_below else 1.0 / self.width
        self.width = min(float(self.most), self.width + more)

    def on_throttled(self, epoch: int) -> None:
        """A call was throttled; those of the same epoch count once."""
        if epoch == self._epoch:
            self._epoch += 1
            self.width = self._doubles_below = max(1.0, self.width / 2)


@dataclass
class RetryingModel:
    """A model that is asked again while that may help. What failed tries cost is counted."""

    model: Model
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    limiter: AdaptiveLimiter = field(default_factory=AdaptiveLimiter)
    _is_told: bool = False

    async def complete(
        self, messages: Sequence[Message], settings: CallSettings = DEFAULTS, on_text: TextCallback | None = None
    ) -> Reply:
        """The reply, or ModelError naming the last failure and the number of tries."""
        for failed_tries in range(self.retry_policy.tries):
            try:
                async with self.limiter.enter() as epoch:
                    reply = await self.model.complete(messages, settings, on_text)
            except TransientError as error:
                if isinstance(error, ThrottledError):
                    self.limiter.on_throttled(epoch)
                last = error
                if failed_tries + 1 == TOLD_AFTER and not self._is_told:
                    self._is_told = True
                    self.retry_policy.warn(f"{error}; trying on, {self.retry_policy.tries} times in all")
                if failed_tries + 1 < self.retry_policy.tries:
                    await asyncio.sleep(self.retry_policy.wait_s(failed_tries + 1, error.retry_after_s))
            else:
                self.limiter.on_success()
                self._is_told = False
                return replace(reply, usage=reply.usage + Usage(calls=failed_tries))
        raise ModelError(f"{last} (after {self.retry_policy.tries} tries)") from last

    async def close(self) -> None:
        """Close the model; the gate keeps its width."""
        await self.model.close()
