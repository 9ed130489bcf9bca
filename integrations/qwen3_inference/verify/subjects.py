"""What is verified: an endpoint behind our remote engines, or any object with LlamaIndex's methods."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from qwen3_inference.errors import EngineResponseError, EngineUnavailableError, NumericalError
from qwen3_inference.remote.description import Description, normalized
from qwen3_inference.remote.embedding import RemoteEmbeddingEngine
from qwen3_inference.remote.failures import RefusedError
from qwen3_inference.remote.first_use import UndecidedError
from qwen3_inference.remote.raw import RawVectors, Rows

NO_ANSWER = (RefusedError, EngineResponseError, EngineUnavailableError)
"""What a probe may meet that asks for something unusual."""


class EmbeddingSubject(Protocol):
    """Rows (texts, width), one request a call, before anything is normalised here."""

    name: str
    description: Description | None
    max_length: int

    def documents(self, texts: Sequence[str]) -> RawVectors: ...

    def queries(self, texts: Sequence[str]) -> Rows: ...


class Endpoint:
    """A server by its remote engine. `documents` goes the way that the engine's own texts go."""

    def __init__(self, engine: RemoteEmbeddingEngine) -> None:
        self.engine, self.name = engine, engine.model_name
        self.description = engine.describe()
        self.max_length, self.dialect, self.send = engine.max_length, engine.dialect, engine.send
        try:
            self.as_tokens = engine.first_use().as_tokens
        except (EngineResponseError, UndecidedError):  # it refuses the server, and has no way for texts yet
            self.as_tokens = engine.send == "tokens"

    @property
    def takes_ids(self) -> bool:
        return self.dialect.takes_tokens and self.description is not None

    def documents(self, texts: Sequence[str]) -> RawVectors:
        return self.as_ids([self.ids(text) for text in texts]) if self.as_tokens else self.as_texts(texts)

    def queries(self, texts: Sequence[str]) -> Rows:
        return np.asarray(self.engine.embed_queries(texts), dtype=np.float64)

    def as_texts(self, texts: Sequence[str]) -> RawVectors:
        return self.engine.ask_raw([normalized(text) for text in texts])

    def as_ids(self, sequences: Sequence[Sequence[int]]) -> RawVectors:
        return self.engine.ask_raw([list(ids) for ids in sequences])

    def ids(self, text: str) -> list[int]:
        """As the engine would send them."""
        assert self.description is not None  # noqa: S101  only asked where there is one
        return [*self.description.tokenizer.encode([text])[0], *self.description.end_ids]


class Component:
    """Any BaseEmbedding of LlamaIndex, by its public methods, or an engine of ours with their like."""

    max_length = 0
    description = None

    def __init__(self, model: Any) -> None:
        self.model, self.name = model, str(getattr(model, "model_name", type(model).__name__))

    def documents(self, texts: Sequence[str]) -> RawVectors:
        with errors_of(self.model):
            if hasattr(self.model, "get_text_embedding_batch"):
                return RawVectors(_matrix(self.model.get_text_embedding_batch(list(texts))), None)
            return RawVectors(_matrix(self.model.embed_documents(list(texts))), None)

    def queries(self, texts: Sequence[str]) -> Rows:
        with errors_of(self.model):
            if hasattr(self.model, "get_query_embedding"):
                return _matrix([self.model.get_query_embedding(text) for text in texts])
            return _matrix(self.model.embed_queries(list(texts)))


def embedding_subject(model: Any) -> Endpoint | Component:
    """Raises TypeError for what cannot embed."""
    for one in (model, getattr(model, "engine", None)):
        if isinstance(one, RemoteEmbeddingEngine):
            return Endpoint(one)
    if hasattr(model, "get_text_embedding_batch") or hasattr(model, "embed_documents"):
        return Component(model)
    raise TypeError(
        f"{type(model).__name__} cannot be verified as an embedder; give a RemoteEmbeddingEngine, a LlamaIndex "
        "BaseEmbedding or an EmbeddingEngine"
    )


@contextlib.contextmanager
def errors_of(model: Any) -> Iterator[None]:
    """Other clients have errors of their own for what a server refuses."""
    try:
        yield
    except (EngineResponseError, EngineUnavailableError):
        raise
    except NumericalError as error:
        raise EngineResponseError(str(error)) from error
    except Exception as error:
        raise RefusedError(f"{type(model).__name__} raises {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def own_warnings() -> Iterator[None]:
    """Probes are odd on purpose: what the client warns of in them is no news for the caller."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _matrix(vectors: Any) -> Rows:
    try:
        rows = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EngineResponseError(f"vectors are no numbers, or of unlike width: {error}") from error
    if rows.ndim != 2 or not rows.size:
        raise EngineResponseError(f"vectors have the shape {rows.shape} where (texts, width) belongs")
    return rows
