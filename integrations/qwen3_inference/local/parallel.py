"""Forwards side by side on a CPU: a core for each keeps all of them busy, where sharing one forward does not."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


def side_by_side(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """The tasks' results, in order. As many tasks run at once as torch has threads, each in one thread of torch's.

    The first error ends it: what has not begun is dropped.
    """
    import torch

    threads = min(torch.get_num_threads(), len(tasks))
    if threads <= 1:
        return [task() for task in tasks]
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "qwen3-forward", initializer=partial(torch.set_num_threads, 1))
    try:
        return [running.result() for running in [pool.submit(task) for task in tasks]]
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # libraries below torch keep one number for the whole process
