"""What an engine is: the two protocols that the LlamaIndex adapters talk to. Local torch implements them here;
anything else (an HTTP server, a test double) only needs these methods.

Engines take plain strings and own everything below: prompts, tokens, batches, one forward at a time.
Results are float arrays on the CPU in the caller's order. An engine says whose results they are by an attribute
`identity` (or `model_name`), a string: without one, nothing is cached for it.
"""

import pickle
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from qwen3_inference.errors import EngineNotPicklableError
from qwen3_inference.lengths import Overlong

Progress = Callable[[int], object]
"""Called with the number of further texts done; an exception it raises ends the work between two batches."""

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


@runtime_checkable
class EmbeddingEngine(Protocol):
    """Texts to unit vectors, float32, shape (texts, dimensions). `dimensions=None`: the model's own."""

    def embed_queries(
        self,
        queries: Sequence[str],
        *,
        instruction: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors: ...

    async def aembed_queries(
        self,
        queries: Sequence[str],
        *,
        instruction: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors: ...

    def embed_documents(
        self,
        documents: Sequence[str],
        *,
        prompt: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors: ...

    async def aembed_documents(
        self,
        documents: Sequence[str],
        *,
        prompt: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors: ...


class MeasuringEngine(Protocol):
    """What an embedding engine may have beside: it tells which documents it would cut."""

    def overlong_documents(self, documents: Sequence[str], *, prompt: str | None = None) -> list[Overlong]: ...


@runtime_checkable
class RerankEngine(Protocol):
    """One query's passages to probabilities of "yes", float64, shape (documents,)."""

    def score(
        self,
        query: str,
        documents: Sequence[str],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> Scores: ...

    async def ascore(
        self,
        query: str,
        documents: Sequence[str],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> Scores: ...


def has_methods(one: object, protocol: type) -> bool:
    """Whether all methods of a protocol are there, those that a wrapper has by `__getattr__` included: from Python 3.12
    on, `isinstance` does not see them."""
    return all(callable(getattr(one, name, None)) for name in vars(protocol) if not name.startswith("_"))


def engine_identity(engine: Any) -> str | None:
    """Whose results an engine gives, None where it does not say: then they are never taken for those of another."""
    found = getattr(engine, "identity", None) or getattr(engine, "model_name", None)
    return found if isinstance(found, str) and found else None


def engine_name(engine: Any) -> str:
    """What an adapter around a ready engine calls its model. LlamaIndex's own caches tell models apart by it, so one
    that has no name is called differently each time."""
    return str(getattr(engine, "model_name", "") or f"{type(engine).__name__}-{uuid4().hex}")


def check_picklable(engine: Any) -> None:
    """Raise EngineNotPicklableError for an injected engine that would silently be missing after unpickling."""
    if engine is None:
        return
    try:
        pickle.dumps(engine)
    except Exception as error:
        raise EngineNotPicklableError(
            f"this object was built with engine={type(engine).__name__}, which cannot be pickled ({error}); build it "
            "from a model name instead, or give the engine __reduce__ (worker processes then make their own)"
        ) from error
