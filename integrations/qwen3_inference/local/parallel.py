"""Forwards side by side on a CPU, a core for each.

One forward on all cores has its threads wait for each other after every operation, in busy loops. On quiet cores that
costs little; where other processes take turns on them, each operation waits for those turns: with both of two cores
crowded, reranking took 8 times as long and 11 times the CPU time. Side by side nothing waits before the end.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from qwen3_inference.local.processes import MadeAnewAfterFork

Result = TypeVar("Result")
Task = Callable[[], Result]


def side_by_side(tasks: Sequence[Task[Result]]) -> list[Result]:
    """The tasks' results, in order. As many tasks run at once as torch has threads, each in one thread of torch's.

    The first error ends it: what has not begun is dropped.
    """
    found: dict[int, Result] = {}

    def numbered(index: int) -> tuple[int, Result]:
        return index, tasks[index]()

    def ended(one: tuple[int, Result]) -> Sequence[Task[tuple[int, Result]]]:
        found[one[0]] = one[1]
        return ()

    work_off([partial(numbered, index) for index in range(len(tasks))], ended)
    return [found[index] for index in range(len(tasks))]


def work_off(
    tasks: Sequence[Task[Result]], ended: Callable[[Result], Sequence[Task[Result]]], at_once: int | None = None
) -> None:
    """Run tasks and those that come of them.

    Args:
        ended: called in this thread with each result, in the order in which they end; gives the tasks that it leads to.
        at_once: how many run at the same time, with torch's threads divided among them; None: as many as it has.

    The first error, of a task or of `ended`, ends it: what has not begun is dropped.
    """
    import torch

    before = torch.get_num_threads()
    workers = min(before, len(tasks), at_once or before)
    pending = list(tasks[::-1])
    if workers <= 1 or _threads.are_this_one:
        while pending:
            with _tiny_is_zero():
                result = pending.pop()()
            pending += ended(result)[::-1]
        return
    running: set[Future[Result]] = set()
    try:
        while pending or running:
            while pending and len(running) < workers:
                running.add(_threads.submit(pending.pop(), before // workers))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                pending += ended(one.result())[::-1]
    finally:
        wait(running)
        torch.set_num_threads(before)  # libraries below torch keep one number for the whole process


class _Threads(MadeAnewAfterFork):
    """Threads that compute, as many as there are cores, for all models of this process.

    They stay. One that ends gives its memory back while it holds all of MKL's locks, and Python's `join` does not wait
    for that: the child of a process that forks in that moment would wait for a lock for ever.
    """

    def _make_anew(self) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "qwen3-forward")
        self._here = threading.local()

    @property
    def are_this_one(self) -> bool:
        """Whether this thread is one of them: it must not wait for others, which may all do the same."""
        return getattr(self._here, "computes", False)

    def submit(self, task: Task[Result], torch_threads: int) -> Future[Result]:
        return self._pool.submit(self._compute, task, torch_threads)

    def _compute(self, task: Task[Result], torch_threads: int) -> Result:
        import torch

        self._here.computes = True
        torch.set_num_threads(torch_threads)
        with _tiny_is_zero():
            return task()


@contextmanager
def _tiny_is_zero() -> Iterator[None]:
    """Numbers below 1e-38 are zero in this thread meanwhile: attention has many, and a core multiplies them slowly."""
    import torch

    before = bool(torch.full((), 1e-39).mul(1.0) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


_threads = _Threads()
