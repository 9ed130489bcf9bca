"""The many methods of LlamaIndex's embedding interface, each in terms of four that do the work."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding, mean_agg
from llama_index.core.bridge.pydantic import Field
from llama_index.embeddings.qwen3.generated import DocumentText
from llama_index.embeddings.qwen3.reporting import progress_bar
from qwen3_inference import Progress
from qwen3_inference.instructions import current_query_instruction

QUERY, DOCUMENT = "query", "document"


class RoleEmbedding(BaseEmbedding):
    """Core's methods for a model that embeds a text by its role, as a query or as a document."""

    query_instruction: str | None = Field(default=None, description="Task given with queries; None: the default.")

    @abstractmethod
    def _embed(self, texts: Sequence[str], role: str, progress: Progress | None = None) -> list[Embedding]:
        """The vectors of texts, from the cache where it has them, reported as one pair of events."""

    @abstractmethod
    async def _aembed(self, texts: Sequence[str], role: str, progress: Progress | None = None) -> list[Embedding]:
        """The same without blocking the event loop."""

    @abstractmethod
    def _embed_now(
        self, texts: list[str], role: str, instruction: str | None, progress: Progress | None = None
    ) -> list[Embedding]:
        """The vectors of texts, computed, without events."""

    @abstractmethod
    async def _aembed_now(
        self, texts: list[str], role: str, instruction: str | None, progress: Progress | None = None
    ) -> list[Embedding]:
        """The same without blocking the event loop."""

    def get_query_embedding(self, query: str) -> Embedding:
        """The vector of a query, with the instruction; of a `DocumentText`, bare."""
        return self._embed([query], _role(query))[0]

    async def aget_query_embedding(self, query: str) -> Embedding:
        """The same without blocking the event loop."""
        return (await self._aembed([query], _role(query)))[0]

    def get_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """One unit vector for several texts: the normalised mean, or what `agg_fn` makes of the vectors."""
        return _aggregate([self.get_query_embedding(query) for query in queries], agg_fn)

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """The same without blocking the event loop."""
        return _aggregate([await self.aget_query_embedding(query) for query in queries], agg_fn)

    def get_text_embedding(self, text: str) -> Embedding:
        """The vector of a document."""
        return self._embed([text], DOCUMENT)[0]

    async def aget_text_embedding(self, text: str) -> Embedding:
        """The same without blocking the event loop."""
        return (await self._aembed([text], DOCUMENT))[0]

    def get_text_embedding_batch(self, texts: list[str], show_progress: bool = False, **kwargs: Any) -> list[Embedding]:
        """The vectors of documents, in order; `embed_batch_size` texts an event."""
        with progress_bar(len(texts), show_progress) as progress:
            return [vector for batch in self._batches(texts) for vector in self._embed(batch, DOCUMENT, progress)]

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """The same without blocking the event loop; batches run one after another on the one model."""
        with progress_bar(len(texts), show_progress) as progress:
            return [
                vector for batch in self._batches(texts) for vector in await self._aembed(batch, DOCUMENT, progress)
            ]

    # What core declares abstract: the same work without events.

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._embed_now([query], _role(query), current_query_instruction(self.query_instruction))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        instruction = current_query_instruction(self.query_instruction)
        return (await self._aembed_now([query], _role(query), instruction))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._embed_now([text], DOCUMENT, None)[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aembed_now([text], DOCUMENT, None))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed_now(texts, DOCUMENT, None)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._aembed_now(texts, DOCUMENT, None)

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        for start in range(0, len(texts), self.embed_batch_size):
            yield texts[start : start + self.embed_batch_size]


def _role(query: str) -> str:
    return DOCUMENT if isinstance(query, DocumentText) else QUERY


def _aggregate(vectors: list[Embedding], agg_fn: Callable[..., Embedding] | None) -> Embedding:
    if agg_fn is not None:
        return agg_fn(vectors)
    mean = np.array(mean_agg(vectors))
    length = float(np.linalg.norm(mean))
    unit: Embedding = (mean / length if length > 0 else mean).tolist()
    return unit
