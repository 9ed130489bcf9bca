"""Calls that wait for the model at the same time become one batch.

An application that embeds one query per request would otherwise run one small forward per request, each reading all
weights; merged, the weights are read once for all of them.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from qwen3_inference.engines import Vectors
from qwen3_inference.local.processes import MadeAnewAfterFork
from qwen3_inference.local.worker import ModelWorker

Key = TypeVar("Key", bound=Hashable)


@dataclass(eq=False)
class _Call:
    texts: Sequence[str]
    cancelled: bool = False
    vectors: Vectors | None = None
    error: Exception | None = None


class Coalescer(MadeAnewAfterFork, Generic[Key]):
    """`submit` returns what `run(key, texts)` returns; calls with one key that wait together share one `run`."""

    def __init__(self, worker: ModelWorker, run: Callable[[Key, Sequence[str]], Vectors]) -> None:
        self._worker = worker
        self._run = run
        super().__init__()

    def _make_anew(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[Key, list[_Call]] = defaultdict(list)

    async def submit(self, key: Key, texts: Sequence[str]) -> Vectors:
        """Rows for `texts`, in order. A call that fails, fails alone."""
        call = _Call(texts)
        with self._lock:
            self._waiting[key].append(call)
        try:
            await self._worker.arun(lambda _: self._drain(key))
        except BaseException:
            call.cancelled = True
            raise
        # Whoever drained the call has finished: drains run one after another, and this one's own came last.
        if call.error is not None:
            raise call.error
        assert call.vectors is not None  # noqa: S101 (an invariant, not a check of input)
        return call.vectors

    def _drain(self, key: Key) -> None:
        with self._lock:
            calls = [call for call in self._waiting.pop(key, []) if not call.cancelled]
        if not calls:
            return
        try:
            rows = self._run(key, [text for call in calls for text in call.texts])
            ends = np.cumsum([len(call.texts) for call in calls])
            for call, vectors in zip(calls, np.split(rows, ends[:-1]), strict=True):
                call.vectors = vectors
        except Exception:  # find out whose input it was
            for call in calls:
                try:
                    call.vectors = self._run(key, call.texts)
                except Exception as error:
                    call.error = error
