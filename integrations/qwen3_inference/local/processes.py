"""What a forked process must not inherit: locks and threads of its parent, and pools of threads that are gone.

gunicorn --preload, celery and multiprocessing's "fork" copy a process in which models were used. The child has one
thread, the one that forked: a lock that another one held stays locked, an executor counts threads that do not exist,
and OpenMP waits for its own. So locks and executors are made anew in the child, and torch computes with one thread.
What cannot be made anew are the locks of MKL, below torch: a thread that has computed holds them while it ends. No
thread of this package ends while its model is used (`parallel`); the application's own should not end during a fork.
"""

import contextlib
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator

LONGEST_WAIT = 60.0
"""Seconds that a fork waits for a load. Loads end, but one could be waiting for what the forking thread holds."""


class MadeAnewAfterFork:
    """Base of objects with locks or threads: `_make_anew` makes them, at first and again in every forked child.

    What the parent was computing is not the child's: `_make_anew` also drops what waits there.
    """

    def __init__(self) -> None:
        self._make_anew()
        _inherited.add(self)

    def _make_anew(self) -> None:
        raise NotImplementedError


class ForkSafeLock(MadeAnewAfterFork):
    """A reentrant lock that is free in a forked child, whoever held it in the parent."""

    def _make_anew(self) -> None:
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The lock for a `with` block. A thread that forks inside the block leaves it in both processes."""
        with self._lock:  # this very lock is let go at the end, also where the process has another by then
            yield

    def keep_forks_waiting(self) -> None:
        """A fork waits until no other thread holds the lock. For locks that live as long as the process."""
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork_in_parent)

    def _before_fork(self) -> None:
        self._lock.acquire(timeout=LONGEST_WAIT)

    def _after_fork_in_parent(self) -> None:
        with contextlib.suppress(RuntimeError):  # not ours: the wait ran out
            self._lock.release()


def compute_in_one_thread_after_fork() -> None:
    """In a child whose parent had torch: one thread for torch, and a warning where it was going to use more.

    Called before every computation, since OpenMP keeps the number of threads for each thread of Python's.
    """
    if not _forked_with_torch:
        return
    import torch

    global _warned
    threads = torch.get_num_threads()
    if threads == 1:
        return
    torch.set_num_threads(1)
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"process {os.getpid()} was forked from one that computes with {threads} threads, which do not survive a fork: "
        "it computes with one. Start processes with the method 'spawn' or 'forkserver' for several",
        UserWarning,
        stacklevel=2,
    )


def _after_fork_in_child() -> None:
    global _forked_with_torch, _warned
    _forked_with_torch, _warned = "torch" in sys.modules, False
    # Threads of tokenizers are gone as well. They notice the fork by themselves where the variable is not set.
    if os.environ.get("TOKENIZERS_PARALLELISM"):
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for thing in list(_inherited):
        thing._make_anew()


_inherited: "weakref.WeakSet[MadeAnewAfterFork]" = weakref.WeakSet()
_forked_with_torch = False
_warned = False
LOADING = ForkSafeLock()
"""Held while weights load: one load after another, since transformers and torch change the state of the process."""
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
    LOADING.keep_forks_waiting()
