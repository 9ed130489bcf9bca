"""How many requests are on their way at once: as many as the server takes."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NothingAnsweredError(Exception):
    """No request was answered while one waited for its turn; never leaves this package."""


class AdaptiveLimiter:
    """Additive increase, multiplicative decrease: half as many after an overload, one more after a round of answers.

    It starts with the most, since servers queue; and it belongs to one event loop, so it needs no lock.
    """

    def __init__(self, most: int) -> None:
        self.limit = float(most)
        self._most = most
        self._busy = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._last_answer = 0.0
        self._halved = 0.0

    @asynccontextmanager
    async def slot(self, seconds: float) -> AsyncIterator[float]:
        """A turn, with the time (of time.monotonic()) by which its work has to be done.

        That is `seconds` after the call, or after the last answer that came while it waited: a long line behind a
        server that works is no failure.

        Raises:
            NothingAnsweredError: that time passed in the line.
        """
        started = time.monotonic()

        def deadline() -> float:
            return max(started, self._last_answer) + seconds

        if self._line or self._busy >= int(self.limit):
            place = asyncio.get_running_loop().create_future()
            self._line.append(place)
            try:
                while not place.done():
                    if (left := deadline() - time.monotonic()) <= 0:
                        raise NothingAnsweredError
                    await asyncio.wait([place], timeout=left)
            except BaseException:
                self._leave(place)
                raise
        else:
            self._busy += 1
        try:
            yield deadline()
        finally:
            self._busy -= 1
            self._hand_out()

    def answered(self) -> None:
        """The server did a request."""
        self._last_answer = time.monotonic()
        self.limit = min(self._most, self.limit + 1 / self.limit)
        self._hand_out()

    def overloaded(self, sent: float) -> None:
        """The server refused a request sent at `sent`. The refusals of one burst halve the limit once."""
        if sent > self._halved:
            self._halved = time.monotonic()
            self.limit = max(1.0, self.limit / 2)

    def _leave(self, place: asyncio.Future[None]) -> None:
        if place.done():  # its turn had come: the next one's now
            self._busy -= 1
            self._hand_out()
        else:
            self._line.remove(place)

    def _hand_out(self) -> None:
        """Free turns to the first in the line; from then on they count as taken."""
        while self._line and self._busy < int(self.limit):
            self._busy += 1
            self._line.popleft().set_result(None)
