from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from longvideoagent.core.types import Message, Reply
from longvideoagent.errors import ModelError, UnreachableError
from longvideoagent.models.openai import OpenAIModel
from longvideoagent.models.retry import AdaptiveLimiter, RetryingModel, RetryPolicy
from tests.fakes.faulty_server import drop_mid_body, say, serving, status

HELLO = [Message(role="user", content="hello")]
QUICK = RetryPolicy(max_tries=4, first_wait_s=0.01, max_wait_s=0.05)


def complete_with_retries(
    url: str, retry_policy: RetryPolicy = QUICK, calls: int = 1, limiter: AdaptiveLimiter | None = None
) -> list[Reply]:
    async def call() -> list[Reply]:
        model = OpenAIModel("m", url)
        retrying = RetryingModel(model, retry_policy, limiter or AdaptiveLimiter())
        try:
            # All end before the client is closed: a call that goes on would open another one.
            results = await asyncio.gather(*(retrying.complete(HELLO) for _ in range(calls)), return_exceptions=True)
        finally:
            await model.close()
        if failures := [result for result in results if isinstance(result, BaseException)]:
            raise failures[0]
        return [result for result in results if isinstance(result, Reply)]

    return asyncio.run(call())


def test_retry_transient_failures() -> None:
    with serving(status(500), drop_mid_body, status(429), say("hi")) as (url, server):
        (reply,) = complete_with_retries(url)
    assert (reply.text, reply.usage.calls, len(server.requests)) == ("hi", 4, 4)


def test_retry_gives_up() -> None:
    with serving(status(503)) as (url, server), pytest.raises(ModelError, match=r"HTTP 503.*after 4 tries"):
        complete_with_retries(url)
    assert len(server.requests) == 4


def test_retry_outage_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with serving(status(503)) as (url, _), pytest.raises(ModelError):
        complete_with_retries(url, calls=2)
    (record,) = [record for record in caplog.records if record.name == "longvideoagent"]
    assert record.levelname == "WARNING"
    assert url in record.getMessage()
    assert "HTTP 503" in record.getMessage()


def test_retry_outage_silent_without_handler() -> None:
    code = "from longvideoagent.log import logger; logger.warning('an outage')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == ""


def test_retry_not_for_a_server_that_was_never_there() -> None:
    with serving(say("hi")) as (url, server):
        pass  # its port is closed now
    with pytest.raises(UnreachableError, match="start the server, or fix its URL"):
        complete_with_retries(url)
    with pytest.raises(UnreachableError):
        complete_with_retries("http://no-such-host.invalid/v1")
    assert not server.requests


def test_retry_for_a_server_that_has_gone() -> None:
    async def call() -> None:
        with serving(say("hi")) as (url, _):
            model = OpenAIModel("m", url)
            retrying = RetryingModel(model, QUICK)
            await retrying.complete(HELLO)
            await model.close()
        try:
            await retrying.complete(HELLO)
        finally:
            await model.close()

    with pytest.raises(ModelError, match="after 4 tries"):
        asyncio.run(call())


def test_retry_not_for_permanent_failure() -> None:
    with serving(status(401)) as (url, server), pytest.raises(ModelError):
        complete_with_retries(url)
    assert len(server.requests) == 1


def test_retry_waits() -> None:
    retry_policy = RetryPolicy(first_wait_s=1.0, max_wait_s=8.0)
    for failed, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)):
        waits = {retry_policy.wait_s(failed, None) for _ in range(50)}
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 10
    assert retry_policy.wait_s(1, 5.0) == 5.0
    assert retry_policy.wait_s(1, 500.0) == 8.0


def test_limiter_widens_with_success() -> None:
    async def slow(_: object) -> object:
        await asyncio.sleep(0.02)
        return await say("hi")(_)  # type: ignore[arg-type]

    limiter = AdaptiveLimiter(max_concurrency=8, limit=2.0)
    with serving(slow) as (url, server):
        replies = complete_with_retries(url, calls=40, limiter=limiter)
    assert len(replies) == 40
    assert 2 < server.max_concurrency <= 8


def test_limiter_max_concurrency() -> None:
    async def slow(request: object) -> object:
        await asyncio.sleep(0.02)
        return await say("hi")(request)  # type: ignore[arg-type]

    with serving(slow) as (url, server):
        complete_with_retries(url, calls=6, limiter=AdaptiveLimiter(max_concurrency=1))
    assert server.max_concurrency == 1


def test_limiter_requests_per_minute() -> None:
    started = time.monotonic()
    with serving(say("hi")) as (url, _):
        complete_with_retries(url, calls=4, limiter=AdaptiveLimiter(requests_per_minute=600))
    assert time.monotonic() - started >= 0.3


def test_limiter_halves_once_per_epoch() -> None:
    limiter = AdaptiveLimiter(limit=8.0)
    for _ in range(5):
        limiter.on_throttled(0)
    assert limiter.limit == 4.0
    limiter.on_throttled(1)
    assert limiter.limit == 2.0


def test_limiter_slow_start() -> None:
    limiter = AdaptiveLimiter(max_concurrency=64, limit=4.0)
    for _ in range(12):
        limiter.on_success()
    assert limiter.limit == 16.0
    limiter.on_throttled(0)
    for _ in range(8):
        limiter.on_success()
    assert 8.5 < limiter.limit < 9.0


def test_limiter_cancelled_wait() -> None:
    async def run() -> None:
        limiter = AdaptiveLimiter(limit=1.0)

        async def hold(seconds: float) -> None:
            async with limiter.acquire():
                await asyncio.sleep(seconds)

        first, second, third = (asyncio.ensure_future(hold(0.05)) for _ in range(3))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.wait_for(asyncio.gather(first, third), 5)
        await asyncio.wait_for(hold(0), 5)
        assert second.cancelled()

    asyncio.run(run())
