"""A call in a forked child: its result, error and warnings come back. One that hangs is ended and fails the test."""

import os
import pickle
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

SECONDS = 60


def in_child(work: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What `work` returns in a child made by `os.fork`, and the warnings it gave."""
    _let_threads_end()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _answer(work, write)
    os.close(write)
    try:
        answer = _read(read, child)
    finally:
        os.close(read)
        os.waitpid(child, 0)
    kind, result, said = pickle.loads(answer)
    assert kind == "result", f"the child failed:\n{result}"
    return result, said


def _let_threads_end() -> None:
    """Wait for threads of the tests' own that have computed and are about to end.

    One that ends holds all of MKL's locks for a moment, also after `join`, and a child that is forked in that moment
    has them for ever, which nothing in this package can change.
    """
    tasks, same_since = _tasks(), time.monotonic()
    while time.monotonic() - same_since < 0.03:
        time.sleep(0.005)
        if (now := _tasks()) != tasks:
            tasks, same_since = now, time.monotonic()


def _tasks() -> set[str]:
    """This process' threads, as the system sees them: those that Python has let go of included."""
    return set(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else set()


def _answer(work: Callable[[], Any], write: int) -> None:
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            answer = "result", work(), [str(warning.message) for warning in said]
    except BaseException:
        answer = "error", traceback.format_exc(), []
    try:
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(answer, pipe)
    finally:
        os._exit(0)  # nothing of pytest may run on in the child


def _read(read: int, child: int) -> bytes:
    parts = []
    while True:
        if not select.select([read], [], [], SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
            raise AssertionError(f"the child gave no answer in {SECONDS} s")
        part = os.read(read, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
