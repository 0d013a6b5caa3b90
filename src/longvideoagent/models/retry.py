"""Retries and limits for calls to a model's server: how often, how long, and how many at once."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from longvideoagent.core.types import Message, Reply, Usage
from longvideoagent.errors import ModelError, ThrottledError, TransientError, UnreachableError
from longvideoagent.log import logger
from longvideoagent.models.base import (
    DEFAULT_CALL_SETTINGS,
    CallSettings,
    Model,
    TextCallback,
    charge,
    failed_usage,
)

WARN_AFTER_FAILURES = 3
"""Failed tries of one call after which the wait is worth a warning."""
MAX_CONCURRENCY = 64
"""Calls to one server in flight at once, unless the configuration says otherwise."""


_on_retry: ContextVar[Callable[[str], None] | None] = ContextVar("on_retry", default=None)


def report_retries(on_retry: Callable[[str], None]) -> None:
    """Call ``on_retry`` with one line before each wait for another try, of calls made by the current task and by those
    that it starts."""
    _on_retry.set(on_retry)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits double from ``first_wait_s`` up to ``max_wait_s``, each shortened by a random share so that many
    clients do not come back together; a server's Retry-After is honoured up to the same limit."""

    max_tries: int = 6
    first_wait_s: float = 0.5
    max_wait_s: float = 60.0

    def wait_s(self, failed_tries: int, retry_after_s: float | None) -> float:
        """How long to wait after that many failures."""
        doubled_s = min(self.max_wait_s, self.first_wait_s * 2.0 ** (failed_tries - 1))
        jittered_s: float = doubled_s * random.uniform(0.5, 1.0)
        return jittered_s if retry_after_s is None else max(jittered_s, min(retry_after_s, self.max_wait_s))


@dataclass
class AdaptiveLimiter:
    """Limits the calls in flight. ``limit`` starts small and doubles with each round of successes (slow start) until
    the server throttles; then it halves, once for the calls that were in flight, and from there on grows by one for
    each round. ``requests_per_minute`` spaces the calls evenly. Calls are admitted in order."""

    max_concurrency: int = MAX_CONCURRENCY
    limit: float = 4.0
    requests_per_minute: int | None = None
    _doubles_below: float = math.inf
    _next_s: float = 0.0
    _epoch: int = 0
    _in_flight: int = 0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[int]:
        """Wait until a call may begin; yields the epoch to pass to ``on_throttled``."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()
        try:
            await place
            await self._wait_for_turn()
            yield self._epoch
        finally:
            if place.done() and not place.cancelled():
                self._in_flight -= 1
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._in_flight < min(int(self.limit), self.max_concurrency):
            place = self._waiting.popleft()
            if not place.cancelled():
                self._in_flight += 1
                place.set_result(None)

    async def _wait_for_turn(self) -> None:
        if self.requests_per_minute is not None:
            now_s = time.monotonic()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + 60.0 / self.requests_per_minute
            await asyncio.sleep(turn_s - now_s)

    def on_success(self) -> None:
        """A call succeeded."""
        growth = 1.0 if self.limit < self._doubles_below else 1.0 / self.limit
        self.limit = min(float(self.max_concurrency), self.limit + growth)

    def on_throttled(self, epoch: int) -> None:
        """A call was throttled; calls of the same epoch count once."""
        if epoch == self._epoch:
            self._epoch += 1
            self.limit = self._doubles_below = max(1.0, self.limit / 2)


@dataclass
class RetryingModel:
    """A model whose calls are limited, and retried after failures that may pass. Failed tries count as calls. One
    warning is logged for each outage. A server that has never replied and is not there is not waited for."""

    model: Model
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    limiter: AdaptiveLimiter = field(default_factory=AdaptiveLimiter)
    _is_warned: bool = False
    _has_replied: bool = False

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The reply. Raises ModelError with the last failure and the number of tries."""
        max_tries = self.retry_policy.max_tries
        spent = Usage()
        for failed_tries in range(max_tries):
            try:
                async with self.limiter.acquire() as epoch:
                    reply = await self.model.complete(messages, settings, on_text)
            except TransientError as error:
                if isinstance(error, UnreachableError) and not self._has_replied:
                    charge(error, spent)
                    raise  # it was never there; an outage is one of a server that has replied
                if isinstance(error, ThrottledError):
                    self.limiter.on_throttled(epoch)
                last_error = error
                spent += failed_usage(error)
                if failed_tries + 1 == WARN_AFTER_FAILURES and not self._is_warned:
                    self._is_warned = True
                    logger.warning("%s; trying again, %d times in all", error, max_tries)
                if failed_tries + 1 < max_tries:
                    if (on_retry := _on_retry.get()) is not None:
                        on_retry(f"{error}; try {failed_tries + 2} of {max_tries} follows")
                    await asyncio.sleep(self.retry_policy.wait_s(failed_tries + 1, error.retry_after_s))
            except ModelError as error:
                charge(error, spent)
                raise
            else:
                self.limiter.on_success()
                self._is_warned = False
                self._has_replied = True
                return replace(reply, usage=reply.usage + spent + Usage(calls=failed_tries))
        raise charge(ModelError(f"{last_error} (after {max_tries} tries)"), spent) from last_error

    async def close(self) -> None:
        """Close the model; the limiter keeps its width."""
        await self.model.close()
