"""The many methods of LlamaIndex's embedding interface, each in terms of three that do the work."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding, dispatcher, mean_agg
from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode
from llama_index.embeddings.qwen3.cache import aembed_with_cache, embed_with_cache
from llama_index.embeddings.qwen3.nodes import passages_of, with_embeddings
from llama_index.embeddings.qwen3.reporting import progress_bar, reported
from llama_index.embeddings.qwen3.request import DOCUMENT, QUERY, Request, role_of_query
from qwen3_inference import Progress
from qwen3_inference.instructions import current_query_instruction
from qwen3_inference.local.options import Instruction
from qwen3_inference.texts import check_text, check_unicode, text_list


class RoleEmbedding(BaseEmbedding):
    """Core's methods for a model that embeds a text by its role, as a query or as a document.

    Each public call is one span, sync and async alike. So what a subclass implements is not declared abstract: core
    traces every implementation of an abstract method.
    """

    query_instruction: Instruction = Field(
        default=None,
        description="what to look for, in one English sentence. None: the checkpoint's own prompt (the "
        "official ones': the authors' default); '': no instruction. `use_instruction` overrides it for one call.",
    )
    text_instruction: str | None = Field(
        default=None,
        description="put before documents as it stands. None: the checkpoint's own document prompt, which the official "
        "ones do not have.",
    )
    callback_manager: CallbackManager = Field(
        default_factory=lambda: CallbackManager([]), exclude=True, description="LlamaIndex callbacks."
    )

    def _compute(self, request: Request) -> list[Embedding]:
        """The vectors of the texts, without cache and events."""
        raise NotImplementedError

    async def _acompute(self, request: Request) -> list[Embedding]:
        """The same without blocking the event loop."""
        raise NotImplementedError

    def _identity(self, request: Request) -> dict[str, Any]:
        """What changes the vector of a text: part of its cache key."""
        raise NotImplementedError

    def get_query_embedding(self, query: str) -> Embedding:
        """The vector of a query, with the instruction; of a `DocumentText`, bare."""
        return self._embed(self._query(query))[0]

    async def aget_query_embedding(self, query: str) -> Embedding:
        """The same without blocking the event loop."""
        return (await self._aembed(self._query(query)))[0]

    def get_query_embedding_batch(self, queries: Sequence[str]) -> list[Embedding]:
        """The vectors of queries, in order, computed together."""
        found = text_list(queries, "query", "get_query_embedding(query)")
        if any(role_of_query(query) == DOCUMENT for query in found):
            return [self.get_query_embedding(query) for query in found]
        instruction, size = current_query_instruction(self.query_instruction), self.embed_batch_size
        places = [range(start, min(start + size, len(found))) for start in range(0, len(found), size)]
        requests = [Request([found[i] for i in batch], QUERY, instruction, batch) for batch in places]
        return [vector for request in requests for vector in self._embed(request)]

    def get_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """One unit vector for several texts: the normalised mean, or what `agg_fn` makes of the vectors."""
        return _aggregate([self.get_query_embedding(query) for query in _several_queries(queries)], agg_fn)

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """The same without blocking the event loop."""
        return _aggregate([await self.aget_query_embedding(query) for query in _several_queries(queries)], agg_fn)

    def get_text_embedding(self, text: str) -> Embedding:
        """The vector of a document."""
        return self._embed(self._text(text))[0]

    async def aget_text_embedding(self, text: str) -> Embedding:
        """The same without blocking the event loop."""
        return (await self._aembed(self._text(text)))[0]

    def get_text_embedding_batch(self, texts: list[str], show_progress: bool = False, **kwargs: Any) -> list[Embedding]:
        """The vectors of documents, in order; `embed_batch_size` texts an event."""
        texts = text_list(texts, "text", "get_text_embedding(text)")
        with progress_bar(len(texts), show_progress) as progress:
            return [vector for batch in self._batches(texts, progress) for vector in self._embed(batch)]

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """The same without blocking the event loop; batches run one after another on the one model."""
        texts = text_list(texts, "text", "aget_text_embedding(text)")
        with progress_bar(len(texts), show_progress) as progress:
            return [vector for batch in self._batches(texts, progress) for vector in await self._aembed(batch)]

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """The nodes with their embeddings."""
        return with_embeddings(nodes, self.get_text_embedding_batch(passages_of(nodes), **kwargs))

    @dispatcher.span  # core traces the synchronous method only
    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """The same without blocking the event loop."""
        return with_embeddings(nodes, await self.aget_text_embedding_batch(passages_of(nodes), **kwargs))

    # What core declares abstract: the same work without events.

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._compute(self._query(query))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._acompute(self._query(query)))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._compute(self._text(text))[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._acompute(self._text(text)))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._compute(self._documents(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._acompute(self._documents(texts))

    def _embed(self, request: Request) -> list[Embedding]:
        """The vectors of texts, from the cache where it has them, reported as one pair of events."""
        with reported(self, request.texts) as finish:
            request.check()
            if self.rate_limiter is not None:
                self.rate_limiter.acquire()
            return finish(embed_with_cache(request, self._identity, self.embeddings_cache, self._compute))

    async def _aembed(self, request: Request) -> list[Embedding]:
        """The same without blocking the event loop."""
        with reported(self, request.texts) as finish:
            request.check()
            if self.rate_limiter is not None:
                await self.rate_limiter.async_acquire()
            return finish(await aembed_with_cache(request, self._identity, self.embeddings_cache, self._acompute))

    def _query(self, query: str) -> Request:
        if role_of_query(check_text(query, "the query")) == DOCUMENT:
            return self._text(query)
        return Request([query], QUERY, current_query_instruction(self.query_instruction))

    def _text(self, text: str) -> Request:
        return Request([check_text(text, "the text")], DOCUMENT, self.text_instruction)

    def _documents(self, texts: list[str], start: int = 0, progress: Progress | None = None) -> Request:
        return Request(texts, DOCUMENT, self.text_instruction, range(start, start + len(texts)), progress)

    def _batches(self, texts: list[str], progress: Progress | None) -> Iterator[Request]:
        size = self.embed_batch_size
        for start in range(0, len(texts), size):
            yield self._documents(texts[start : start + size], start, progress)


def _several_queries(queries: list[str]) -> list[str]:
    found = text_list(queries, "query", "get_query_embedding(query)")
    for index, query in enumerate(found):
        check_unicode(query, f"query {index}")
    return found


def _aggregate(vectors: list[Embedding], agg_fn: Callable[..., Embedding] | None) -> Embedding:
    if agg_fn is not None:
        return agg_fn(vectors)
    mean = np.array(mean_agg(vectors))
    length = float(np.linalg.norm(mean))
    unit: Embedding = (mean / length if length > 0 else mean).tolist()
    return unit
