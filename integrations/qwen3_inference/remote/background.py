"""One event loop in a thread of its own, for all requests of the process.

Connections, locks and tasks of asyncio belong to one loop. Callers come from any thread and from any number of loops,
so none of theirs is used: what they ask for runs here, and they wait for it in their own way.
"""

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from qwen3_inference.local.processes import MadeAnewAfterFork

Result = TypeVar("Result")
_inherited_loops: list[asyncio.AbstractEventLoop] = []
"""Loops of parent processes: collecting one would close sockets that the parent uses."""


class BackgroundLoop(MadeAnewAfterFork):
    """Starts with the first call; a forked child starts its own."""

    _loop: asyncio.AbstractEventLoop | None = None

    def _make_anew(self) -> None:
        self._lock = threading.Lock()
        if self._loop is not None:
            _inherited_loops.append(self._loop)
        self._loop = None
        # A callback may use an engine, so it must not take the threads that engines need to go on.
        self._callbacks = ThreadPoolExecutor(32, thread_name_prefix="qwen3-progress")

    async def call_back(self, function: Callable[[int], object], argument: int) -> None:
        """A caller's function, off the loop, which it could block, and with the caller's context variables."""
        run = contextvars.copy_context().run
        await asyncio.get_running_loop().run_in_executor(self._callbacks, run, function, argument)

    def run(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of `work()`, waited for in this thread; an interrupt (Ctrl-C) cancels the work."""
        future = self._submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of `work()`, awaited in the caller's loop; cancelling the await cancels the work."""
        return await asyncio.wrap_future(self._submit(work))

    def call_soon(self, loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run `work()` without waiting for it, where `loop` still is this process's loop."""
        if loop is self._loop:
            self._submit(work)

    def _submit(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> concurrent.futures.Future[Result]:
        return asyncio.run_coroutine_threadsafe(work(), self._running_loop())

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="qwen3-http", daemon=True).start()
            return self._loop


BACKGROUND = BackgroundLoop()
