"""How much is worked on at once: turns with a bound, a time for each, and nothing for clients that have left."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.types import Receive

from qwen3_rag.serve.failures import HttpError, unavailable

Result = TypeVar("Result")


class Turns:
    """`running` at once, in order; `waiting` more may wait.

    >>> async with turns.take():
    ...     await work()
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._most_waiting, self._most_running = waiting, running
        self._places = asyncio.Semaphore(running)
        self._seconds = 0.5
        """About what a turn takes."""
        self.running = self.waiting = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """A turn, waited for.

        Raises:
            HttpError: 503 where too many wait already.
        """
        if self._places.locked() and self.waiting >= self._most_waiting:
            rest = self._seconds * (self.waiting + self.running) / self._most_running
            message = f"{self.waiting} requests wait already, and no more may; try again"
            raise unavailable(message, min(60, max(1, math.ceil(rest))))
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds += 0.1 * (time.monotonic() - began - self._seconds)
            self.running -= 1
            self._places.release()


async def in_time(work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """The result of `work`, or 504."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise HttpError(504, f"no result within {seconds:g} s; ask for less, or see --timeout of the service") from None


async def while_asked(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`; cancelled when the client leaves. The request's body has been read before."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HttpError(499, "the client has left")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
