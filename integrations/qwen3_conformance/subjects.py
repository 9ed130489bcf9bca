"""What is checked: factories for fresh instances, and a probe that sees forwards overlap."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.storage.kvstore.types import BaseKVStore

from qwen3_conformance.outcome import NotApplicableError


class Probe:
    """A context manager to be entered around each forward; counts them and notes how many ran at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self.most = 0
        self.count = 0

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1
            self.count += 1
            self.most = max(self.most, self._running)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._running -= 1


@dataclass(frozen=True)
class EmbeddingSubject:
    """`tolerance`: how far vectors of one text may lie apart, elementwise, from one way of asking to another."""

    make: Callable[[], BaseEmbedding]
    make_probed: Callable[[Probe], BaseEmbedding] | None = None
    make_cached: Callable[[BaseKVStore], BaseEmbedding] | None = None
    tolerance: float = 1e-5

    def probed(self, probe: Probe) -> BaseEmbedding:
        if self.make_probed is None:
            raise NotApplicableError("needs a subject with make_probed")
        return self.make_probed(probe)

    def cached(self, store: BaseKVStore) -> BaseEmbedding:
        if self.make_cached is None:
            raise NotApplicableError("needs a subject with make_cached")
        return self.make_cached(store)


@dataclass(frozen=True)
class PostprocessorSubject:
    """A reranker: a postprocessor that gives every node a score. It must keep at least 8 nodes (its `top_n`).

    `tolerance`: how far scores of one node may lie apart from one way of asking to another.
    """

    make: Callable[[], BaseNodePostprocessor]
    make_probed: Callable[[Probe], BaseNodePostprocessor] | None = None
    tolerance: float = 1e-5

    def probed(self, probe: Probe) -> BaseNodePostprocessor:
        if self.make_probed is None:
            raise NotApplicableError("needs a subject with make_probed")
        return self.make_probed(probe)
