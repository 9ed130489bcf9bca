"""Forwards side by side on a CPU, a core for each.

One forward on all cores has its threads wait for each other after every operation, in busy loops. On quiet cores that
costs little; where other processes take turns on them, each operation waits for those turns: with both of two cores
crowded, reranking took 8 times as long and 11 times the CPU time. Side by side nothing waits before the end.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

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
    if workers <= 1:
        pending = list(tasks[::-1])
        while pending:
            pending += ended(pending.pop()())[::-1]
        return
    pool = ThreadPoolExecutor(workers, "qwen3-forward", initializer=partial(torch.set_num_threads, before // workers))
    try:
        running = {pool.submit(task) for task in tasks}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                running |= {pool.submit(task) for task in ended(one.result())}
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # libraries below torch keep one number for the whole process
