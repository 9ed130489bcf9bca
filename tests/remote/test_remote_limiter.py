"""As many requests at once as a server takes, and turns that are neither lost nor given twice."""

import asyncio
import time

import pytest
from qwen3_inference.remote.limiter import AdaptiveLimiter, NothingAnsweredError


async def test_no_more_than_the_limit_at_once():
    limiter, busy, most = AdaptiveLimiter(3), 0, 0

    async def work() -> None:
        nonlocal busy, most
        async with limiter.slot(5):
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0.001)
            busy -= 1

    await asyncio.gather(*(work() for _ in range(50)))
    assert (most, busy) == (3, 0)


async def test_an_overload_halves_and_answers_bring_it_back():
    limiter = AdaptiveLimiter(16)
    sent = time.monotonic()
    for _ in range(10):  # one burst
        limiter.overloaded(sent)
    assert limiter.limit == 8
    limiter.overloaded(time.monotonic())
    assert limiter.limit == 4
    for _ in range(200):
        limiter.answered()
    assert limiter.limit == 16
    for _ in range(10):
        limiter.overloaded(time.monotonic())
    assert limiter.limit == 1


async def test_cancelled_waiters_lose_no_turn():
    limiter, done = AdaptiveLimiter(1), 0

    async def work(seconds: float) -> None:
        nonlocal done
        async with limiter.slot(5):
            await asyncio.sleep(seconds)
            done += 1

    tasks = [asyncio.create_task(work(0.01)) for _ in range(20)]
    await asyncio.sleep(0.015)
    for task in tasks[1::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.wait_for(work(0), 1)
    assert done >= 11


async def test_a_wait_ends_when_nothing_is_answered():
    limiter = AdaptiveLimiter(1)
    async with limiter.slot(5):
        started = time.monotonic()
        with pytest.raises(NothingAnsweredError):
            async with limiter.slot(0.1):
                raise AssertionError("there was no turn")
        assert time.monotonic() - started < 0.5
        waiting = asyncio.create_task(_deadline(limiter, 0.2))
        for _ in range(5):  # a server that works keeps the line waiting
            await asyncio.sleep(0.1)
            limiter.answered()
    assert await waiting > time.monotonic()


async def _deadline(limiter: AdaptiveLimiter, seconds: float) -> float:
    async with limiter.slot(seconds) as deadline:
        return deadline
