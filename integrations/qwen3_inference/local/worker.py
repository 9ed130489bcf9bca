"""One forward at a time on one model, from threads and event loops alike."""

import asyncio
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from qwen3_inference.engines import Progress
from qwen3_inference.local.processes import MadeAnewAfterFork, compute_in_one_thread_after_fork

Result = TypeVar("Result")
MAX_WAITING = 64


class CallCancelledError(Exception):
    """Ends the batches of a call nobody waits for any more; never leaves this package."""


class ModelWorker(MadeAnewAfterFork):
    """Serialises access to a model.

    Synchronous callers run in their own thread, under a lock (Ctrl-C reaches them). Asynchronous ones hop to a single
    worker thread, so the event loop never blocks; at most `MAX_WAITING` calls of a loop are queued there, the others
    wait as coroutines. A cancelled call that has not begun is dropped; a running one stops after its current batch.
    A forked child starts with a worker on which nothing runs.
    """

    def _make_anew(self) -> None:
        self._lock = threading.RLock()
        self._gates_lock = threading.Lock()
        # Its thread starts with the first asynchronous call and ends when this object is collected.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qwen3")
        self._gates: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )

    def run(self, work: Callable[[Progress | None], Result], progress: Progress | None = None) -> Result:
        """Run `work(progress)` when no other work runs."""
        with self._lock:
            compute_in_one_thread_after_fork()
            return work(progress)

    async def arun(self, work: Callable[[Progress | None], Result], progress: Progress | None = None) -> Result:
        """The same off the event loop. `progress` is called in the worker thread."""
        cancelled = threading.Event()

        def report(done: int) -> None:
            if cancelled.is_set():
                raise CallCancelledError
            if progress is not None:
                progress(done)

        async with self._gate():
            future = self._executor.submit(self.run, work, report)
            try:
                return await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                cancelled.set()
                raise

    def _gate(self) -> asyncio.Semaphore:
        # A semaphore belongs to one loop; the dictionary is shared by the loops of several threads.
        with self._gates_lock:
            return self._gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_WAITING))
